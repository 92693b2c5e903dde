// A bundle of an ordinary user's, who has no capability and no name: the user is a number that no /etc/passwd has.

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CTR_BUN, freshID, makeBundle, type Result, runCommand } from "./bundle.ts";
import type { Config } from "./config.ts";

/** The user's ID, and the group's. */
export const ORDINARY = 54_321;
const SETPRIV =
  `setpriv --reuid ${ORDINARY} --regid ${ORDINARY} --clear-groups --inh-caps=-all --bounding-set=-all`.split(
    " ",
  );

/** A bundle as `spec --rootless` writes it, but for the terminal. */
export interface UserBundle {
  readonly path: string;
  /** XDG_RUNTIME_DIR. */
  readonly runtime: string;
  /** Runs a command as the user, in the bundle. */
  as(command: readonly string[], env?: Record<string, string>): Result;
  /** `ctr-bun oci ARGS` as the user. */
  ctr(...args: string[]): Result;
  /** The same without its output, which a container keeps open. */
  quietly(...args: string[]): number;
  configure(args: readonly string[], change?: (config: Config) => void): void;
  /** `run` of these arguments under a fresh ID. */
  run(args: readonly string[], change?: (config: Config) => void): Result;
  /** A file or directory of the bundle is the user's from now on. */
  give(path: string): void;
  dispose(): void;
}

export function makeUserBundle(): UserBundle {
  const { path, dispose } = makeBundle();
  const runtime = join(path, "runtime");
  mkdirSync(runtime);
  const give = (what: string): void => {
    const { code, err } = runCommand(["chown", "-R", `${ORDINARY}:${ORDINARY}`, what]);
    if (code !== 0) throw new Error(err);
  };
  give(path);
  chmodSync(runtime, 0o700);
  const as: UserBundle["as"] = (command, env = {}) =>
    runCommand([...SETPRIV, ...command], {
      cwd: path,
      env: { PATH: process.env.PATH ?? "", XDG_RUNTIME_DIR: runtime, ...env },
    });
  const ctr: UserBundle["ctr"] = (...args) => as([CTR_BUN, "oci", ...args]);
  const { code, err } = as([CTR_BUN, "spec", "--rootless"]);
  if (code !== 0) throw new Error(err);
  const written = readFileSync(join(path, "config.json"), "utf8");
  const configure: UserBundle["configure"] = (args, change = () => {}) => {
    const config = JSON.parse(written);
    config.process.args = args;
    config.process.terminal = false;
    change(config);
    writeFileSync(join(path, "config.json"), JSON.stringify(config));
  };
  return {
    path,
    runtime,
    as,
    ctr,
    quietly: (...args) => as(["sh", "-c", `exec ${CTR_BUN} oci ${args.join(" ")} >/dev/null 2>&1`]).code,
    configure,
    run(args, change) {
      configure(args, change);
      return ctr("run", freshID());
    },
    give,
    dispose() {
      const state = `${runtime}/ctr-bun/oci`;
      for (const id of existsSync(state) ? readdirSync(state) : []) ctr("delete", "--force", id);
      dispose();
    },
  };
}
