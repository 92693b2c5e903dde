/**
 * `process.capabilities` in five sets (capabilities(7)). What cannot be granted is left out with a warning, as the
 * specification has it: names that the kernel does not know, what ctr-bun itself does not have, and what the kernel's
 * rules between the sets exclude. Pure. Not here: the user, which changes in between (identity.ts).
 */
import type { Host } from "../driver.ts";
import { CAPABILITIES, capabilityNumber } from "../kernel/capabilities.ts";
import {
  LINUX_CAPABILITY_VERSION_3,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
} from "../kernel/constants.ts";
import type { Capabilities } from "../spec/runtime/config.ts";
import { row } from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

/** The five sets, bit by capability number. */
export interface CapabilitySets {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/** Which capabilities there are to be given. */
export interface Grantable {
  /** Bit by number: the bounding set of ctr-bun, or all in a user namespace. */
  readonly bits: bigint;
  /** Highest number that the kernel knows. */
  readonly last: number;
}

/** In a user namespace that is entered or made every capability is to be had, below its own limits. */
export function grantable(host: Pick<Host, "capabilities">, last: number, userNamespace: boolean): Grantable {
  return { bits: userNamespace ? allCapabilities(last) : host.capabilities, last };
}

/** Every capability that the kernel knows. */
export function allCapabilities(last: number): bigint {
  return (1n << BigInt(last + 1)) - 1n;
}

/** The sets that the process gets; what of the config is left out is told in `warnings`. */
export function grantedSets(
  capabilities: Capabilities | undefined,
  { bits: grantable, last }: Grantable,
  warnings: string[],
): CapabilitySets {
  const possible = grantable & allCapabilities(last);
  const unavailable = new Set<string>();
  const asked = (names: readonly string[] | undefined): bigint => {
    let bits = 0n;
    for (const name of names ?? []) {
      const number = capabilityNumber(name);
      const bit = number < 0 ? 0n : 1n << BigInt(number);
      if ((possible & bit) === 0n) unavailable.add(name);
      else bits |= bit;
    }
    return bits;
  };
  const bounding = asked(capabilities?.bounding);
  const permitted = asked(capabilities?.permitted);
  const effective = asked(capabilities?.effective);
  const inheritable = asked(capabilities?.inheritable);
  const ambient = asked(capabilities?.ambient);
  if (unavailable.size > 0) {
    const names = [...unavailable].sort().join(" ");
    // runc's words.
    warnings.push(`process.capabilities: ignoring unknown or unavailable capabilities: [${names}]`);
  }
  const within = (set: keyof Capabilities, bits: bigint, limit: bigint, why: string): bigint => {
    const left = bits & ~limit;
    if (left !== 0n)
      warnings.push(`process.capabilities.${set}: left out, as not ${why}: ${namesOf(left).join(", ")}`);
    return bits & limit;
  };
  const inherited = within("inheritable", inheritable, bounding, "in the bounding set");
  return {
    bounding,
    permitted,
    effective: within("effective", effective, permitted, "permitted"),
    inheritable: inherited,
    ambient:
      // Without any inheritable set nothing was ever meant to become ambient: `spec` itself writes it so.
      capabilities?.inheritable === undefined
        ? 0n
        : within("ambient", ambient, permitted & inherited, "inheritable and permitted"),
  };
}

function namesOf(bits: bigint): string[] {
  return CAPABILITIES.filter((_, number) => ((bits >> BigInt(number)) & 1n) === 1n);
}

/** What is not in the bounding set goes for good, while there still is CAP_SETPCAP. */
export function boundingSteps({ bounding }: CapabilitySets, last: number): InitStep[] {
  const drops: Row[] = [];
  for (let number = 0; number <= last; number++) {
    if ((bounding & (1n << BigInt(number))) === 0n)
      drops.push(row("prctl", [PR_CAPBSET_DROP, number, 0, 0, 0]));
  }
  if (drops.length === 0) return [];
  return [
    {
      on: "init",
      field: "process.capabilities.bounding",
      about: `drop ${drops.length} capabilities for good`,
      rows: drops,
    },
  ];
}

/** The other four sets, of the user that the process has become. */
export function capabilitySteps(sets: CapabilitySets, last: number): InitStep[] {
  const raises = [row("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0])];
  for (let number = 0; number <= last; number++) {
    if ((sets.ambient & (1n << BigInt(number))) !== 0n)
      raises.push(row("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0]));
  }
  return [
    {
      on: "init",
      field: "process.capabilities",
      about: "set the effective, permitted and inheritable capabilities",
      rows: [
        row("capset", [
          { bytes: new Uint8Array(Uint32Array.of(LINUX_CAPABILITY_VERSION_3, 0).buffer) },
          { bytes: capabilityData(sets) },
        ]),
      ],
      hints: { EPERM: "a capability is asked for that ctr-bun itself does not have here" },
    },
    {
      on: "init",
      field: "process.capabilities.ambient",
      about: "set the ambient capabilities",
      rows: raises,
    },
  ];
}

/** Two struct __user_cap_data_struct (capset(2)). */
function capabilityData({ effective, permitted, inheritable }: CapabilitySets): Uint8Array {
  const low = (bits: bigint) => Number(bits & 0xffffffffn);
  const high = (bits: bigint) => Number(bits >> 32n);
  const words = [low, high].flatMap((half) => [half(effective), half(permitted), half(inheritable)]);
  return new Uint8Array(Uint32Array.from(words).buffer);
}
