/** Small C programs for tests of seccomp, built into build/seccomp where their source is newer. `npm test` installs gcc. */
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { runCommand } from "../bundle.ts";

/**
 * Path of the program of NAME.c in this folder.
 * @throws Error where it cannot be built: a compiler or a library that is missing is no reason to leave a test out
 */
export function built(name: string, ...flags: string[]): string {
  const source = join(import.meta.dir, `${name}.c`);
  const out = resolve(import.meta.dir, "../../../build/seccomp", name);
  if (existsSync(out) && statSync(out).mtimeMs >= statSync(source).mtimeMs) return out;
  const gcc = Bun.which("gcc");
  if (gcc === null) throw new Error(`gcc is missing, for ${name}.c: npm test installs it`);
  mkdirSync(join(out, ".."), { recursive: true });
  const made = `${out}.${process.pid}`;
  const { code, err } = runCommand([gcc, "-Wall", "-Werror", "-O2", "-o", made, source, ...flags]);
  if (code !== 0) throw new Error(`gcc ${name}.c (npm test installs what it needs): ${err}`);
  renameSync(made, out);
  return out;
}
