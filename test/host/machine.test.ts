/**
 * The machine as an init on this kernel, as root: new namespaces, reports over a SOCK_SEQPACKET channel, waiting, and
 * what ctr-bun sees when it ends. Its rows one by one: test/unit/machine. Whole containers: the other tests here.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import {
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  CLONE_PARENT,
  O_RDWR,
} from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close, open, readAll, withFd } from "../../src/kernel/file.ts";
import { executableMemfd } from "../../src/kernel/memfd.ts";
import { viewOf, words, words32 } from "../../src/kernel/memory.ts";
import { spawn, tryKill, waitPid } from "../../src/kernel/process.ts";
import { sys } from "../../src/kernel/raw.ts";
import { receive, socketPair } from "../../src/kernel/socket.ts";
import { type MachineArch, writeProgram } from "../../src/machine/program.ts";
import { REPORT, reportBytes } from "../../src/machine/report.ts";
import type { InitStep, Row } from "../../src/plan/step.ts";

const arch: MachineArch = process.arch === "arm64" ? "aarch64" : "x86_64";
const REPORT_FD = 100;

type Buffers = NonNullable<InitStep["buffers"]>;

let ours = -1;
let theirs = -1;
beforeEach(() => {
  [ours, theirs] = socketPair();
});
afterEach(() => {
  close(ours);
  close(theirs);
});

/** Starts a program whose report channel is `theirs`, at a known number, and closes our copy of it. */
function start(rows: readonly Row[], buffers: Buffers = {}): number {
  const high = sys("fcntl", theirs, 1030, REPORT_FD);
  const { elf } = writeProgram({
    arch,
    steps: [{ on: "init", field: "test", about: "test", rows, buffers }],
    descriptors: { report: high },
  });
  const pid = withFd(executableMemfd("init", elf), (program) =>
    withFd(open("/dev/null", O_RDWR), (nothing) =>
      spawn({ program, argv: ["init"], env: [], stdio: [nothing, nothing, nothing], inherit: [high] }),
    ),
  );
  close(high);
  close(theirs);
  theirs = -1;
  return pid;
}

/** The next message: its three numbers and a descriptor; undefined at the end of file. */
function next(): { numbers: number[]; fd: number | undefined } | undefined {
  const bytes = new Uint8Array(16);
  const { length, fd } = receive(ours, bytes);
  if (length === 0) return undefined;
  expect(length).toBe(12);
  const view = viewOf(bytes);
  return { numbers: [0, 4, 8].map((at) => view.getUint32(at, true)), fd };
}

function send(kind: number, a = 0): Row {
  return { call: "write", args: [{ fd: "report" }, { bytes: reportBytes(kind, a) }, 12] };
}
const WAIT: Row = { call: "read", args: [{ fd: "report" }, { at: "answer" }, 8] };
const exit = (code: number): Row => ({ call: "exit_group", args: [code] });
const go = () => expect(sys("write", ours, words(1), 8)).toBe(8);

describe("clone3 into new namespaces", () => {
  const flags = CLONE_NEWPID + CLONE_NEWUTS + CLONE_NEWIPC + CLONE_NEWNS + CLONE_PARENT;
  // struct clone_args: flags first, exit_signal fifth.
  const args = { words: [flags, 0, 0, 0, 0, 0, 0, 0] };
  const report = new Uint8Array(16);
  report.set(reportBytes(REPORT.pid));
  const rows: Row[] = [
    { call: "clone3", args: [args, 64], store: { at: "report", offset: 4 }, onZero: "child" },
    { call: "write", args: [{ fd: "report" }, { at: "report" }, 12] },
    exit(0),
    { call: "sethostname", args: ["inside", 6], label: "child" },
    { call: "getpid", args: [], store: { at: "self", offset: 4 } },
    { call: "write", args: [{ fd: "report" }, { at: "self" }, 12] },
    WAIT,
    exit(5),
  ];
  const buffers: Buffers = { report, self: reportBytes(REPORT.sync), answer: 8 };

  test("makes a child of ours, PID 1 inside, that reports and waits; its program is the memfd", () => {
    const stage0 = start(rows, {
      ...buffers,
      self: Buffer.concat([reportBytes(REPORT.sync), new Uint8Array(4)]),
    });
    const messages = [next(), next()].sort((a, b) => (a?.numbers[0] ?? 0) - (b?.numbers[0] ?? 0));
    const pid = messages[0]?.numbers[1] ?? 0;
    expect(messages[0]?.numbers).toEqual([REPORT.pid, pid, 0]);
    expect(messages[1]?.numbers).toEqual([REPORT.sync, 1, 0]);
    expect(waitPid(stage0)).toEqual({ code: 0, signal: undefined });

    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(new RegExp(`^PPid:\\s*${process.pid}$`, "m"));
    expect(status).toMatch(/^NSpid:\s*\d+\s+1$/m);
    expect(status).toMatch(/^Threads:\s*1$/m);
    for (const name of ["pid", "uts", "ipc", "mnt"]) {
      expect(readlinkSync(`/proc/${pid}/ns/${name}`)).not.toBe(readlinkSync(`/proc/self/ns/${name}`));
    }
    expect(readlinkSync(`/proc/${pid}/exe`)).toBe("/memfd:init (deleted)");
    expect(readFileSync("/proc/sys/kernel/hostname", "utf8").trim()).not.toBe("inside");

    go();
    // Its exit signal is that of stage 0: it is waited for as any child.
    expect(waitPid(pid)).toEqual({ code: 5, signal: undefined });
    expect(next()).toBeUndefined();
  });
});

describe("a waiting init", () => {
  test("costs a few pages, and has nothing of ours in its memory", () => {
    const pid = start([send(REPORT.sync), WAIT, exit(0)], { answer: 8 });
    expect(next()?.numbers).toEqual([REPORT.sync, 0, 0]);
    const kilobytes = Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s*(\d+) kB$/m)?.[1]);
    expect(kilobytes).toBeLessThan(128);
    const names = readFileSync(`/proc/${pid}/maps`, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/).slice(5).join(" "));
    const kernels = new Set(["[stack]", "[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]", "[heap]", ""]);
    expect([...new Set(names.filter((name) => !kernels.has(name)))]).toEqual(["/memfd:init (deleted)"]);
    expect(
      readdirSync(`/proc/${pid}/fd`)
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual([0, 1, 2, REPORT_FD]);
    go();
    expect(waitPid(pid)?.code).toBe(0);
  });

  test("that is killed is an end of file without executing", () => {
    const pid = start([send(REPORT.sync), WAIT, send(REPORT.executing), exit(0)], { answer: 8 });
    expect(next()?.numbers[0]).toBe(REPORT.sync);
    tryKill(pid, 9);
    expect(next()).toBeUndefined();
    expect(waitPid(pid)?.signal).toBe(9);
  });

  test("sees the end of file when ctr-bun is gone", () => {
    const pid = start(
      [
        send(REPORT.sync),
        { call: "read", args: [{ fd: "report" }, { at: "answer" }, 8], onZero: "gone" },
        exit(0),
        { ...exit(9), label: "gone" },
      ],
      { answer: 8 },
    );
    expect(next()?.numbers[0]).toBe(REPORT.sync);
    sys("shutdown", ours, 1);
    expect(waitPid(pid)?.code).toBe(9);
  });
});

test("a descriptor that a row made comes with its report", () => {
  // struct msghdr in words: name, its length, iovec, their count, control, its length, flags.
  const control = Buffer.concat([words32(20, 0, 1, 1), new Uint8Array(8)]);
  const message = {
    words: [0, 0, { words: [{ bytes: reportBytes(REPORT.descriptor, 2) }, 12] }, 1, { at: "control" }, 24, 0],
  };
  const pid = start(
    [
      { call: "memfd_create", args: ["made", 0], store: { at: "control", offset: 16 } },
      { call: "write", args: [{ slot: "control", offset: 16 }, "from inside", 11] },
      { call: "lseek", args: [{ slot: "control", offset: 16 }, 0, 0] },
      { call: "sendmsg", args: [{ fd: "report" }, message, 0] },
      exit(0),
    ],
    { control },
  );
  const got = next();
  expect(got?.numbers).toEqual([REPORT.descriptor, 2, 0]);
  expect(withFd(got?.fd ?? -1, (fd) => Buffer.from(readAll(fd)).toString())).toBe("from inside");
  expect(next()).toBeUndefined();
  expect(waitPid(pid)?.code).toBe(0);
});

describe("execve", () => {
  const cloexec: Row = { call: "fcntl", args: [{ fd: "report" }, 2, 1] };

  test("that succeeds is executing and end of file; the program keeps nothing of the machine", () => {
    const pid = start([
      cloexec,
      send(REPORT.executing),
      { call: "execve", args: ["/bin/sleep", { words: ["sleep", "100", 0] }, { words: [0] }] },
    ]);
    expect(next()?.numbers[0]).toBe(REPORT.executing);
    expect(next()).toBeUndefined();
    expect(readlinkSync(`/proc/${pid}/exe`)).toMatch(/\/sleep$/);
    tryKill(pid, 9);
    expect(waitPid(pid)?.signal).toBe(9);
  });

  test("over candidates: EACCES wins over ENOENT, and is told of its own row", () => {
    const tryOne = (path: string, label: string, after: Partial<Row>): Row => ({
      call: "execve",
      args: [path, { words: ["x", 0] }, { words: [0] }],
      label,
      ...after,
    });
    const pid = start([
      cloexec,
      send(REPORT.executing),
      // /dev/null is there and cannot be executed.
      tryOne("/dev/null", "first", { allow: "EACCES", store: "denied" }),
      tryOne("/nonexistent/x", "second", { allow: "ENOENT", store: "missing" }),
      { call: "test", args: [{ slot: "denied" }, -1, 0], onZero: "none" },
      { call: "fail", args: [{ slot: "denied" }, { label: "first" }] },
      { call: "fail", args: [{ slot: "missing" }, { label: "second" }], label: "none" },
    ]);
    expect(next()?.numbers[0]).toBe(REPORT.executing);
    expect(next()?.numbers).toEqual([REPORT.failure, ERRNO.EACCES, 2]);
    expect(next()).toBeUndefined();
    expect(waitPid(pid)?.code).toBe(1);
  });
});
