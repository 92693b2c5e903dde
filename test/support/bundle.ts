// OCI bundles of a busybox root file system, and running the built executable on them. What was made is taken away by
// `dispose`.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Config, specConfig } from "./config.ts";

/** The executable under test: what `npm run build` made. */
export const CTR_BUN = join(resolve(import.meta.dir, "../.."), "dist/ctr-bun");

const APPLETS =
  "sh cat ls id ps mount sleep echo test stat touch mknod hostname ip kill env pwd readlink head wc tr true false dd yes stty tty chmod mkdir umask ulimit trap grep sort date".split(
    " ",
  );

/** Makes a root file system of busybox-static below `parent` and returns its path. */
export function makeRootfs(parent: string): string {
  const rootfs = join(parent, "rootfs");
  for (const folder of ["bin", "etc", "tmp"]) mkdirSync(join(rootfs, folder), { recursive: true });
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find(existsSync);
  if (busybox === undefined) throw new Error("busybox is missing: npm test installs busybox-static");
  copyFileSync(busybox, join(rootfs, "bin/busybox"));
  for (const applet of APPLETS) symlinkSync("busybox", join(rootfs, "bin", applet));
  return rootfs;
}

/** A bundle, with a state root of its own. */
export interface Bundle {
  readonly path: string;
  readonly rootfs: string;
  /** For --root. */
  readonly state: string;
  /** Writes config.json anew: `args` to run, and what else is to be different. */
  configure(args: string[], change?: (config: Config) => void): void;
  /** Runs `ctr-bun --root STATE ARGS` and waits. */
  ctr(...args: string[]): Result;
  /** `run --bundle` of these arguments under a fresh ID. */
  run(args: string[], change?: (config: Config) => void): Result;
  dispose(): void;
}

export interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let count = 0;

/** An ID that no other test uses. */
export function freshID(): string {
  return `test-${process.pid}-${++count}`;
}

/**
 * Runs a command to its end; a hanging one is killed after a minute. Its output goes through files: a container that
 * outlives the command would keep a pipe open.
 */
export function runCommand(
  command: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Result {
  const folder = mkdtempSync(join(tmpdir(), "ctr-bun-output-"));
  try {
    const [out, err] = [join(folder, "out"), join(folder, "err")];
    const { exitCode } = Bun.spawnSync(command, {
      stdin: "ignore",
      stdout: Bun.file(out),
      stderr: Bun.file(err),
      timeout: 60_000,
      ...options,
    });
    const text = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");
    return { code: exitCode, out: text(out), err: text(err) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function makeBundle(): Bundle {
  const path = mkdtempSync(join(tmpdir(), "ctr-bun-bundle-"));
  const rootfs = makeRootfs(path);
  const state = join(path, "state");
  const configure: Bundle["configure"] = (args, change) => {
    const config = specConfig("rootfs", args);
    change?.(config);
    writeFileSync(join(path, "config.json"), JSON.stringify(config));
  };
  const ctr: Bundle["ctr"] = (...args) => runCommand([CTR_BUN, "--root", state, ...args]);
  return {
    path,
    rootfs,
    state,
    configure,
    ctr,
    run(args, change) {
      configure(args, change);
      return ctr("run", "--bundle", path, freshID());
    },
    dispose() {
      // What a failed test left alive would outlive its state otherwise.
      for (const id of existsSync(state) ? readdirSync(state) : []) ctr("delete", "--force", id);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
