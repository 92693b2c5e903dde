/**
 * Errors of the runtime in the words of the command line: they name fields of a config.json that the person never
 * wrote. Not here: what is wrong.
 */
import { CtrError, fail } from "../error.ts";
import type { MountRequest } from "./config/mount-flags.ts";
import type { HostLimits } from "./record.ts";

const FLAGS: readonly (readonly [RegExp, string])[] = [
  [/^linux\.resources\.memory\.swap$/, "--memory-swap"],
  [/^linux\.resources\.memory\.reservation$/, "--memory-reservation"],
  [/^linux\.resources\.memory\.swappiness$/, "--memory-swappiness"],
  [/^linux\.resources\.memory\.disableOOMKiller$/, "--oom-kill-disable"],
  [/^linux\.resources\.memory\b/, "--memory"],
  [/^linux\.resources\.cpu\.shares$/, "--cpu-shares"],
  [/^linux\.resources\.cpu\.realtimePeriod$/, "--cpu-rt-period"],
  [/^linux\.resources\.cpu\.realtimeRuntime$/, "--cpu-rt-runtime"],
  [/^linux\.resources\.cpu\.cpus$/, "--cpuset-cpus"],
  [/^linux\.resources\.cpu\.mems$/, "--cpuset-mems"],
  [/^linux\.resources\.cpu$/, "--cpus"],
  [/^linux\.resources\.pids\b/, "--pids-limit"],
  [/^linux\.resources\.blockIO\.weightDevice\b/, "--blkio-weight-device"],
  [/^linux\.resources\.blockIO\.throttleReadBpsDevice\b/, "--device-read-bps"],
  [/^linux\.resources\.blockIO\.throttleWriteBpsDevice\b/, "--device-write-bps"],
  [/^linux\.resources\.blockIO\.throttleReadIOPSDevice\b/, "--device-read-iops"],
  [/^linux\.resources\.blockIO\.throttleWriteIOPSDevice\b/, "--device-write-iops"],
  [/^linux\.resources\.blockIO\b/, "--blkio-weight"],
  [/^linux\.resources\.unified\b/, "--cgroup-conf"],
  [/^linux\.cgroupsPath$/, "--cgroup-parent"],
  [/^linux\.seccomp\b/, "--security-opt seccomp"],
  [/^process\.oomScoreAdj$/, "--oom-score-adj"],
  [/^process\.cwd$/, "--workdir"],
  [/^process\.user\b/, "--user"],
  [/^process\.rlimits\b/, "--ulimit"],
];

/** What a mount in config.json, or a quota, was asked for with. */
export interface AskedParts {
  readonly limits?: HostLimits;
  readonly mounts: readonly { readonly destination: string }[];
  readonly requests: readonly Pick<MountRequest, "target" | "field">[];
}

/** The same error, naming the flag instead of the field where there is one. */
export function inFlags(error: unknown, asked?: AskedParts): unknown {
  if (!(error instanceof CtrError) || error.field === undefined) return error;
  const field = flagOf(error.field, asked);
  if (field === undefined) return error;
  const { code, step, syscall, path, errno, exitCode } = error;
  const message = inWords(error.message);
  const hint = error.hint === undefined ? undefined : inWords(error.hint);
  return fail({ code, message, field, step, syscall, path, errno, hint, exitCode, cause: error });
}

/** The same warning, naming flags. */
export function warningInFlags(message: string, limits?: HostLimits): string {
  const asked = limits === undefined ? undefined : { mounts: [], requests: [], limits };
  // One text names a second property, and that one by its last word.
  const whole = message.replace(" and realtimePeriod", " and linux.resources.cpu.realtimePeriod");
  return profileInWords(whole).replace(/\blinux\.[\w.]*\w/g, (field) => flagOf(field, asked) ?? field);
}

const RULES = /linux\.seccomp\.syscalls\[\d+\](?:(?: or| and) linux\.seccomp\.syscalls\[\d+\])*/g;

/** A profile is another file than config.json, and of one in Docker's form not all rules get there. */
function profileInWords(text: string): string {
  let isKnown = false;
  const rules = text.replace(RULES, (fields) => {
    const words = isKnown ? ["that rule", "those rules"] : ["a rule of the profile", "rules of the profile"];
    isKnown = true;
    return words[fields.includes(" ") ? 1 : 0] ?? "";
  });
  return rules
    .replace(/linux\.seccomp\.(\w+)/g, "$1 of the profile")
    .replaceAll("linux.seccomp", "the profile")
    .replace(/; to allow it, .*$/, "$& (--security-opt seccomp=FILE)");
}

/** Some texts name a field once more. */
function inWords(text: string): string {
  return profileInWords(text)
    .replaceAll("process.cwd", "the working directory")
    .replaceAll("linux.resources.memory.limit", "--memory");
}

function flagOf(field: string, asked: AskedParts | undefined): string | undefined {
  const index = /^mounts\[(\d+)\]/.exec(field)?.[1];
  if (index !== undefined) {
    const destination = asked?.mounts[Number(index)]?.destination;
    return asked?.requests.find(({ target }) => target === destination)?.field;
  }
  if (/^linux\.resources\.cpu\.(quota|period)$/.test(field)) {
    const flag = field.endsWith("quota") ? "--cpu-quota" : "--cpu-period";
    return asked?.limits?.nanoCpus === undefined ? flag : "--cpus";
  }
  return FLAGS.find(([pattern]) => pattern.test(field))?.[1];
}
