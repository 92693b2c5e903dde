import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sourceDigest } from "../../../scripts/lib/source-digest.ts";
import { cacheKey, entryOf, readEntry } from "../../../src/runtime/seccomp-cache.ts";
import type { LinuxSeccomp } from "../../../src/spec/runtime/seccomp.ts";

const host = { arch: "x86_64", kernelVersion: [6, 1] } as const;
const compiler = ["bpf", "1"] as const;
const profile: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ERRNO",
  syscalls: [
    { names: ["read"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }] },
  ],
};
const key = cacheKey(profile, host, compiler);

const changes: Record<string, string> = {
  "default action": cacheKey({ ...profile, defaultAction: "SCMP_ACT_KILL" }, host, compiler),
  "default errno": cacheKey({ ...profile, defaultErrnoRet: 38 }, host, compiler),
  architectures: cacheKey({ ...profile, architectures: ["SCMP_ARCH_X86"] }, host, compiler),
  flags: cacheKey({ ...profile, flags: [] }, host, compiler),
  rules: cacheKey({ ...profile, syscalls: [{ names: ["read"], action: "SCMP_ACT_ALLOW" }] }, host, compiler),
  "a value above 2^53": cacheKey(
    {
      ...profile,
      syscalls: [
        {
          names: ["read"],
          action: "SCMP_ACT_ALLOW",
          args: [{ index: 0, value: 2n ** 64n - 1n, op: "SCMP_CMP_EQ" }],
        },
      ],
    },
    host,
    compiler,
  ),
  "the host's architecture": cacheKey(profile, { ...host, arch: "aarch64" }, compiler),
  "the kernel's version": cacheKey(profile, { ...host, kernelVersion: [5, 19] }, compiler),
  "the driver": cacheKey(profile, host, ["other", "1"]),
  "the compiler's version": cacheKey(profile, host, ["bpf", "2"]),
};

test("every input of the compiler changes the name", () => {
  const all = [key, ...Object.values(changes)];
  expect(new Set(all).size).toBe(all.length);
  for (const each of all) expect(each).toMatch(/^[0-9a-f]{64}$/);
});

test("who answers does not, and neither does asking again", () => {
  expect(cacheKey({ ...profile, listenerPath: "/run/a", listenerMetadata: "b" }, host, compiler)).toBe(key);
  expect(cacheKey(structuredClone(profile), host, compiler)).toBe(key);
});

const program = {
  filter: Uint8Array.of(6, 0, 0, 0, 0, 0, 255, 127),
  flags: 4,
  notify: ["read"],
  unknown: ["é"],
};

test("a filter comes back as it was kept, under its own name alone", () => {
  const text = entryOf(key, program);
  expect(readEntry(key, text)).toEqual(program);
  expect(readEntry(changes.flags ?? "", text)).toBeUndefined();
  for (let at = 0; at < text.length; at++) {
    expect(readEntry(key, text.slice(0, at))).toBeUndefined();
    const other = text[at] === "a" ? "b" : "a";
    expect(readEntry(key, text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined();
  }
});

test("what is no filter is none, digest or not", () => {
  for (const length of [0, 7, 4097 * 8]) {
    expect(readEntry(key, entryOf(key, { ...program, filter: new Uint8Array(length) }))).toBeUndefined();
  }
});

const folder = mkdtempSync(join(tmpdir(), "ctr-bun-digest-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the compiler's version changes with every file that it loads, and with no other", async () => {
  mkdirSync(join(folder, "a"));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write("a/entry.ts", 'import { b } from "../b.ts";\nexport const a = b;\n');
  write("b.ts", 'export const b = () => require("./a/c.ts");\n');
  write("a/c.ts", "export const c = 1;\n");
  write("d.ts", "export const d = 1;\n");
  const digest = () => sourceDigest(folder, "a/entry.ts");
  const first = await digest();
  write("d.ts", "export const d = 2;\n");
  expect(await digest()).toBe(first);
  write("a/c.ts", "export const c = 2;\n");
  const second = await digest();
  expect(second).not.toBe(first);
  write("b.ts", 'export const b = () => require("./a/c.ts"); //\n');
  expect(await digest()).not.toBe(second);
});
