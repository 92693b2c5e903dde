/**
 * Runs programs of the init machine by themselves, for tests: on this processor, or aarch64 under qemu-aarch64.
 * A program gets four descriptors: `report`, `out` (what it shows), `in` (a file with what the test gives it) and
 * 0, 1, 2 on /dev/null and pipes.
 */
import { close, readAll } from "../../../src/kernel/file.ts";
import { documentMemfd, executableMemfd } from "../../../src/kernel/memfd.ts";
import { sys } from "../../../src/kernel/raw.ts";
import { type MachineArch, type MachineProgram, writeProgram } from "../../../src/machine/program.ts";
import type { InitStep, Row } from "../../../src/plan/step.ts";

/** Names and numbers of the descriptors that every program here has. */
export const DESCRIPTORS = { report: 3, out: 4, in: 5 } as const;
/** Addresses that docs/machine.md fixes: the data part, and the table in it. */
export const DATA_BASE = 0x601000;
export const TABLE_BASE = 0x601040;
/** Where the data part stands in the file. */
export const DATA_OFFSET = 4096;
export const ROW = 64;

/** The architecture of this processor. */
export const native: MachineArch = process.arch === "arm64" ? "aarch64" : "x86_64";

/** Both architectures, the one that needs qemu last. */
export const ARCHES: readonly MachineArch[] = ["x86_64", "aarch64"];

/** The command that runs a file of this architecture. */
export function commandFor(arch: MachineArch, file: string): string[] {
  if (arch === native) return [file];
  const qemu = `qemu-${arch}`;
  if (Bun.which(qemu) === null) throw new Error(`${qemu} is not installed (Debian package qemu-user)`);
  return [qemu, file];
}

/** Buffers of a program, as a step gives them. */
export type Buffers = NonNullable<InitStep["buffers"]>;

/** One step that holds rows and buffers; what a test needs and no more. */
export function step(rows: readonly Row[], buffers?: Buffers): InitStep {
  const base = { on: "init", field: "test", about: "test", rows } as const;
  return buffers === undefined ? base : { ...base, buffers };
}

/** A program of these rows, with the descriptors of {@link DESCRIPTORS}. */
export function program(arch: MachineArch, rows: readonly Row[], buffers?: Buffers): MachineProgram {
  return writeProgram({ arch, steps: [step(rows, buffers)], descriptors: DESCRIPTORS });
}

/** Ends the program. */
export function exit(code: number, label?: string): Row {
  const row = { call: "exit_group", args: [code] };
  return label === undefined ? row : { ...row, label };
}

/** Writes `size` bytes at a slot or buffer to `out`. */
export function show(at: string, size = 8): Row {
  return { call: "write", args: [{ fd: "out" }, { at }, size] };
}

/** What a program did. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: string | undefined;
  /** All bytes sent to `report`. */
  readonly report: Uint8Array;
  readonly out: Uint8Array;
  /** `out` as unsigned 64-bit words. */
  readonly words: readonly bigint[];
  readonly stdout: string;
}

/** Runs the program to its end. A program that does not end is killed and fails the test. */
export function run(
  arch: MachineArch,
  rows: readonly Row[],
  options: { buffers?: Buffers; input?: Uint8Array } = {},
): Outcome {
  return runElf(arch, program(arch, rows, options.buffers).elf, options.input);
}

/** As {@link run}, for a program that is already written. */
export function runElf(arch: MachineArch, elf: Uint8Array, input: Uint8Array = new Uint8Array(0)): Outcome {
  // In memory: thousands of files made and removed in a directory can take minutes.
  const file = executableMemfd("elf", elf);
  const report = documentMemfd("report", new Uint8Array(0));
  const out = documentMemfd("out", new Uint8Array(0));
  const given = documentMemfd("in", input);
  try {
    const child = Bun.spawnSync(commandFor(arch, `/proc/${process.pid}/fd/${file}`), {
      stdio: ["ignore", "pipe", "pipe", report, out, given],
      timeout: 20_000,
    });
    if (child.exitedDueToTimeout) throw new Error("the program does not end");
    const shown = fromStart(out);
    const view = new DataView(shown.buffer, shown.byteOffset, shown.byteLength);
    const words: bigint[] = [];
    for (let at = 0; at + 8 <= shown.byteLength; at += 8) words.push(view.getBigUint64(at, true));
    return {
      code: child.exitCode,
      signal: child.signalCode === undefined || child.signalCode === null ? undefined : `${child.signalCode}`,
      report: fromStart(report),
      out: shown,
      words,
      stdout: child.stdout.toString(),
    };
  } finally {
    for (const fd of [file, report, out, given]) close(fd);
  }
}

/** Everything in a file, wherever the program left its offset. */
function fromStart(fd: number): Uint8Array {
  sys("lseek", fd, 0, 0);
  return readAll(fd);
}

/** The bytes of report messages: three u32 each. */
export function message(...numbers: readonly number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(numbers).buffer);
}
