/**
 * Words for writing rows: calls with defaults, reports, waiting for ctr-bun. Not here: any section of config.json.
 */
import { F_DUPFD_CLOEXEC, MSG_CMSG_CLOEXEC } from "../kernel/constants.ts";
import { DESCRIPTOR, REPORT, REPORT_SIZE, reportBytes, syncNumbers } from "../machine/report.ts";
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
export function report(kind: keyof typeof REPORT, a = 0, b = 0): Row {
  return row("write", [{ fd: "report" }, { bytes: reportBytes(REPORT[kind], a, b) }, REPORT_SIZE]);
}

/** Rows that tell ctr-bun that the sync point is reached and wait for its word; `rows` stand between the two. */
export function syncRows(point: SyncPoint, rows: readonly Row[] = []): Row[] {
  return [
    report("sync", ...syncNumbers(point)),
    ...rows,
    row("read", [{ fd: "report" }, { at: "word" }, 8], { onZero: ORPHANED }),
  ];
}

/** Tells ctr-bun that the sync point is reached and waits for its word. */
export function syncStep(point: SyncPoint, field: string, about: string): InitStep {
  return { on: "init", field, about, sync: point, rows: syncRows(point) };
}

/** Where a call has to store the descriptor that {@link sendDescriptor} sends: inside the control message. */
export function descriptorPlace(which: keyof typeof DESCRIPTOR, key = ""): { at: string; offset: number } {
  return { at: controlOf(which, key), offset: 16 };
}

/** The descriptor that stands there. */
export function descriptorSlot(which: keyof typeof DESCRIPTOR): SlotArg {
  return { slot: controlOf(which, ""), offset: 16 };
}

/** Sends the descriptor at {@link descriptorPlace} to ctr-bun (SCM_RIGHTS). `key` tells several of a kind apart. */
export function sendDescriptor(which: keyof typeof DESCRIPTOR, key = ""): Row {
  const report: Arg = { words: [{ bytes: reportBytes(REPORT.descriptor, DESCRIPTOR[which]) }, REPORT_SIZE] };
  const header: Arg = { words: [0, 0, report, 1, { at: controlOf(which, key) }, 24, 0] };
  return row("sendmsg", [{ fd: "report" }, header, 0]);
}

/** The buffer that {@link descriptorPlace} lies in: a cmsghdr of SCM_RIGHTS (cmsg(3)). */
export function descriptorBuffers(which: keyof typeof DESCRIPTOR, key = ""): Record<string, Uint8Array> {
  return { [controlOf(which, key)]: new Uint8Array(Uint32Array.of(20, 0, 1, 1, 0, 0).buffer) };
}

function controlOf(which: string, key: string): string {
  return `${which}${key}.control`;
}

/** Size of a control message with one descriptor. */
export const CONTROL_SIZE = 24;

/**
 * Rows that receive a descriptor which ctr-bun sends, and keep it in a slot; `control` is the name of a buffer of
 * {@link CONTROL_SIZE} bytes.
 */
export function receiveRows(control: string, into: string): Row[] {
  const header: Arg = { words: [0, 0, { words: [{ at: "word" }, 8] }, 1, { at: control }, CONTROL_SIZE, 0] };
  return [
    row("recvmsg", [{ fd: "report" }, header, MSG_CMSG_CLOEXEC], { onZero: ORPHANED }),
    // Four bytes of descriptor, four of padding: a copy of it gets a slot of its own.
    row("fcntl", [{ slot: control, offset: 16 }, F_DUPFD_CLOEXEC, 3], { store: into }),
    row("close", [{ slot: control, offset: 16 }]),
  ];
}
