// What filters do to calls in a real container, for a program of 64 bits or 32: profiles, calls, and what each call must
// come to. Run beside runc on the host (test/interop/seccomp-containers.test.ts), and in a virtual machine.

import { ERRNO } from "../../../src/kernel/errno.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, X32_SYSCALL_BIT } from "../../../src/kernel/seccomp.ts";
import type { LinuxSeccomp, LinuxSyscall, SeccompOperator } from "../../../src/spec/runtime/seccomp.ts";
import type { Config } from "../config.ts";
import { type Bits, callsOf, status } from "./program.ts";

/** One container. */
export interface Case {
  readonly name: string;
  readonly seccomp: LinuxSeccomp;
  /** Arguments of the program. */
  readonly ask: readonly string[];
  /** The lines that it prints. */
  readonly told: readonly string[];
  /** Its exit code; 0 where not said. */
  readonly code?: number;
  /** What runc says where it refuses the config: that of Debian 12 knows no flags. */
  readonly refusedByRunc?: string;
  change?(config: Config): void;
}

export const SIGSYS = 31;
/** si_code of a signal that a filter sent (include/uapi/asm-generic/siginfo.h). */
const SYS_SECCOMP = 1;
export const KILLED = `killed ${SIGSYS}`;

/** More than 32 bits, where the program has them. */
const boundary = (bits: Bits): bigint => (bits === 64 ? 0x1_0000_0005n : 5n);

/** Every action, told from each other by what the program lives to see. */
function actions(bits: Bits): Case {
  const call = callsOf(bits);
  const rule = (action: LinuxSyscall["action"], name: string, errnoRet?: number): LinuxSyscall => ({
    names: [name],
    action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
  });
  const arch = (bits === 64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_I386).toString(16);
  return {
    name: "every action",
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls: [
        rule("SCMP_ACT_ERRNO", "getppid", ERRNO.EOPNOTSUPP),
        rule("SCMP_ACT_ERRNO", "getpgrp"),
        rule("SCMP_ACT_KILL_PROCESS", "sethostname"),
        rule("SCMP_ACT_KILL_THREAD", "setdomainname"),
        rule("SCMP_ACT_KILL", "swapoff"),
        rule("SCMP_ACT_TRAP", "swapon"),
        rule("SCMP_ACT_LOG", "sched_yield"),
        rule("SCMP_ACT_TRACE", "sync", 5),
      ],
    },
    ask: [
      call("call", "getpid"),
      call("call", "getppid"),
      call("call", "getpgrp"),
      call("fork", "sethostname"),
      call("forkthread", "sethostname"),
      call("thread", "setdomainname"),
      call("forkthread", "setdomainname"),
      call("thread", "swapoff"),
      call("trap", "swapon"),
      call("fork", "swapon"),
      call("call", "sched_yield"),
      call("call", "sync"),
    ],
    told: [
      "getpid 1",
      `getppid ${-ERRNO.EOPNOTSUPP}`,
      `getpgrp ${-ERRNO.EPERM}`,
      `sethostname ${KILLED}`,
      `sethostname ${KILLED}`,
      "setdomainname gone",
      "setdomainname exit 7",
      "swapoff gone",
      `signal ${SIGSYS} code ${SYS_SECCOMP} call ${call.number("swapon")} arch ${arch} errno 0`,
      `swapon ${KILLED}`,
      "sched_yield 0",
      // Nobody traces it.
      `sync ${-ERRNO.ENOSYS}`,
    ],
  };
}

/** A call without arguments of its own for each comparison; which values hold, for value V: V-1, V, V+1, lower word. */
const operators: Readonly<
  Record<SeccompOperator, { name: string; holds: readonly [boolean, boolean, boolean, boolean] }>
> = {
  SCMP_CMP_NE: { name: "getppid", holds: [true, false, true, true] },
  SCMP_CMP_LT: { name: "getpgrp", holds: [true, false, false, true] },
  SCMP_CMP_LE: { name: "getuid", holds: [true, true, false, true] },
  SCMP_CMP_EQ: { name: "getgid", holds: [false, true, false, false] },
  SCMP_CMP_GE: { name: "geteuid", holds: [false, true, true, false] },
  SCMP_CMP_GT: { name: "getegid", holds: [false, false, true, false] },
  // 0x1_0000_0004 of 0x1_0000_0005 is asked for: V-1 has it, V as well, V+1 too.
  SCMP_CMP_MASKED_EQ: { name: "sched_yield", holds: [true, true, true, false] },
};

/** Comparisons around a value, beyond 2^32 for 64 bits. On 32 the lower word is the value. */
function comparisons(bits: Bits): Case {
  const call = callsOf(bits);
  const value = boundary(bits);
  const mask = value - 1n;
  const last = 5;
  const syscalls = Object.entries(operators).map(([op, { name }], index): LinuxSyscall => {
    const masked = op === "SCMP_CMP_MASKED_EQ";
    return {
      names: [name],
      action: "SCMP_ACT_ERRNO",
      errnoRet: ERRNO.EOPNOTSUPP,
      args: [
        {
          index: index % (last + 1),
          op: op as SeccompOperator,
          value: masked ? mask : value,
          ...(masked ? { valueTwo: mask } : {}),
        },
      ],
    };
  });
  const tried = [value - 1n, value, value + 1n, ...(bits === 64 ? [5n] : [])];
  const each = Object.values(operators).flatMap(({ name, holds }, index) =>
    tried.map((argument, at) => ({
      ask: call(
        "call",
        name,
        Array<bigint>(index % (last + 1))
          .fill(0n)
          .concat(argument),
        `${name}-${at}`,
      ),
      told: `${name}-${at} ${holds[at] ? "refused" : "made"}`,
    })),
  );
  return {
    name: "every comparison with an argument",
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls,
    },
    ask: each.map(({ ask }) => ask),
    told: each.map(({ told }) => told),
  };
}

/** Several conditions: all at once, or, on one argument, each for itself. */
function conditions(bits: Bits): Case {
  const call = callsOf(bits);
  const is = (index: number, value: bigint) => ({ index, op: "SCMP_CMP_EQ" as const, value });
  const high = boundary(bits);
  return {
    name: "several conditions",
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls: [
        {
          names: ["getppid"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: ERRNO.EOPNOTSUPP,
          args: [is(1, high), is(3, 7n)],
        },
        {
          names: ["getpgrp"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: ERRNO.EOPNOTSUPP,
          args: [is(2, 1n), is(2, high)],
        },
      ],
    },
    ask: [
      call("call", "getppid", [0, high, 0, 7], "both"),
      call("call", "getppid", [0, high, 0, 8], "first"),
      call("call", "getppid", [0, 0, 0, 7], "second"),
      call("call", "getpgrp", [0, 0, 1], "one"),
      call("call", "getpgrp", [0, 0, high], "other"),
      call("call", "getpgrp", [0, 0, 2], "neither"),
    ],
    told: ["both refused", "first made", "second made", "one refused", "other refused", "neither made"],
  };
}

/** Calls without a rule under a default that refuses: EPERM, and ENOSYS for what is newer than the profile. */
function newer(bits: Bits, defaultAction: "SCMP_ACT_ERRNO" | "SCMP_ACT_KILL_PROCESS"): Case {
  const call = callsOf(bits);
  const refused = defaultAction === "SCMP_ACT_ERRNO" ? `refused ${-ERRNO.EPERM}` : KILLED;
  return {
    name: `what the profile does not name, ${defaultAction}`,
    seccomp: {
      defaultAction,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls: [{ names: [...USUAL], action: "SCMP_ACT_ALLOW" }],
    },
    ask: [
      call("call", "getpid"),
      call("fork", "getppid", [], "refused"),
      ...(defaultAction === "SCMP_ACT_ERRNO" ? [call("call", "getppid", [], "refused")] : []),
      call("call", 900),
    ],
    told: [
      "getpid 1",
      ...(defaultAction === "SCMP_ACT_ERRNO" ? ["refused exit 7"] : []),
      refused,
      `900 ${-ERRNO.ENOSYS}`,
    ].map((line) => (line === KILLED ? `refused ${KILLED}` : line)),
  };
}

/** What a static program lives on, and the last steps of the runtimes, which are written in Go and C. */
const USUAL =
  `access arch_prctl brk clock_gettime clone clone3 close close_range epoll_ctl epoll_pwait execve exit
  exit_group faccessat2 fcntl fcntl64 fstat fstat64 fstatfs futex getcwd getdents64 getpid getrandom getrlimit gettid
  ioctl lseek madvise mmap mmap2 mprotect munmap nanosleep newfstatat openat openat2 prctl prlimit64 read readlink
  readlinkat rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_yield set_robust_list set_thread_area
  set_tid_address sigaltstack statx tgkill ugetrlimit uname wait4 waitid waitpid write writev`.match(
    /\S+/g,
  ) as string[];

/** x32's calls, numbers with a bit of their own, are another architecture. */
const x32: Case = (() => {
  const call = callsOf(64);
  const number = X32_SYSCALL_BIT | call.number("getppid");
  return {
    name: "x32 where it is not covered",
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["getppid"], action: "SCMP_ACT_ERRNO" }],
    },
    ask: [call("fork", number, [], "fork"), call("thread", number, [], "thread"), call("call", "getppid")],
    told: [`fork ${KILLED}`, "thread gone", `getppid ${-ERRNO.EPERM}`],
  } satisfies Case;
})();

const x32Covered: Case = (() => {
  const call = callsOf(64);
  const x32Of = (name: string) => X32_SYSCALL_BIT | call.number(name);
  return {
    name: "x32 where it is covered",
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X32"],
      syscalls: [{ names: ["getppid"], action: "SCMP_ACT_ERRNO", errnoRet: ERRNO.EOPNOTSUPP }],
    },
    ask: [call("call", x32Of("getppid"), [], "getppid"), call("call", x32Of("getpgrp"), [], "getpgrp")],
    // The kernels here have no x32: what is allowed does not exist.
    told: [`getppid ${-ERRNO.EOPNOTSUPP}`, `getpgrp ${-ERRNO.ENOSYS}`],
  } satisfies Case;
})();

/** Flags, as far as a process sees them; the same for all that the kernels here know. */
function flags(given: readonly string[]): Case {
  return {
    name: `flags ${given.join(" ") || "none"}`,
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      flags: given as LinuxSeccomp["flags"],
      syscalls: [{ names: ["getppid"], action: "SCMP_ACT_ERRNO" }],
    },
    ask: [callsOf(64)("call", "getppid"), status("Seccomp"), status("Seccomp_filters")],
    told: [`getppid ${-ERRNO.EPERM}`, "Seccomp:\t2", "Seccomp_filters:\t1"],
    ...(given.length === 0 ? {} : { refusedByRunc: "seccomp flags are not yet supported" }),
  };
}

const LOG = "SECCOMP_FILTER_FLAG_LOG";
const SPEC_ALLOW = "SECCOMP_FILTER_FLAG_SPEC_ALLOW";
const TSYNC = "SECCOMP_FILTER_FLAG_TSYNC";

/** With and without no_new_privs, and as root of a user namespace. */
function rights(noNewPrivileges: boolean, userNamespace: boolean): Case {
  const call = callsOf(64);
  return {
    name: `no_new_privs ${noNewPrivileges}${userNamespace ? ", in a user namespace" : ""}`,
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["swapon"], action: "SCMP_ACT_ERRNO" }],
    },
    ask: [call("call", "swapon"), status("NoNewPrivs"), status("Seccomp"), call("call", "getuid")],
    told: [`swapon ${-ERRNO.EPERM}`, `NoNewPrivs:\t${noNewPrivileges ? 1 : 0}`, "Seccomp:\t2", "getuid 0"],
    change(config) {
      config.process.noNewPrivileges = noNewPrivileges;
      if (!userNamespace) return;
      config.linux.namespaces.push({ type: "user" });
      const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      config.linux.uidMappings = mapping;
      config.linux.gidMappings = mapping;
      config.mounts = config.mounts.filter(({ destination }) => destination !== "/sys/fs/cgroup");
    },
  };
}

/** A program that its filter ends. */
function ended(action: LinuxSyscall["action"]): Case {
  const call = callsOf(64);
  return {
    name: `a program that ${action} ends`,
    seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["getppid"], action }] },
    ask: [call("call", "getpid"), call("call", "getppid")],
    told: ["getpid 1"],
    code: 128 + SIGSYS,
  };
}

/** Those for a program of so many bits. */
export const casesOf = (bits: Bits): Case[] => [
  actions(bits),
  comparisons(bits),
  conditions(bits),
  newer(bits, "SCMP_ACT_ERRNO"),
  newer(bits, "SCMP_ACT_KILL_PROCESS"),
];

/** Those in which bits make no difference. */
export const usualCases: readonly Case[] = [
  x32,
  x32Covered,
  ...[[], [LOG], [SPEC_ALLOW], [TSYNC], [LOG, SPEC_ALLOW, TSYNC]].map(flags),
  rights(true, false),
  rights(false, false),
  rights(true, true),
  rights(false, true),
  ended("SCMP_ACT_KILL_PROCESS"),
  ended("SCMP_ACT_KILL_THREAD"),
  ended("SCMP_ACT_TRAP"),
];

/** The output with results for which only success counts in words. */
export function inWords(out: string): string[] {
  return out
    .trimEnd()
    .split("\n")
    .map((line) =>
      line
        .replace(
          new RegExp(`^(\\w+-\\d+|both|first|second|one|other|neither) -${ERRNO.EOPNOTSUPP}$`),
          "$1 refused",
        )
        .replace(/^(\w+-\d+|both|first|second|one|other|neither|semget) \d+$/, "$1 made"),
    )
    .filter((line) => line !== "");
}
