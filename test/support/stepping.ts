// Kills ctr-bun right before the n-th call with which it, or the init that it has made, changes anything. A filter of
// seccomp(2) in front of ctr-bun (SECCOMP_RET_USER_NOTIF) has this process asked before each such call, so that the
// moment is exact and nothing in ctr-bun knows of it.

import { readlinkSync } from "node:fs";
import {
  POLLHUP,
  POLLIN,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_SET_MODE_FILTER,
} from "../../src/kernel/constants.ts";
import { close, open } from "../../src/kernel/file.ts";
import { executableMemfd } from "../../src/kernel/memfd.ts";
import { viewOf } from "../../src/kernel/memory.ts";
import { poll } from "../../src/kernel/poll.ts";
import { spawn, tryPidfd, waitPid } from "../../src/kernel/process.ts";
import { sys } from "../../src/kernel/raw.ts";
import { receive, socketPair } from "../../src/kernel/socket.ts";
import { SYSCALLS, type Syscall } from "../../src/kernel/syscalls.ts";
import { writeProgram } from "../../src/machine/program.ts";
import { descriptorBuffers, descriptorPlace, row, sendDescriptor } from "../../src/plan/rows.ts";
import type { InitStep } from "../../src/plan/step.ts";
import { look, type Seen } from "./left.ts";

/** Calls that change something that others see. Reading does not, and is not waited for. */
const CALLS: readonly Syscall[] = [
  ...([
    "accept4",
    "bind",
    "capset",
    "chroot",
    "clone",
    "clone3",
    "connect",
    "fchmod",
    "flock",
    "keyctl",
  ] as const),
  ...(["kill", "linkat", "listen", "mkdirat", "mknodat", "mount", "mount_setattr", "move_mount"] as const),
  ...([
    "pidfd_send_signal",
    "pivot_root",
    "ppoll",
    "recvmsg",
    "renameat2",
    "setns",
    "setresuid",
    "setsid",
  ] as const),
  ...(["socketpair", "symlinkat", "umount2", "unlinkat", "unshare", "wait4", "write"] as const),
];

// include/uapi/linux/seccomp.h
const RET_USER_NOTIF = 0x7fc00000;
const RET_ALLOW = 0x7fff0000;
const NOTIF_RECV = 0xc0502100;
const NOTIF_SEND = 0xc0182101;
const CONTINUE = 1;
// include/uapi/linux/bpf_common.h
const BPF_LD_W_ABS = 0x20;
const BPF_JEQ_K = 0x15;
const BPF_RET_K = 0x06;

const COLUMN = process.arch === "arm64" ? 1 : 0;
const NAMES = new Map<number, Syscall>(CALLS.map((name) => [SYSCALLS[name][COLUMN], name]));

/** struct sock_filter[]: asks about the calls above, allows all others. */
function filter(): Uint8Array {
  const numbers = [...NAMES.keys()];
  const rows: [code: number, jt: number, jf: number, k: number][] = [[BPF_LD_W_ABS, 0, 0, 0]];
  numbers.forEach((nr, at) => {
    rows.push([BPF_JEQ_K, numbers.length - at, 0, nr]);
  });
  rows.push([BPF_RET_K, 0, 0, RET_ALLOW], [BPF_RET_K, 0, 0, RET_USER_NOTIF]);
  const bytes = new Uint8Array(rows.length * 8);
  const view = viewOf(bytes);
  rows.forEach(([code, jt, jf, k], at) => {
    view.setUint16(at * 8, code, true);
    view.setUint8(at * 8 + 2, jt);
    view.setUint8(at * 8 + 3, jf);
    view.setUint32(at * 8 + 4, k, true);
  });
  return bytes;
}

/** Becomes the command with the filter in front of it; the filter's listener goes to the other side of `report`. */
function launcher(command: readonly string[]): InitStep {
  const program = filter();
  const prog = { words: [program.byteLength / 8, { bytes: program }] };
  const env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", 0];
  return {
    on: "init",
    field: "process",
    about: "execute with a filter",
    buffers: descriptorBuffers("seccomp"),
    rows: [
      row("fcntl", [{ fd: "report" }, 2, 1]),
      row("seccomp", [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, prog], {
        store: descriptorPlace("seccomp"),
      }),
      sendDescriptor("seccomp"),
      row("execve", [command[0] ?? "", { words: [...command, 0] }, { words: env }]),
    ],
  };
}

/** What became of it. */
export interface Stepped {
  /** The exit code; 137 where it was killed. */
  readonly code: number;
  /** The calls that were asked about, in order, with who makes them: `ctr-bun mkdirat`, `init mount`. */
  readonly calls: readonly string[];
  /** Inits that were seen. */
  readonly seen: Seen;
  /** Lets those go on that have not ended; until there are none, or `until` has come. */
  settle(until: Promise<unknown>): Promise<void>;
}

/** Runs the command; kills it right before the call with this index, where one is given. Its errors go to `errors`. */
export function stepTo(command: readonly string[], errors: string, at?: number): Stepped {
  const [channel, report] = socketPair();
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  const { elf } = writeProgram({ steps: [launcher(command)], arch, descriptors: { report } });
  const memfd = executableMemfd("launcher", elf);
  const [nowhere, err] = [open("/dev/null", 2), open(errors, 0o1101, 0o644)];
  let pid: number;
  try {
    pid = spawn({
      program: memfd,
      argv: ["launcher"],
      env: [],
      stdio: [nowhere, nowhere, err],
      inherit: [report],
    });
  } finally {
    for (const fd of [memfd, report, nowhere, err]) close(fd);
  }
  const { fd: listener } = receive(channel, new Uint8Array(12));
  close(channel);
  if (listener === undefined) throw new Error("the launcher ended before it had a filter");
  const calls: string[] = [];
  const seen: Seen = new Map();
  const notice = new Uint8Array(80);
  const answer = new Uint8Array(24);
  const [noticed, answered] = [viewOf(notice), viewOf(answer)];
  /** Answers one question; whoever asked may be gone by then. */
  const serve = (): void => {
    notice.fill(0);
    if (sys("ioctl", listener, NOTIF_RECV, notice) !== 0) return;
    const asker = noticed.getUint32(8, true);
    const isInit = asker !== pid && isTheInit(asker);
    if (asker === pid || isInit) {
      if (isInit && !seen.has(asker)) seen.set(asker, look(asker)?.started ?? "");
      if (calls.length === at) sys("kill", pid, 9);
      calls.push(`${isInit ? "init" : "ctr-bun"} ${NAMES.get(noticed.getInt32(16, true))}`);
    }
    answered.setBigUint64(0, noticed.getBigUint64(0, true), true);
    answered.setUint32(20, CONTINUE, true);
    sys("ioctl", listener, NOTIF_SEND, answer);
  };
  const pidfd = tryPidfd(pid);
  for (;;) {
    const [asked = 0, ended = 0] = poll([
      { fd: listener, events: POLLIN },
      { fd: pidfd, events: POLLIN },
    ]);
    if ((asked & POLLIN) !== 0) serve();
    else if (ended !== 0) break;
  }
  close(pidfd);
  const code = waitPid(pid)?.code ?? -1;
  return {
    code,
    calls,
    seen,
    async settle(until) {
      let over = false;
      const end = () => {
        over = true;
      };
      until.then(end, end);
      while (!over) {
        const [asked = 0] = poll([{ fd: listener, events: POLLIN }], 0);
        if ((asked & POLLIN) !== 0) serve();
        else if ((asked & POLLHUP) !== 0) break;
        else await Bun.sleep(1);
      }
      await until.finally(() => close(listener));
    },
  };
}

function isTheInit(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).startsWith("/memfd:init");
  } catch {
    return false;
  }
}
