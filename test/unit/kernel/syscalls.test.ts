/** Numbers of system calls and errnos against the headers of this system (packages libc6-dev, linux-libc-dev). */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { callError, check } from "../../../src/kernel/check.ts";
import { ERRNO, errnoName, errnoText } from "../../../src/kernel/errno.ts";
import { SYSCALLS } from "../../../src/kernel/syscalls.ts";

/** `#define PREFIXname number` lines of a header; the first of two counts, as in `#if __BITS_PER_LONG == 64`. */
function defines(path: string, pattern: RegExp): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, name = "", number] of readFileSync(path, "utf8").matchAll(pattern)) {
    if (!found.has(name)) found.set(name, Number(number));
  }
  return found;
}

const HEADERS = [
  ["x86-64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0],
  ["aarch64", "/usr/include/asm-generic/unistd.h", 1],
] as const;

for (const [arch, path, column] of HEADERS) {
  // __NR3264_* are calls that have another name on 32 bits; the name is the same on 64.
  const header = defines(path, /^#define __NR(?:3264)?_(\w+)\s+(\d+)\s*$/gm);
  header.delete("syscalls");
  const newest = Math.max(...header.values());

  test(`every number for ${arch} is the one of ${path}`, () => {
    expect(header.size).toBeGreaterThan(250);
    const ours = Object.entries(SYSCALLS).map(([name, numbers]) => [name, numbers[column]] as const);
    // What is newer than the header, it cannot tell.
    const known = ours.filter(([, number]) => number <= newest);
    for (const [name, number] of known) expect([name, header.get(name)]).toEqual([name, number]);
    for (const [name, number] of ours) {
      if (number > newest) expect([name, header.get(name)]).toEqual([name, undefined]);
    }
  });

  test(`no two calls share a number on ${arch}`, () => {
    const numbers = Object.values(SYSCALLS).map((both) => both[column]);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
}

test("calls from 424 on have one number on every architecture", () => {
  for (const [name, [x86, arm]] of Object.entries(SYSCALLS)) {
    if (x86 >= 424 || arm >= 424) expect(`${name} ${arm}`).toBe(`${name} ${x86}`);
  }
});

describe("errnos", () => {
  test("have the names and numbers of the kernel's headers", () => {
    const pattern = /^#define\s+(E\w+)\s+(\d+)/gm;
    const base = defines("/usr/include/asm-generic/errno-base.h", pattern);
    const more = defines("/usr/include/asm-generic/errno.h", pattern);
    const header = Object.fromEntries([...base, ...more]);
    // EDEADLOCK is another name of EDEADLK.
    const same: Readonly<Record<string, string>> = { EDEADLOCK: "EDEADLK" };
    const named = Object.entries(ERRNO).map(([name, number]) => [name, number, header[same[name] ?? name]]);
    for (const [name, number, theirs] of named) expect(`${name} ${number}`).toBe(`${name} ${theirs}`);
    const ours: ReadonlySet<number> = new Set(Object.values(ERRNO));
    // EHWPOISON is only of memory that broke.
    const missing = Object.entries(header).filter(
      ([name, number]) => !ours.has(number) && name !== "EHWPOISON",
    );
    expect(missing).toEqual([]);
  });

  test("all have a text, and fit into the byte that a row allows", () => {
    for (const [name, number] of Object.entries(ERRNO)) {
      expect(errnoText(number)).not.toBe(`error ${number}`);
      expect(errnoName(number)).toBe(name);
      expect(number).toBeLessThan(0xff);
    }
  });

  test("without a name are told by number", () => {
    expect([errnoName(512), errnoText(512)]).toEqual(["E512", "error 512"]);
  });
});

describe("check", () => {
  test("lets results through that are no errors, also huge ones", () => {
    expect(check(0, { syscall: "read" })).toBe(0);
    expect(check(2 ** 47, { syscall: "mmap" })).toBe(2 ** 47);
    expect(check(-4096, { syscall: "mmap" })).toBe(-4096);
  });

  test("throws an error that names the call, the path and the errno", () => {
    expect(() => check(-2, { syscall: "openat", path: "/x" })).toThrow(
      expect.objectContaining({
        code: "SYSCALL",
        message: "no such file or directory",
        syscall: "openat",
        path: "/x",
        errno: "ENOENT",
      }),
    );
    expect(callError(13, { syscall: "openat", message: "cannot open the bundle" }).message).toBe(
      "cannot open the bundle: permission denied",
    );
  });
});
