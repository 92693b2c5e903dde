/** Waiting, signals and limits of processes. Starting them: spawn.test.ts. */
import { expect, test } from "bun:test";
import { ERRNO } from "../../../src/kernel/errno.ts";
import { close, open, withFd } from "../../../src/kernel/file.ts";
import { executableMemfd } from "../../../src/kernel/memfd.ts";
import { getLimit, spawn, tryKill, tryPidfd, trySetLimit, waitPid } from "../../../src/kernel/process.ts";
import { sys } from "../../../src/kernel/raw.ts";
import type { Row } from "../../../src/plan/step.ts";
import { exit, native, program } from "../machine/runner.ts";

const RLIMIT_CORE = 4;

/** Starts a program of these rows. */
function start(rows: readonly Row[]): number {
  return withFd(executableMemfd("rows", program(native, rows).elf), (fd) =>
    withFd(open("/dev/null", 2), (nothing) =>
      spawn({ program: fd, argv: ["rows"], env: [], stdio: [nothing, nothing, nothing], inherit: [] }),
    ),
  );
}
const SLEEP: Row = { call: "ppoll", args: [0, 0, 0, 0] };

test("a program that ends is waited for with its code", () => {
  expect(waitPid(start([exit(0)]))).toEqual({ code: 0, signal: undefined });
  expect(waitPid(start([exit(255)]))).toEqual({ code: 255, signal: undefined });
});

test("a program that is killed is waited for with its signal, also one that dumps core", () => {
  const pid = start([SLEEP]);
  expect(waitPid(pid, true)).toBeUndefined();
  expect(tryKill(pid, 9)).toBe(0);
  expect(waitPid(pid)).toEqual({ code: 137, signal: 9 });
  const aborted = start([SLEEP]);
  tryKill(aborted, 6);
  expect(waitPid(aborted)).toEqual({ code: 134, signal: 6 });
});

test("a process that is not our child, or no longer, is undefined", () => {
  expect(waitPid(1, true)).toBeUndefined();
  const pid = start([exit(0)]);
  waitPid(pid);
  expect(waitPid(pid)).toBeUndefined();
  expect(tryKill(pid, 0)).toBe(-ERRNO.ESRCH);
});

test("a pidfd is of the process, and a dead one's pid has none", () => {
  const pid = start([SLEEP]);
  const pidfd = tryPidfd(pid);
  expect(pidfd).toBeGreaterThan(0);
  expect(sys("pidfd_send_signal", pidfd, 9, null, 0)).toBe(0);
  expect(waitPid(pid)?.signal).toBe(9);
  close(pidfd);
  expect(tryPidfd(pid)).toBe(-ERRNO.ESRCH);
});

test("a limit of another process is set and read back, all 64 bits", () => {
  const pid = start([SLEEP]);
  const hard = getLimit(pid, RLIMIT_CORE)?.hard ?? 0n;
  expect(trySetLimit(pid, RLIMIT_CORE, 0n, hard)).toBe(0);
  expect(getLimit(pid, RLIMIT_CORE)).toEqual({ soft: 0n, hard });
  expect(trySetLimit(pid, RLIMIT_CORE, 4096n, 2n ** 33n < hard ? 2n ** 33n : hard)).toBe(0);
  expect(getLimit(pid, RLIMIT_CORE)?.hard).toBe(2n ** 33n < hard ? 2n ** 33n : hard);
  expect(trySetLimit(pid, RLIMIT_CORE, 2n, 1n)).toBe(-ERRNO.EINVAL);
  tryKill(pid, 9);
  waitPid(pid);
});
