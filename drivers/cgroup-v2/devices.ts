/**
 * Devices on v2, where no file holds them: the policy as an eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE), which the
 * kernel asks at every open and mknod. Source: Documentation/admin-guide/cgroup-v2.rst, "Device controller".
 */
import {
  assembleBpf,
  attachDeviceProgram,
  BPF_DEVCG_DEV_BLOCK,
  BPF_DEVCG_DEV_CHAR,
  type BpfInstruction,
  detachDevicePrograms,
  loadDeviceProgram,
} from "../../src/kernel/bpf.ts";
import { O_DIRECTORY, O_RDONLY } from "../../src/kernel/constants.ts";
import { close, open, withFd } from "../../src/kernel/file.ts";
import { ALL_ACCESS, type DevicePolicy, type DeviceRule } from "../cgroup-common/devices.ts";
import { badValue } from "../cgroup-common/setting.ts";

/** Arguments of the action `device-program`. */
export interface DeviceProgram {
  readonly directory: string;
  readonly policy: DevicePolicy;
}

// Registers. R0 is the answer, R1 the context (struct bpf_cgroup_dev_ctx: access_type, major, minor) and then scratch.
const [R0, R1, TYPE, ACCESS, MAJOR, MINOR] = [0, 1, 2, 3, 4, 5];
const MOST_NUMBER = 0xffffffff;

/**
 * The program of a policy: 1 allows, 0 refuses. Rules are tried from the last to the first, so a later one wins. One
 * open may ask for several kinds of access at once: it is refused when a rule refuses one of them, and allowed when
 * rules have allowed all of them, each by whichever comes last for it.
 */
export function deviceProgram({ allowAll, rules }: DevicePolicy): BpfInstruction[] {
  const code: BpfInstruction[] = [
    { op: "ldxw", register: TYPE, source: R1, offset: 0 },
    { op: "mov32", register: ACCESS, source: TYPE },
    { op: "and32", register: TYPE, immediate: 0xffff },
    { op: "rsh32", register: ACCESS, immediate: 16 },
    { op: "ldxw", register: MAJOR, source: R1, offset: 4 },
    { op: "ldxw", register: MINOR, source: R1, offset: 8 },
  ];
  for (const rule of [...rules].reverse()) code.push(...ruleCode(rule, code.length));
  code.push({ op: "mov32", register: R0, immediate: allowAll ? 1 : 0 }, { op: "exit" });
  return code;
}

/** The block of one rule, which starts at instruction `start` and, where it does not match, leads behind itself. */
function ruleCode(rule: DeviceRule, start: number): BpfInstruction[] {
  const tests: [register: number, value: number][] = [
    [TYPE, rule.type === "c" ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK],
  ];
  for (const [register, value] of [
    [MAJOR, rule.major],
    [MINOR, rule.minor],
  ] as const) {
    if (value === undefined) continue;
    if (value > MOST_NUMBER) throw badValue("devices", `${value} is no device number`);
    tests.push([register, value]);
  }
  const whole = rule.access === ALL_ACCESS;
  const rest: BpfInstruction[] = [];
  // A jump's immediate has a sign, the numbers have none: above 2^31 they are compared in a register.
  for (const [register, value] of tests) {
    if (value < 0x80000000) rest.push({ op: "jne", register, immediate: value });
    else rest.push({ op: "mov32", register: R1, immediate: value }, { op: "jne", register, source: R1 });
  }
  if (!whole) {
    if (rule.allow) {
      // What this rule allows needs no other rule any more; what is left does.
      rest.push({ op: "and32", register: ACCESS, immediate: ~rule.access });
      rest.push({ op: "jne", register: ACCESS, immediate: 0 });
    } else {
      rest.push(
        { op: "mov32", register: R1, source: ACCESS },
        { op: "and32", register: R1, immediate: rule.access },
      );
      rest.push({ op: "jeq", register: R1, immediate: 0 });
    }
  }
  rest.push({ op: "mov32", register: R0, immediate: rule.allow ? 1 : 0 }, { op: "exit" });
  const end = start + rest.length;
  return rest.map((one) => (one.op === "jne" || one.op === "jeq" ? { ...one, target: end } : one));
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
