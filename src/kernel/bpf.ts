/**
 * eBPF for cgroups: an assembler for the few instructions that device programs need, loading a program, and attaching
 * it to a cgroup. Not here: what the program decides (drivers/cgroup-v2/devices.ts).
 *
 * Numbers from include/uapi/linux/bpf.h, bpf_common.h; the encoding from Documentation/bpf/standardization/
 * instruction-set.rst.
 */
import { fail } from "../error.ts";
import { callError, check } from "./check.ts";
import { ERRNO } from "./errno.ts";
import { close } from "./file.ts";
import { cString, textOf, viewOf } from "./memory.ts";
import { addressOf, sys } from "./raw.ts";

/** The device's type in the low half of access_type: BPF_DEVCG_DEV_*. */
export const BPF_DEVCG_DEV_BLOCK = 1;
export const BPF_DEVCG_DEV_CHAR = 2;

const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_DETACH = 9;
const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_PROG_QUERY = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
const BPF_F_REPLACE = 4;
/** Programs of one cgroup that are asked for: BPF_CGROUP_MAX_PROGS. */
const MOST_PROGRAMS = 64;
const LOG_SIZE = 65536;

/** Operations, without their operand. */
const OPCODES = {
  /** 32-bit load from memory at register `source` + `offset`. */
  ldxw: 0x61,
  mov32: 0xb4,
  and32: 0x54,
  rsh32: 0x74,
  jne: 0x55,
  exit: 0x95,
} as const;
/** The operand is register `source`, not the immediate. */
const FROM_REGISTER = 0x08;

/** One instruction. `target` is the index of the instruction that a jump goes to. */
export interface BpfInstruction {
  readonly op: keyof typeof OPCODES;
  readonly register?: number;
  readonly source?: number;
  readonly offset?: number;
  readonly immediate?: number;
  readonly target?: number;
}

/** Instructions as the kernel reads them: struct bpf_insn, 8 bytes each. */
export function assembleBpf(instructions: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = viewOf(bytes);
  instructions.forEach((instruction, index) => {
    const { op, register = 0, source, immediate = 0, target } = instruction;
    const offset = target === undefined ? (instruction.offset ?? 0) : target - index - 1;
    if (offset < -32768 || offset > 32767) {
      throw fail({ code: "BPF", message: `an eBPF jump is too long: ${offset} instructions` });
    }
    const register_operand = source !== undefined && op !== "ldxw" ? FROM_REGISTER : 0;
    view.setUint8(index * 8, OPCODES[op] | register_operand);
    view.setUint8(index * 8 + 1, register | ((source ?? 0) << 4));
    view.setInt16(index * 8 + 2, offset, true);
    view.setInt32(index * 8 + 4, immediate | 0, true);
  });
  return bytes;
}

/** union bpf_attr of the call. */
function attribute(fill: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(120);
  fill(viewOf(bytes));
  return bytes;
}

function bpf(command: number, attr: Uint8Array): number {
  return sys("bpf", command, attr, attr.byteLength);
}

/** Loads a device program; its descriptor. Refused by the verifier, the error's hint is the end of its log. */
export function loadDeviceProgram(code: Uint8Array): number {
  const license = cString("GPL");
  const attr = attribute((view) => {
    view.setUint32(0, BPF_PROG_TYPE_CGROUP_DEVICE, true);
    view.setUint32(4, code.byteLength / 8, true);
    view.setBigUint64(8, BigInt(addressOf(code)), true);
    view.setBigUint64(16, BigInt(addressOf(license)), true);
    for (const [index, letter] of [..."ctr_device"].entries())
      view.setUint8(48 + index, letter.charCodeAt(0));
  });
  let result = -ERRNO.EAGAIN;
  // The verifier gives EAGAIN when a signal comes in between.
  for (let tries = 0; tries < 5 && result === -ERRNO.EAGAIN; tries++) result = bpf(BPF_PROG_LOAD, attr);
  if (result >= 0) return result;
  const log = new Uint8Array(LOG_SIZE);
  const view = viewOf(attr);
  view.setUint32(24, 1, true);
  view.setUint32(28, log.byteLength, true);
  view.setBigUint64(32, BigInt(addressOf(log)), true);
  const again = bpf(BPF_PROG_LOAD, attr);
  if (again >= 0) return again;
  const lines = textOf(log).trim().split("\n").slice(-3).join("; ");
  throw callError(-result, {
    syscall: "bpf",
    message: "the kernel refused the eBPF program for devices",
    hint: lines === "" ? loadHint(-result) : lines,
  });
}

function loadHint(errno: number): string | undefined {
  if (errno === ERRNO.EPERM) return "loading one needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN";
  if (errno === ERRNO.EINVAL || errno === ERRNO.ENOSYS) return "the kernel needs CONFIG_CGROUP_BPF";
  return undefined;
}

/** IDs of the device programs that are attached to that very cgroup. */
export function deviceProgramIds(cgroup: number): number[] {
  const ids = new Uint8Array(MOST_PROGRAMS * 4);
  const attr = attribute((view) => {
    view.setUint32(0, cgroup, true);
    view.setUint32(4, BPF_CGROUP_DEVICE, true);
    view.setBigUint64(16, BigInt(addressOf(ids)), true);
    view.setUint32(24, MOST_PROGRAMS, true);
  });
  check(bpf(BPF_PROG_QUERY, attr), {
    syscall: "bpf",
    message: "cannot list the eBPF programs of the cgroup",
  });
  const count = viewOf(attr).getUint32(24, true);
  return Array.from({ length: count }, (_none, index) => viewOf(ids).getUint32(index * 4, true));
}

/**
 * Makes `program` the only device program of the cgroup (a descriptor of its directory). One that was there is
 * replaced in one step, so there is no moment without any, and none with both.
 */
export function attachDeviceProgram(cgroup: number, program: number): void {
  const [first, ...others] = deviceProgramIds(cgroup);
  const old = first === undefined ? -1 : programById(first);
  try {
    let result = old < 0 ? attach(cgroup, program, 0, -1) : attach(cgroup, program, BPF_F_REPLACE, old);
    // It was attached without ALLOW_MULTI by somebody else: the new one comes first, then the old one goes.
    if (result < 0 && old >= 0) {
      result = attach(cgroup, program, 0, -1);
      if (result === 0) detach(cgroup, old);
    }
    check(result, { syscall: "bpf", message: "cannot attach the eBPF program for devices to the cgroup" });
    for (const id of others) detachById(cgroup, id);
  } finally {
    if (old >= 0) close(old);
  }
}

/** Takes every device program off the cgroup. */
export function detachDevicePrograms(cgroup: number): void {
  for (const id of deviceProgramIds(cgroup)) detachById(cgroup, id);
}

function attach(cgroup: number, program: number, flags: number, replaced: number): number {
  return bpf(
    BPF_PROG_ATTACH,
    attribute((view) => {
      view.setUint32(0, cgroup, true);
      view.setUint32(4, program, true);
      view.setUint32(8, BPF_CGROUP_DEVICE, true);
      view.setUint32(12, BPF_F_ALLOW_MULTI | flags, true);
      if (replaced >= 0) view.setUint32(16, replaced, true);
    }),
  );
}

function detach(cgroup: number, program: number): number {
  return bpf(
    BPF_PROG_DETACH,
    attribute((view) => {
      view.setUint32(0, cgroup, true);
      view.setUint32(4, program, true);
      view.setUint32(8, BPF_CGROUP_DEVICE, true);
    }),
  );
}

function detachById(cgroup: number, id: number): void {
  const program = programById(id);
  if (program < 0) return;
  const result = detach(cgroup, program);
  close(program);
  check(result, { syscall: "bpf", message: "cannot take an eBPF program for devices off the cgroup" });
}

function programById(id: number): number {
  return bpf(
    BPF_PROG_GET_FD_BY_ID,
    attribute((view) => view.setUint32(0, id, true)),
  );
}
