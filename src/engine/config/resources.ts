/**
 * Limits to linux.resources, apart from devices: memory, swap, CPUs, pids.
 * Not here: cgroups (drivers).
 */
import { type CtrError, fail } from "../../error.ts";
import type { LinuxResources } from "../../spec/runtime/config.ts";
import { CPU_PERIOD, parseCount, parseCpus, parseSize } from "./size.ts";

/** As typed. */
export interface LimitFlags {
  readonly memory?: string | undefined;
  readonly "memory-swap"?: string | undefined;
  readonly cpus?: string | undefined;
  readonly "pids-limit"?: string | undefined;
}

/** What this host can limit. */
export interface LimitHost {
  readonly cpus: number;
  /** Whether the kernel counts swap for a cgroup. */
  readonly swapLimit: boolean;
}

/** Limits and what a person should know about them. */
export interface Limits {
  readonly resources: Pick<LinuxResources, "memory" | "cpu" | "pids">;
  readonly warnings: readonly string[];
}

/** Limits for `flags`. Without --memory-swap, as much swap as memory may be used, as in Docker. */
export function buildLimits(flags: LimitFlags, host: LimitHost): Limits {
  const warnings: string[] = [];
  const resources: {
    memory?: LinuxResources["memory"];
    cpu?: LinuxResources["cpu"];
    pids?: LinuxResources["pids"];
  } = {};
  const memory = flags.memory === undefined ? undefined : parseSize(flags.memory, "--memory");
  if (memory === 0) throw badLimit("--memory", "0 is not a limit", "leave the flag out for no limit");
  const swap = swapLimit(flags["memory-swap"], memory);
  if (memory !== undefined) {
    resources.memory = { limit: memory };
    if (host.swapLimit && swap !== undefined) resources.memory.swap = swap;
    else if (flags["memory-swap"] !== undefined && swap !== -1) {
      warnings.push("this kernel does not count swap for a cgroup: --memory-swap has no effect");
    }
  }
  // 0 is Docker's word for no limit: over a limit of the configuration, too.
  if (flags.cpus !== undefined && !/^0*\.?0+$/.test(flags.cpus)) {
    resources.cpu = { quota: parseCpus(flags.cpus, host.cpus), period: CPU_PERIOD };
  }
  if (flags["pids-limit"] !== undefined) {
    const limit = parseCount(flags["pids-limit"], "--pids-limit");
    resources.pids = { limit: limit === 0 ? -1 : limit };
  }
  return { resources, warnings };
}

/** Bytes of memory and swap together, -1 for no limit; undefined where nothing is limited. */
function swapLimit(text: string | undefined, memory: number | undefined): number | undefined {
  if (text === undefined || text === "0") return memory === undefined ? undefined : memory * 2;
  if (text === "-1") return -1;
  const swap = parseSize(text, "--memory-swap");
  if (memory === undefined) {
    throw badLimit("--memory-swap", "it needs --memory", "it limits memory and swap together");
  }
  if (swap < memory) {
    throw badLimit("--memory-swap", `${text} is below --memory`, "it is memory and swap together");
  }
  return swap;
}

function badLimit(field: string, message: string, hint: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message, hint });
}
