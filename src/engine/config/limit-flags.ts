/**
 * The flags that limit a container, each read by itself: to Docker's HostConfig, or an error that names the flag.
 * Not here: how limits go together (limit-rules.ts), linux.resources (resources.ts), disks (block-io.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import { maskOfList } from "../../plan/number-list.ts";
import type { HostLimits } from "../record.ts";
import { type BlockIoFlags, parseBlockIo } from "./block-io.ts";
import { CPU_PERIOD, parseCount, parseCpus, parseSize } from "./size.ts";

/** As typed. */
export interface LimitFlags extends BlockIoFlags {
  readonly memory?: string | undefined;
  readonly "memory-swap"?: string | undefined;
  readonly "memory-reservation"?: string | undefined;
  readonly "memory-swappiness"?: string | undefined;
  readonly "kernel-memory"?: string | undefined;
  readonly "oom-kill-disable"?: boolean;
  readonly cpus?: string | undefined;
  readonly "cpu-shares"?: string | undefined;
  readonly "cpu-quota"?: string | undefined;
  readonly "cpu-period"?: string | undefined;
  readonly "cpu-rt-period"?: string | undefined;
  readonly "cpu-rt-runtime"?: string | undefined;
  readonly "cpuset-cpus"?: string | undefined;
  readonly "cpuset-mems"?: string | undefined;
  readonly "pids-limit"?: string | undefined;
}

/** What this host can limit. */
export interface LimitHost {
  readonly cpus: number;
  /** Whether the kernel counts swap for a cgroup. */
  readonly swapLimit: boolean;
  /** CPUs that are online, and memory nodes, as lists: `0-3`. */
  readonly cpuList: string;
  readonly nodeList: string;
}

/** Nanoseconds of `--cpus 1`, in each second. */
const NANO_CPU = 1_000_000_000;
/** max_cfs_quota_period and its least, of kernel/sched/core.c; of quotas the least is the same. */
const [LEAST_PERIOD, MOST_PERIOD] = [1000, 1_000_000];
/** MIN_SHARES and MAX_SHARES of kernel/sched/sched.h. */
const [LEAST_SHARES, MOST_SHARES] = [2, 262_144];

/** The limits that flags ask for; what is not asked for, or is Docker's word for not set (0), is left out. */
export function parseLimits(flags: LimitFlags, host: LimitHost): HostLimits {
  const swap = flags["memory-swap"];
  const swappiness = within(flags, "memory-swappiness", -1, 100, "-1: as the host has it");
  const limits: HostLimits = {
    memory: unlessZero(flags.memory, (text) => parseSize(text, "--memory")),
    memorySwap: swap === "-1" ? -1 : unlessZero(swap, (text) => parseSize(text, "--memory-swap")),
    memoryReservation: unlessZero(flags["memory-reservation"], (text) =>
      parseSize(text, "--memory-reservation"),
    ),
    memorySwappiness: swappiness === -1 ? undefined : swappiness,
    oomKillDisable: flags["oom-kill-disable"] === true ? true : undefined,
    nanoCpus: unlessZero(flags.cpus, (text) => (parseCpus(text, host.cpus) / CPU_PERIOD) * NANO_CPU),
    cpuShares: zeroOr(flags, "cpu-shares", LEAST_SHARES, MOST_SHARES),
    cpuQuota: quotaOf(flags["cpu-quota"]),
    cpuPeriod: zeroOr(flags, "cpu-period", LEAST_PERIOD, MOST_PERIOD, "microseconds"),
    cpuRealtimePeriod: zeroOr(flags, "cpu-rt-period", 1, MOST_COUNT, "microseconds"),
    cpuRealtimeRuntime: zeroOr(flags, "cpu-rt-runtime", 1, MOST_COUNT, "microseconds"),
    cpusetCpus: setOf(flags["cpuset-cpus"], "--cpuset-cpus", "CPUs", host.cpuList),
    cpusetMems: setOf(flags["cpuset-mems"], "--cpuset-mems", "memory nodes", host.nodeList),
    pidsLimit: pidsOf(flags["pids-limit"]),
    ...parseBlockIo(flags),
  };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)) as HostLimits;
}

/** What is said of a flag that no kernel holds any more; its value must be one all the same. */
export function kernelMemoryWarnings(flags: LimitFlags): string[] {
  const text = flags["kernel-memory"];
  if (text === undefined || parseSize(text, "--kernel-memory") === 0) return [];
  return ["--kernel-memory is ignored: kernels since 5.16 no longer limit kernel memory alone"];
}

/** `--oom-score-adj` (proc_pid_oom_score_adj(5)). */
export function parseOomScoreAdj(text: string | undefined): number | undefined {
  return within({ "oom-score-adj": text }, "oom-score-adj", -1000, 1000, "1000: killed first, -1000: never");
}

const MOST_COUNT = Number.MAX_SAFE_INTEGER;

/** 0 is Docker's word for not set. */
function unlessZero(text: string | undefined, read: (text: string) => number): number | undefined {
  if (text === undefined || /^0*\.?0+$/.test(text)) return undefined;
  return read(text) || undefined;
}

function within<const N extends string>(
  flags: { readonly [name in N]?: string | undefined },
  name: N,
  least: number,
  most: number,
  hint: string,
): number | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw badLimit(`--${name}`, `${JSON.stringify(text)} is not from ${least} to ${most}`, hint);
}

function zeroOr<const N extends string>(
  flags: { readonly [name in N]?: string | undefined },
  name: N,
  least: number,
  most: number,
  unit?: string,
): number | undefined {
  if (/^[+-]?0+$/.test(flags[name] ?? "")) return undefined;
  const range = most === MOST_COUNT ? `from ${least} up` : `from ${least} to ${most}`;
  return within(
    flags,
    name,
    least,
    most,
    `a whole number${unit === undefined ? "" : ` of ${unit}`} ${range}`,
  );
}

function quotaOf(text: string | undefined): number | undefined {
  if (text === "-1") return -1;
  return zeroOr({ "cpu-quota": text }, "cpu-quota", LEAST_PERIOD, MOST_COUNT, "microseconds");
}

function pidsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const limit = parseCount(text, "--pids-limit");
  return limit === 0 ? -1 : limit;
}

/** A list as in cpuset(7), of what the host has. */
function setOf(text: string | undefined, flag: string, what: string, available: string): string | undefined {
  if (text === undefined || text === "") return undefined;
  const asked = maskOfFlag(text, flag);
  const there = maskOfList(available, flag);
  if (asked.some((bits, at) => (bits & ~(there[at] ?? 0)) !== 0)) {
    throw badLimit(flag, `${text} is not all available`, `of ${what} this host has ${available}`);
  }
  return text;
}

function maskOfFlag(text: string, flag: string): Uint8Array {
  try {
    return maskOfList(text, flag);
  } catch (cause) {
    const message = `${JSON.stringify(text)} is not a list of numbers`;
    throw fail({ code: "INVALID_FLAG", field: flag, message, hint: 'write it like "0-3,7"', cause });
  }
}

function badLimit(field: string, message: string, hint: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message, hint });
}
