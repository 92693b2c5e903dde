/**
 * What a container's init has yet to do when create is over, kept in its record: a call of it that fails is reported to
 * `start`, which does not have the program. Not here: words for it (failure.ts).
 */
import type { MachineProgram } from "../machine/program.ts";
import { WAIT_FOR_START } from "../plan/program.ts";
import type { InitStep } from "../plan/step.ts";
import { callFailure, callOfRow, type FailedCall, unknownRow } from "./failure.ts";

/** Calls of one step. */
export interface LateStep extends Pick<InitStep, "field" | "about" | "path" | "hints"> {
  /** Index of the row in the program, the call's name, and the file that it is about. */
  readonly calls: readonly (readonly [row: number, call: string, file?: string])[];
}

/** Rows that never fail as they are: tests, and those that fail in another row's name. */
const SILENT = new Set(["test", "fail"]);

/** The steps behind the one that waits for start. */
export function lateSteps(program: MachineProgram, steps: readonly InitStep[]): LateStep[] {
  const from = steps.findIndex(({ about }) => about === WAIT_FOR_START);
  const late = new Map<number, LateStep & { calls: [number, string, string?][] }>();
  program.rows.forEach((row, index) => {
    const number = program.stepOfRow[index] ?? -1;
    const step = steps[number];
    if (number <= from || step === undefined || SILENT.has(row.call)) return;
    const { field, about, path, hints } = step;
    const entry = late.get(number) ?? {
      field,
      about,
      ...(path === undefined ? {} : { path }),
      ...(hints === undefined ? {} : { hints }),
      calls: [],
    };
    const { call, file } = callOfRow(step, row);
    entry.calls.push(file === undefined ? [index, call] : [index, call, file]);
    late.set(number, entry);
  });
  return [...late.values()];
}

/** The error of a failure that `start` hears of. */
export function lateFailure(late: readonly LateStep[], errno: number, row: number): Error {
  for (const step of late) {
    const found = step.calls.find(([index]) => index === row);
    if (found === undefined) continue;
    const failed: FailedCall = { step, call: found[1], file: found[2] };
    return callFailure(failed, errno);
  }
  return unknownRow(errno, row);
}
