import { expect, test } from "bun:test";
import {
  type SyscallTable,
  syscallNames,
  syscallNumbers,
} from "../../../src/kernel/syscall-tables/tables.ts";
import { SYSCALLS } from "../../../src/kernel/syscalls.ts";

test("the calls that ctr-bun makes have the same numbers in the full tables", () => {
  const small = Object.entries(SYSCALLS).map(([name, [x86_64, aarch64]]) => ({ name, x86_64, aarch64 }));
  const full = small.map(({ name }) => ({
    name,
    x86_64: syscallNumbers("x86_64").get(name),
    aarch64: syscallNumbers("aarch64").get(name),
  }));
  expect(full).toEqual(small);
});

test.each<[SyscallTable, Record<string, number>]>([
  ["x86_64", { read: 0, clone: 56, uretprobe: 335, pidfd_send_signal: 424, memfd_secret: 447 }],
  ["i386", { restart_syscall: 0, socketcall: 102, ipc: 117, socket: 359, clock_gettime64: 403, semget: 393 }],
  ["x32", { read: 0x4000_0000, ioctl: 0x4000_0000 + 514, execve: 0x4000_0000 + 520 }],
  ["aarch64", { io_setup: 0, openat: 56, fstat: 80, newfstatat: 79, fadvise64: 223, mmap: 222 }],
  ["arm", { openat: 322, socket: 281, sync_file_range2: 341, cacheflush: 0xf_0002, set_tls: 0xf_0005 }],
])("%s", (table, some) => {
  const numbers = syscallNumbers(table);
  expect(Object.fromEntries(Object.keys(some).map((name) => [name, numbers.get(name) ?? -1]))).toEqual(some);
});

test("calls since Linux 5.1 have one number everywhere", () => {
  const tables: SyscallTable[] = ["x86_64", "i386", "x32", "aarch64", "arm"];
  const newest = {
    clone3: 435,
    mseal: 462,
    setxattrat: 463,
    open_tree_attr: 467,
    file_getattr: 468,
    file_setattr: 469,
  };
  for (const table of tables) {
    const base = table === "x32" ? 0x4000_0000 : 0;
    for (const [name, number] of Object.entries(newest))
      expect(syscallNumbers(table).get(name)).toBe(number + base);
  }
});

test("numbers have names", () => {
  expect(syscallNames("x86_64").get(59)).toBe("execve");
  expect(syscallNames("arm").get(341)).toBe("arm_sync_file_range");
});
