// Running ctr-bun without waiting for it: several at the same time.

import { join } from "node:path";
import { type Bundle, CTR_BUN, type Result } from "./bundle.ts";

let count = 0;

/** `ctr-bun --root STATE ARGS`. Its output goes through files: a container may hold a pipe open. */
export async function inBackground(bundle: Bundle, ...args: string[]): Promise<Result> {
  const [out, err] = ["out", "err"].map((name) => Bun.file(join(bundle.path, `${name}.${++count}`)));
  if (out === undefined || err === undefined) throw new Error("no files");
  const child = Bun.spawn([CTR_BUN, "--root", bundle.state, ...args], { stdio: ["ignore", out, err] });
  const code = await child.exited;
  const result = { code, out: await out.text(), err: await err.text() };
  await Promise.all([out.delete(), err.delete()]);
  return result;
}
