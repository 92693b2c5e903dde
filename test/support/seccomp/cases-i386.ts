// What filters do to the calls of i386: those of 32-bit programs, and those that 64-bit ones make by int $0x80. As cases.ts;
// for a kernel that runs 32-bit programs.

import { ERRNO } from "../../../src/kernel/errno.ts";
import type { LinuxSeccomp } from "../../../src/spec/runtime/seccomp.ts";
import { type Case, KILLED, SIGSYS } from "./cases.ts";
import { type Bits, callsOf } from "./program.ts";

/** 32-bit calls where only 64-bit ones are covered. */
function uncovered(bits: Bits): Case {
  const call = callsOf(bits);
  const seccomp: LinuxSeccomp = { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"] };
  if (bits === 32)
    return {
      name: "a 32-bit program where it is not covered",
      seccomp,
      ask: [],
      told: [],
      code: 128 + SIGSYS,
    };
  return {
    name: "int $0x80 where it is not covered",
    seccomp,
    ask: [call("int80fork", "getpid")],
    told: [`getpid ${KILLED}`],
  };
}

/** The 32-bit way of a program, whatever its own bits are; i386 has calls behind one call too. */
function interrupts(bits: Bits): Case {
  const call = callsOf(bits);
  const [SYS_SOCKET, SYS_BIND] = [1, 2];
  const [SEMGET, MSGGET, SHMGET] = [2, 13, 23];
  return {
    name: "int $0x80, socketcall and ipc",
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls: [
        { names: ["getppid"], action: "SCMP_ACT_ERRNO", errnoRet: ERRNO.EOPNOTSUPP },
        { names: ["socket", "msgget"], action: "SCMP_ACT_ERRNO", errnoRet: ERRNO.EOPNOTSUPP },
        { names: ["shmget"], action: "SCMP_ACT_KILL_PROCESS" },
      ],
    },
    ask: [
      call("int80", "getpid"),
      call("int80", "getppid"),
      call("int80", "socketcall", [SYS_SOCKET], "socket"),
      call("int80", "socketcall", [SYS_BIND], "bind"),
      call("int80", "ipc", [MSGGET], "msgget"),
      call("int80fork", "ipc", [SHMGET], "shmget"),
      call("int80", "ipc", [SEMGET, 0, 1, 0], "semget"),
    ],
    told: [
      "getpid 1",
      `getppid ${-ERRNO.EOPNOTSUPP}`,
      `socket ${-ERRNO.EOPNOTSUPP}`,
      `bind ${-ERRNO.EFAULT}`,
      `msgget ${-ERRNO.EOPNOTSUPP}`,
      `shmget ${KILLED}`,
      "semget made",
    ],
  };
}

/** Those for a program of so many bits. */
export const i386Cases = (bits: Bits): Case[] => [uncovered(bits), interrupts(bits)];
