/**
 * Devices on v2, where no file holds them: the policy as an eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE), which the
 * kernel asks at every open and mknod. Source: Documentation/admin-guide/cgroup-v2.rst, "Device controller".
 */
import { asCtrError } from "../../src/error.ts";
import {
  attachDeviceProgram,
  BPF_DEVCG_DEV_BLOCK,
  BPF_DEVCG_DEV_CHAR,
  detachDevicePrograms,
  deviceProgramIds,
  effectiveProgramIds,
  loadDeviceProgram,
  programInfo,
} from "../../src/kernel/bpf.ts";
import { assembleBpf, type BpfInstruction } from "../../src/kernel/bpf-code.ts";
import { O_DIRECTORY, O_RDONLY } from "../../src/kernel/constants.ts";
import { close, open, withFd } from "../../src/kernel/file.ts";
import { ALL_ACCESS, type DevicePolicy, type DeviceRule } from "../cgroup-common/devices.ts";

/** Arguments of the action `device-program`. */
export interface DeviceProgram {
  readonly directory: string;
  readonly policy: DevicePolicy;
}

// Registers. R0 is the answer, R1 the context (struct bpf_cgroup_dev_ctx: access_type, major, minor) and then scratch.
const [R0, R1, TYPE, ACCESS, MAJOR, MINOR] = [0, 1, 2, 3, 4, 5];

/** A device, or all of a number, and the access that is allowed to it when all rules are taken together. */
interface Cell {
  readonly type: "b" | "c";
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly access: number;
}

/**
 * What every device that a rule names may do, by all rules in order: a later one wins. The most particular come first,
 * so the first that a device matches is its answer, and the kernel's verifier has one simple block for each to read.
 */
export function deviceCells({ allowAll, rules }: DevicePolicy): Cell[] {
  const cells = new Map<string, Omit<Cell, "access">>();
  const add = (type: "b" | "c", major: number | undefined, minor: number | undefined): void => {
    cells.set(`${type} ${major}:${minor}`, { type, major, minor });
  };
  for (const { type, major, minor } of rules) add(type, major, minor);
  // Where "all of a major" and "all of a minor" meet, both count.
  const majors = [...cells.values()].filter(({ major, minor }) => major !== undefined && minor === undefined);
  const minors = [...cells.values()].filter(({ major, minor }) => major === undefined && minor !== undefined);
  for (const { type, major } of majors) {
    for (const other of minors) if (other.type === type) add(type, major, other.minor);
  }
  const wildcards = ({ major, minor }: Omit<Cell, "access">): number =>
    Number(major === undefined) + Number(minor === undefined);
  return [...cells.values()]
    .sort((a, b) => wildcards(a) - wildcards(b))
    .map((cell) => ({ ...cell, access: accessOf(cell, allowAll, rules) }));
}

function accessOf(cell: Omit<Cell, "access">, allowAll: boolean, rules: readonly DeviceRule[]): number {
  let access = allowAll ? ALL_ACCESS : 0;
  for (const rule of rules) {
    if (rule.type !== cell.type) continue;
    if (rule.major !== undefined && rule.major !== cell.major) continue;
    if (rule.minor !== undefined && rule.minor !== cell.minor) continue;
    access = rule.allow ? access | rule.access : access & ~rule.access;
  }
  return access;
}

/** The program of a policy: 1 allows, 0 refuses. All the access that is asked for at once must be allowed. */
export function deviceProgram(policy: DevicePolicy): BpfInstruction[] {
  const code: BpfInstruction[] = [
    { op: "ldxw", register: TYPE, source: R1, offset: 0 },
    { op: "mov32", register: ACCESS, source: TYPE },
    { op: "and32", register: TYPE, immediate: 0xffff },
    { op: "rsh32", register: ACCESS, immediate: 16 },
    { op: "ldxw", register: MAJOR, source: R1, offset: 4 },
    { op: "ldxw", register: MINOR, source: R1, offset: 8 },
  ];
  for (const cell of deviceCells(policy)) code.push(...cellCode(cell, code.length));
  code.push(...answer(policy.allowAll));
  return code;
}

/** The block of one cell, which starts at instruction `start` and, where it does not match, leads behind itself. */
function cellCode(cell: Cell, start: number): BpfInstruction[] {
  const tests: [register: number, value: number][] = [
    [TYPE, cell.type === "c" ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK],
  ];
  for (const [register, value] of [
    [MAJOR, cell.major],
    [MINOR, cell.minor],
  ] as const) {
    if (value === undefined) continue;
    tests.push([register, value]);
  }
  const match: BpfInstruction[] = [];
  // A jump's immediate has a sign, the numbers have none: above 2^31 they are compared in a register.
  for (const [register, value] of tests) {
    if (value < 0x80000000) match.push({ op: "jne", register, immediate: value });
    else match.push({ op: "mov32", register: R1, immediate: value }, { op: "jne", register, source: R1 });
  }
  const rest: BpfInstruction[] = [];
  if (cell.access === ALL_ACCESS || cell.access === 0) {
    rest.push(...answer(cell.access !== 0));
  } else {
    const refuse = start + match.length + 5;
    rest.push({ op: "mov32", register: R1, source: ACCESS });
    rest.push({ op: "and32", register: R1, immediate: ~cell.access });
    rest.push({ op: "jne", register: R1, immediate: 0, target: refuse });
    rest.push(...answer(true), ...answer(false));
  }
  const end = start + match.length + rest.length;
  return [...match.map((one) => (one.op === "jne" ? { ...one, target: end } : one)), ...rest];
}

function answer(allow: boolean): BpfInstruction[] {
  return [{ op: "mov32", register: R0, immediate: allow ? 1 : 0 }, { op: "exit" }];
}

/** The program as a plan shows it; none where everything is allowed. */
export function programLines({ policy }: DeviceProgram): string[] {
  if (policy.allowAll && policy.rules.length === 0) return [];
  return disassembler().disassembleBpf(assembleBpf(deviceProgram(policy)));
}

/**
 * The programs that the kernel asks for a process in that directory, as it has them: first those that are attached to it,
 * then those of the cgroups above.
 */
export function attachedPrograms(directory: string): string[] {
  return withFd(open(directory, O_RDONLY | O_DIRECTORY), (cgroup) => {
    const own = deviceProgramIds(cgroup);
    const above = effectiveProgramIds(cgroup).filter((id) => !own.includes(id));
    return [
      ...own.flatMap((id) => programText(id, directory)),
      ...above.flatMap((id) => programText(id, "a cgroup above it")),
    ];
  });
}

function programText(id: number, where: string): string[] {
  const info = programInfo(id);
  const head = `eBPF program ${id}`;
  if (info === undefined) return [`${head}, attached to ${where}: may not be looked at`];
  const { name, tag, code } = info;
  return [
    `${head} ${name === "" ? "(no name)" : name}, tag ${tag}, attached to ${where}`,
    ...disassembler().disassembleBpf(code),
  ];
}

/** Loaded only where somebody wants to see a program. */
function disassembler(): typeof import("./disassemble.ts") {
  return require("./disassemble.ts") as typeof import("./disassemble.ts");
}

/** Loads the program of the policy and attaches it in place of the one before. Everything allowed needs none. */
export function attachDevices({ directory, policy }: DeviceProgram): void {
  const cgroup = open(directory, O_RDONLY | O_DIRECTORY);
  withFd(cgroup, () => {
    if (policy.allowAll && policy.rules.length === 0) {
      detachDevicePrograms(cgroup);
      return;
    }
    const program = loadDeviceProgram(assembleBpf(deviceProgram(policy)));
    try {
      attachDeviceProgram(cgroup, program);
    } finally {
      close(program);
    }
  });
}

/**
 * Takes a program of ours off that an earlier container has left. Who may not look for one is held by it; a directory that
 * is no cgroup (EBADF) has none.
 */
export function detachDevices(directory: string): void {
  withFd(open(directory, O_RDONLY | O_DIRECTORY), (cgroup) => {
    try {
      detachDevicePrograms(cgroup);
    } catch (thrown) {
      const { errno } = asCtrError(thrown);
      if (errno !== "EPERM" && errno !== "EBADF") throw thrown;
    }
  });
}
