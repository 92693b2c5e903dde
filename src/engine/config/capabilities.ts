/**
 * The capabilities of a container: Docker's default fourteen, `--cap-add`, `--cap-drop`, `--privileged`.
 * Not here: how sets are applied to a process (plan).
 */
import { fail } from "../../error.ts";
import { CAPABILITIES, capabilityNumber } from "../../kernel/capabilities.ts";
import type { Capabilities } from "../../spec/runtime/config.ts";

/** What a container may do when no one says otherwise. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

/** What is asked for. */
export interface CapabilityFlags {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
  /** Bounding set of ctr-bun: no container has what its maker has not. */
  readonly host: bigint;
}

/** Names, in the kernel's order. `ALL` means all that this host has. */
export function chooseCapabilities(flags: CapabilityFlags): string[] {
  const onHost: string[] = CAPABILITIES.filter((_name, bit) => (flags.host >> BigInt(bit)) & 1n);
  if (flags.privileged) return onHost;
  const add = flags.add.map((name) => capabilityName(name, "--cap-add"));
  const drop = flags.drop.map((name) => capabilityName(name, "--cap-drop"));
  const named = add.filter((name) => name !== "ALL");
  for (const name of named) {
    if (onHost.includes(name)) continue;
    throw fail({
      code: "INVALID_FLAG",
      field: "--cap-add",
      message: `${name} is not in the bounding set of ctr-bun itself`,
      hint: "start ctr-bun from a process that has it",
    });
  }
  // Docker's order: ALL added gives way to names dropped; else names added win over whatever is dropped.
  const chosen = new Set<string>(
    add.includes("ALL")
      ? onHost.filter((name) => !drop.includes(name))
      : drop.includes("ALL")
        ? named
        : [...DEFAULT_CAPABILITIES.filter((name) => !drop.includes(name)), ...named],
  );
  return onHost.filter((name) => chosen.has(name));
}

/** What a person should know: that this host does not have all of what `--privileged` or `ALL` asks for. */
export function capabilityWarnings({ add, privileged, host }: CapabilityFlags): string[] {
  const addsAll = add.some((name) => /^(cap_)?all$/i.test(name));
  if (!privileged && !addsAll) return [];
  const missing = CAPABILITIES.filter((_name, bit) => ((host >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) return [];
  const flag = privileged ? "--privileged" : "--cap-add ALL";
  return [`${flag}: this host does not have, and the container does not get, ${missing.join(", ")}`];
}

/** `net_admin`, `CAP_NET_ADMIN`, `all` to the kernel's name. */
function capabilityName(text: string, field: string): string {
  const upper = text.toUpperCase();
  if (upper === "ALL" || upper === "CAP_ALL") return "ALL";
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (capabilityNumber(name) < 0) {
    throw fail({
      code: "INVALID_FLAG",
      field,
      message: `there is no capability ${JSON.stringify(text)}`,
      hint: "capabilities(7) lists them: NET_ADMIN, SYS_PTRACE, ..., or ALL",
    });
  }
  return name;
}

/**
 * The five sets. Inheritable and ambient stay empty (CVE-2022-24769); for a user that is not root, execve(2) would
 * clear the effective and permitted sets, so they are left empty from the start.
 */
export function capabilitySets(names: readonly string[], uid: number): Capabilities {
  const own = uid === 0 ? [...names] : [];
  return { bounding: [...names], effective: own, permitted: [...own], inheritable: [], ambient: [] };
}
