/**
 * Words for writing rows: calls with defaults, reports, waiting for ctr-bun. Not here: any section of config.json.
 */
import { DESCRIPTOR, REPORT, REPORT_SIZE, reportBytes, SYNC_POINTS } from "../machine/report.ts";
import type { Arg, InitStep, Row, SlotArg, SyncPoint } from "./step.ts";

/** What a row may have besides its call and arguments. */
export type RowExtra = Omit<Row, "call" | "args">;

/** A row. */
export function row(call: string, args: readonly Arg[], extra?: RowExtra): Row {
  return extra === undefined ? { call, args } : { call, args, ...extra };
}

/** The value in a slot. */
export function slot(name: string): SlotArg {
  return { slot: name };
}

/** Struct of 8-byte words, as bytes. */
export function struct(...values: readonly number[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
}

/** Goes to a label, whatever happens: 0 is 0. */
export function jump(label: string, extra?: RowExtra): Row {
  return row("test", [0, 0, 0], { ...extra, onZero: label });
}

/** Label of the row that ends the init when ctr-bun is gone. */
export const ORPHANED = "orphaned";

/** Sends a report without a value. */
export function report(kind: keyof typeof REPORT, a = 0): Row {
  return row("write", [{ fd: "report" }, { bytes: reportBytes(REPORT[kind], a) }, REPORT_SIZE]);
}

/** Tells ctr-bun that the sync point is reached and waits for its word. */
export function syncStep(point: SyncPoint, field: string, about: string): InitStep {
  return {
    on: "init",
    field,
    about,
    sync: point,
    rows: [
      report("sync", SYNC_POINTS.indexOf(point)),
      row("read", [{ fd: "report" }, { at: "word" }, 8], { onZero: ORPHANED }),
    ],
  };
}

/** Where a call has to store the descriptor that {@link sendDescriptor} sends: inside the control message. */
export function descriptorPlace(which: keyof typeof DESCRIPTOR): { at: string; offset: number } {
  return { at: `${which}.control`, offset: 16 };
}

/** The descriptor that stands there. */
export function descriptorSlot(which: keyof typeof DESCRIPTOR): SlotArg {
  return { slot: `${which}.control`, offset: 16 };
}

/** Sends the descriptor at {@link descriptorPlace} to ctr-bun (SCM_RIGHTS). */
export function sendDescriptor(which: keyof typeof DESCRIPTOR): Row {
  const report: Arg = { words: [{ bytes: reportBytes(REPORT.descriptor, DESCRIPTOR[which]) }, REPORT_SIZE] };
  const header: Arg = { words: [0, 0, report, 1, { at: `${which}.control` }, 24, 0] };
  return row("sendmsg", [{ fd: "report" }, header, 0]);
}

/** The buffer that {@link descriptorPlace} lies in: a cmsghdr of SCM_RIGHTS (cmsg(3)). */
export function descriptorBuffers(which: keyof typeof DESCRIPTOR): Record<string, Uint8Array> {
  return { [`${which}.control`]: new Uint8Array(Uint32Array.of(20, 0, 1, 1, 0, 0).buffer) };
}
