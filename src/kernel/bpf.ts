/**
 * eBPF for cgroups: loading a device program, attaching it to a cgroup, and asking for those that are attached.
 * Not here: instructions (bpf-code.ts), what a program decides (drivers/cgroup-v2/devices.ts).
 *
 * Numbers and structs from include/uapi/linux/bpf.h.
 */
import { fail } from "../error.ts";
import { BPF_INSN_SIZE } from "./bpf-code.ts";
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
const BPF_OBJ_GET_INFO_BY_FD = 15;
const BPF_PROG_QUERY = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
const BPF_F_REPLACE = 4;
const BPF_F_QUERY_EFFECTIVE = 1;
/** Programs of one cgroup that are asked for: BPF_CGROUP_MAX_PROGS. */
const MOST_PROGRAMS = 64;
const LOG_SIZE = 65536;
/** struct bpf_prog_info up to `name`, which every kernel that ctr-bun runs on has. */
const PROG_INFO_SIZE = 80;
/** How often programs are looked at again that somebody else changes meanwhile. */
const TRIES = 10;
/** Name of the programs that are ours: those that others have attached are left alone. */
const OURS = "ctr_device";

/** union bpf_attr of the call. */
function attribute(fill: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(120);
  fill(viewOf(bytes));
  return bytes;
}

function bpf(command: number, attr: Uint8Array): number {
  return sys("bpf", command, attr, attr.byteLength);
}

/**
 * Loads a device program; its descriptor. Refused by the verifier, the error's hint is the end of its log.
 * @param name at most 15 letters, digits and `_`.
 */
export function loadDeviceProgram(code: Uint8Array, name = OURS): number {
  const license = cString("GPL");
  const attr = attribute((view) => {
    view.setUint32(0, BPF_PROG_TYPE_CGROUP_DEVICE, true);
    view.setUint32(4, code.byteLength / BPF_INSN_SIZE, true);
    view.setBigUint64(8, BigInt(addressOf(code)), true);
    view.setBigUint64(16, BigInt(addressOf(license)), true);
    for (let index = 0; index < name.length; index++) view.setUint8(48 + index, name.charCodeAt(index));
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

/** The device programs that are attached to that very cgroup, in order, and how they are: flags of the attachment. */
interface Attached {
  readonly ids: number[];
  readonly flags: number;
}

function query(cgroup: number, flags: number): Attached {
  const ids = new Uint8Array(MOST_PROGRAMS * 4);
  const attr = attribute((view) => {
    view.setUint32(0, cgroup, true);
    view.setUint32(4, BPF_CGROUP_DEVICE, true);
    view.setUint32(8, flags, true);
    view.setBigUint64(16, BigInt(addressOf(ids)), true);
    view.setUint32(24, MOST_PROGRAMS, true);
  });
  check(bpf(BPF_PROG_QUERY, attr), {
    syscall: "bpf",
    message: "cannot list the eBPF programs of the cgroup",
  });
  const count = viewOf(attr).getUint32(24, true);
  return {
    ids: Array.from({ length: count }, (_none, index) => viewOf(ids).getUint32(index * 4, true)),
    flags: viewOf(attr).getUint32(12, true),
  };
}

/** IDs of the device programs that are attached to that very cgroup. */
export function deviceProgramIds(cgroup: number): number[] {
  return query(cgroup, 0).ids;
}

/** IDs of all that are asked when a process of the cgroup opens a device: those of the cgroups above count too. */
export function effectiveProgramIds(cgroup: number): number[] {
  return query(cgroup, BPF_F_QUERY_EFFECTIVE).ids;
}

/** What the kernel says of a program. */
export interface ProgramInfo {
  readonly id: number;
  readonly name: string;
  /** SHA-1 of its instructions, cut to 8 bytes: the same for the same program. */
  readonly tag: string;
  /** The instructions as the verifier left them; none where this process may not see them. */
  readonly code: Uint8Array;
}

/** Of a program by its ID; undefined where there is none, or it may not be looked at (CAP_SYS_ADMIN is needed). */
export function programInfo(id: number): ProgramInfo | undefined {
  const program = programById(id);
  if (program < 0) return undefined;
  try {
    const length = viewOf(readInfo(program, new Uint8Array(0))).getUint32(20, true);
    const code = new Uint8Array(length);
    const info = readInfo(program, code);
    const seen = viewOf(info).getBigUint64(32, true) === 0n ? 0 : viewOf(info).getUint32(20, true);
    return {
      id,
      name: textOf(info.subarray(64, 80)),
      tag: Buffer.from(info.subarray(8, 16)).toString("hex"),
      code: code.subarray(0, seen),
    };
  } finally {
    close(program);
  }
}

/** struct bpf_prog_info; `code` gets the instructions. */
function readInfo(program: number, code: Uint8Array): Uint8Array {
  const info = new Uint8Array(PROG_INFO_SIZE);
  if (code.byteLength > 0) {
    viewOf(info).setUint32(20, code.byteLength, true);
    viewOf(info).setBigUint64(32, BigInt(addressOf(code)), true);
  }
  const attr = attribute((view) => {
    view.setUint32(0, program, true);
    view.setUint32(4, info.byteLength, true);
    view.setBigUint64(8, BigInt(addressOf(info)), true);
  });
  check(bpf(BPF_OBJ_GET_INFO_BY_FD, attr), { syscall: "bpf", message: "cannot look at an eBPF program" });
  return info;
}

/**
 * Attaches `program` to the cgroup (a descriptor of its directory) in the place of the one of ours that is there, in one
 * step: at no moment is there none, or are there both. Programs of others stay: the kernel allows what all allow.
 */
export function attachDeviceProgram(cgroup: number, program: number): void {
  let result = -ERRNO.ENOENT;
  // ENOENT: the one to be replaced was taken away since it was looked at.
  for (let tries = 0; tries < TRIES && result === -ERRNO.ENOENT; tries++) {
    const { ids, flags } = query(cgroup, 0);
    const [old, ...others] = ownPrograms(ids);
    try {
      result =
        old === undefined ? attach(cgroup, program, 0, -1) : attach(cgroup, program, BPF_F_REPLACE, old);
      if (result === -ERRNO.EPERM && ids.length > 0 && (flags & BPF_F_ALLOW_MULTI) === 0)
        throw attachedAlone();
      if (result >= 0) for (const other of others) detachProgram(cgroup, other);
    } finally {
      for (const fd of [old, ...others]) if (fd !== undefined) close(fd);
    }
  }
  check(result, {
    syscall: "bpf",
    message: "cannot attach the eBPF program for devices to the cgroup",
    hint:
      result === -ERRNO.EPERM
        ? "a program is attached above it that allows none below (no BPF_F_ALLOW_MULTI or BPF_F_ALLOW_OVERRIDE), or CAP_NET_ADMIN is missing"
        : undefined,
  });
}

/** Takes the device programs of ours off the cgroup. */
export function detachDevicePrograms(cgroup: number): void {
  for (const program of ownPrograms(deviceProgramIds(cgroup))) {
    const result = detachProgram(cgroup, program);
    close(program);
    check(result, { syscall: "bpf", message: "cannot take an eBPF program for devices off the cgroup" });
  }
}

/** Descriptors of those that are ours. What may not be looked at is somebody else's. */
function ownPrograms(ids: readonly number[]): number[] {
  return ids.flatMap((id) => {
    const program = programById(id);
    if (program < 0) return [];
    if (textOf(readInfo(program, new Uint8Array(0)).subarray(64, 80)) === OURS) return [program];
    close(program);
    return [];
  });
}

function attachedAlone(): Error {
  return fail({
    code: "CGROUP",
    message:
      "cannot attach the eBPF program for devices to the cgroup: another is attached so that it stands alone (without BPF_F_ALLOW_MULTI)",
    hint: "take it off, or have it attached with BPF_F_ALLOW_MULTI: bpftool cgroup list shows it",
  });
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

/** Takes one device program off the cgroup; 0 or -errno. */
export function detachProgram(cgroup: number, program: number): number {
  return bpf(
    BPF_PROG_DETACH,
    attribute((view) => {
      view.setUint32(0, cgroup, true);
      view.setUint32(4, program, true);
      view.setUint32(8, BPF_CGROUP_DEVICE, true);
    }),
  );
}

function programById(id: number): number {
  return bpf(
    BPF_PROG_GET_FD_BY_ID,
    attribute((view) => view.setUint32(0, id, true)),
  );
}
