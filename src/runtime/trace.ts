/**
 * The tracing executor: a plan carried out for real, with the time that every step took. The init reads the clock
 * after each of its steps and sends all times before it waits for the last time. Not here: carrying out (apply.ts).
 */
import { viewOf } from "../kernel/memory.ts";
import { REPORT } from "../machine/report.ts";
import type { InitStep, Row, Step } from "../plan/step.ts";

const CLOCK_MONOTONIC = 1;
/** Size of a struct timespec, and of the report's head before the first one. */
const SPEC = 16;
const BUFFER = "trace";

/** How long one step took, in nanoseconds; undefined where that could not be told (what follows the last wait). */
export interface StepTime {
  readonly step: Step;
  readonly nanoseconds: number | undefined;
}

function clockRow(index: number): Row {
  return { call: "clock_gettime", args: [CLOCK_MONOTONIC, { at: BUFFER, offset: SPEC * (index + 1) }] };
}

/** The same steps, with the clock read after each, and the times sent right before the init waits as created. */
export function withClock(steps: readonly InitStep[]): InitStep[] {
  const head = new Uint8Array(SPEC * (steps.length + 2));
  head.set(new Uint8Array(Uint32Array.of(REPORT.times, steps.length + 1, 0, 0).buffer));
  const send: Row = { call: "write", args: [{ fd: "report" }, { at: BUFFER }, head.byteLength] };
  return steps.map((step, index) => {
    const before = index === 0 ? [clockRow(0)] : step.sync === "created" ? [send] : [];
    const buffers = index === 0 ? { ...step.buffers, [BUFFER]: head } : step.buffers;
    const rows = [...relabel(step.rows, before), clockRow(index + 1)];
    return buffers === undefined ? { ...step, rows } : { ...step, rows, buffers };
  });
}

/** Rows before the first one: whoever goes to its label goes to the first of all. */
function relabel(rows: readonly Row[], before: readonly Row[]): Row[] {
  const [first, ...rest] = rows;
  const [head, ...more] = before;
  if (first === undefined || head === undefined || first.label === undefined) return [...before, ...rows];
  const { label, ...unlabelled } = first;
  return [{ ...head, label }, ...more, unlabelled, ...rest];
}

/** Differences between the clock's readings, step by step. A reading of 0 was never made. */
export function readTimes(steps: readonly InitStep[], report: Uint8Array): StepTime[] {
  const view = viewOf(report);
  const at = (index: number) =>
    view.getBigInt64(SPEC * (index + 1), true) * 1_000_000_000n +
    view.getBigInt64(SPEC * (index + 1) + 8, true);
  let last = at(0);
  return steps.map((step, index) => {
    const now = at(index + 1);
    if (now === 0n) return { step, nanoseconds: undefined };
    const nanoseconds = Number(now - last);
    last = now;
    return { step, nanoseconds };
  });
}

/** A line for each step: microseconds, where it was done, its field and what it is. */
export function traceText(times: readonly StepTime[]): string {
  const lines = times.map(({ step, nanoseconds }) => {
    const time = nanoseconds === undefined ? "-" : (nanoseconds / 1000).toFixed(1);
    return `${time.padStart(9)}  ${step.on}  ${step.field}: ${step.about}`;
  });
  return `${["microsec.  on    step", ...lines].join("\n")}\n`;
}
