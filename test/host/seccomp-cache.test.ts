// Filters kept from one start to the next: which one is loaded tells whether it was compiled. The starts see a folder of
// the test's own at /run/ctr-bun.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../../drivers/seccomp/compile.ts";
import { entryOf, MOST_FILES } from "../../src/runtime/seccomp-cache.ts";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";

const EPERM = 1;
const ENOSPC = 28;

const refusing = (errnoRet: number): LinuxSeccomp => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet }],
});

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  bundle.configure(["mkdir", "/dev/shm/x"], (config) => {
    config.linux.seccomp = refusing(EPERM);
  });
});
afterAll(() => bundle.dispose());

let run: string;
let cache: string;
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), "ctr-bun-cache-"));
  cache = join(run, "seccomp");
});
afterEach(() => rmSync(run, { recursive: true, force: true }));

/** `ctr-bun ARGS` with the test's folder at /run/ctr-bun; `more`: what else to mount there. */
const command = (args: string[], more = ":"): string[] => {
  const script = `mkdir -p /run/ctr-bun && mount --bind ${run} /run/ctr-bun && ${more} && exec "$@"`;
  return ["unshare", "-m", "sh", "-c", script, "sh", CTR_BUN, ...args];
};
const rooted = (...args: string[]): string[] => ["--root", bundle.state, ...args];
const startArgs = (): string[] => rooted("run", "--bundle", bundle.path, freshID());
const start = (more?: string): Result => runCommand(command(startArgs(), more));

const COMPILED = {
  code: 1,
  out: "",
  err: "mkdir: can't create directory '/dev/shm/x': Operation not permitted\n",
};
const FORGED = {
  ...COMPILED,
  err: COMPILED.err.replace("Operation not permitted", "No space left on device"),
};

/** Starts once, then puts another filter where the first one was kept. Gives its path, and what was in it. */
function forge(): { path: string; text: string; forged: string } {
  expect(start()).toEqual(COMPILED);
  const [key = "", ...others] = readdirSync(cache);
  expect(others).toEqual([]);
  const path = join(cache, key);
  const text = readFileSync(path, "utf8");
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const forged = entryOf(key, compile(refusing(ENOSPC), machine, [6, 1]));
  writeFileSync(path, forged);
  return { path, text, forged };
}

test("the second start compiles nothing, and exec takes the same filter", async () => {
  const { path, forged } = forge();
  expect(start()).toEqual(FORGED);
  expect(readFileSync(path, "utf8")).toBe(forged);
  const id = freshID();
  // Created only: its program would be refused the directory.
  expect(runCommand(command(rooted("create", "--bundle", bundle.path, id))).code).toBe(0);
  expect(runCommand(command(rooted("exec", id, "mkdir", "/dev/shm/x")))).toEqual(FORGED);
  expect(runCommand(command(rooted("delete", "--force", id))).code).toBe(0);
  expect(readdirSync(cache)).toHaveLength(1);
});

test("a file and its directory are their owner's alone", () => {
  const { path } = forge();
  expect(lstatSync(path).mode & 0o7777).toBe(0o600);
  expect(lstatSync(cache).mode & 0o7777).toBe(0o700);
});

const damages: Record<string, (path: string, forged: string) => void> = {
  "one character is another": (path, forged) => writeFileSync(path, forged.replace('"flags":', '"flagz":')),
  "it is short": (path, forged) => writeFileSync(path, forged.slice(0, -9)),
  "it is empty": (path) => writeFileSync(path, ""),
  "it is too long": (path) => writeFileSync(path, "x".repeat(1 << 20)),
  "it was kept under another name": (path) =>
    writeFileSync(path, entryOf("0".repeat(64), compile(refusing(ENOSPC), "x86_64", [6, 1]))),
  "it is another user's": (path) => chownSync(path, 65534, 65534),
  "others may write to it": (path) => chmodSync(path, 0o620),
  "others may read it": (path) => chmodSync(path, 0o604),
  "it is a symbolic link": (path) => {
    renameSync(path, join(run, "elsewhere"));
    symlinkSync("../elsewhere", path);
  },
  "it has another name elsewhere": (path) => linkSync(path, join(run, "elsewhere")),
  "it is a FIFO": (path) => {
    rmSync(path);
    expect(runCommand(["mkfifo", "-m", "600", path]).code).toBe(0);
  },
};

for (const [what, damage] of Object.entries(damages)) {
  test(`where ${what}, the filter is compiled again and takes its place`, () => {
    const { path, text, forged } = forge();
    damage(path, forged);
    expect(start()).toEqual(COMPILED);
    expect(lstatSync(path).isFile()).toBe(true);
    expect(lstatSync(path).mode & 0o7777).toBe(0o600);
    expect(lstatSync(path).uid).toBe(0);
    expect(readFileSync(path, "utf8")).toBe(text);
    expect(readdirSync(cache)).toHaveLength(1);
  });
}

const unfit: Record<string, (path: string) => void> = {
  "the directory is another user's": () => chownSync(cache, 65534, 65534),
  "others may write to the directory": () => chmodSync(cache, 0o770),
  "the directory is a symbolic link": () => {
    renameSync(cache, join(run, "elsewhere"));
    symlinkSync("elsewhere", cache);
  },
  "a directory has the file's name": (path) => {
    rmSync(path);
    mkdirSync(join(path, "full"), { recursive: true });
  },
};

for (const [what, change] of Object.entries(unfit)) {
  test(`where ${what}, nothing is taken from it, and nothing is an error`, () => {
    const { path } = forge();
    change(path);
    expect(start()).toEqual(COMPILED);
    expect(readdirSync(cache)).toHaveLength(1);
  });
}

test("a cache that is read-only is no error, with a filter in it and without", () => {
  const readOnly = "mount -o remount,bind,ro /run/ctr-bun";
  expect(start(readOnly)).toEqual(COMPILED);
  expect(readdirSync(run)).toEqual([]);
  forge();
  expect(start(readOnly)).toEqual(FORGED);
});

test("a cache that is full is no error, and nothing half is left in it", () => {
  const script = `mount -t tmpfs -o size=4k,mode=700 none /run/ctr-bun; echo full >/run/ctr-bun/full; "$@"; ls -A /run/ctr-bun/seccomp`;
  const { out, err } = runCommand([
    "unshare",
    "-m",
    "sh",
    "-c",
    script,
    "sh",
    ...command(startArgs()).slice(6),
  ]);
  expect({ out, err }).toEqual({ out: "", err: COMPILED.err });
});

test("starts at the same time leave one whole file", async () => {
  const starts = [1, 2, 3, 4].map(async () => {
    const child = Bun.spawn(command(startArgs()), { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    return [await child.exited, await new Response(child.stderr).text()];
  });
  for (const each of await Promise.all(starts)) expect(each).toEqual([COMPILED.code, COMPILED.err]);
  expect(readdirSync(cache)).toHaveLength(1);
  forge();
  expect(start()).toEqual(FORGED);
});

test("the oldest go when there are too many", () => {
  mkdirSync(cache, { mode: 0o700 });
  const names = Array.from({ length: MOST_FILES }, (_, index) => `old-${index}`);
  for (const [index, name] of names.entries()) {
    writeFileSync(join(cache, name), "");
    utimesSync(join(cache, name), 1000 + index, 1000 + index);
  }
  expect(start()).toEqual(COMPILED);
  const left = readdirSync(cache);
  expect(left).toHaveLength(MOST_FILES);
  expect(left).not.toContain("old-0");
  expect(left).toContain("old-1");
});

test("plan keeps nothing", () => {
  expect(runCommand(command(["plan", bundle.path]))).toMatchObject({ code: 0, err: "" });
  expect(readdirSync(run)).toEqual([]);
});
