// Many containers of one bundle over one state root, one after another and at the same time.

import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID } from "./bundle.ts";

/** What each container writes to its standard output. */
const WORD = "made it\n";

/** The program of a storm's containers. */
export const STORM_ARGS = ["echo", WORD.trim()];

async function runOne(bundle: Bundle, id: string): Promise<string[]> {
  const [out, err] = [join(bundle.path, `${id}.out`), join(bundle.path, `${id}.err`)];
  const child = Bun.spawn([CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, id], {
    stdio: ["ignore", Bun.file(out), Bun.file(err)],
  });
  const code = await child.exited;
  const [said, complained] = [await Bun.file(out).text(), await Bun.file(err).text()];
  await Promise.all([Bun.file(out).delete(), Bun.file(err).delete()]);
  if (code === 0 && said === WORD && complained === "") return [];
  return [`${id} ended with ${code}: ${JSON.stringify(said)}, ${JSON.stringify(complained)}`];
}

/** Runs `count` containers, `width` of them at any time, under IDs that begin with `prefix`. Returns what went wrong. */
export async function storm(bundle: Bundle, prefix: string, count: number, width: number): Promise<string[]> {
  let next = 0;
  const faults: string[] = [];
  const lane = async () => {
    while (next < count) faults.push(...(await runOne(bundle, `${prefix}-${next++}`)));
  };
  await Promise.all(Array.from({ length: width }, lane));
  return faults;
}

/** The whole life of a container by the verbs of an engine: create, state, start, exec, kill, delete. */
export async function lifeOf(bundle: Bundle): Promise<string[]> {
  const id = freshID();
  const faults: string[] = [];
  const ctr = async (...args: string[]) => {
    const child = Bun.spawn([CTR_BUN, "--root", bundle.state, ...args], {
      stdio: ["ignore", "ignore", Bun.file(join(bundle.path, `${id}.err`))],
    });
    const code = await child.exited;
    if (code !== 0)
      faults.push(`${args.join(" ")}: ${code}, ${await Bun.file(join(bundle.path, `${id}.err`)).text()}`);
  };
  await ctr("create", "--bundle", bundle.path, id);
  await ctr("state", id);
  await ctr("start", id);
  await ctr("exec", id, "true");
  await ctr("list");
  await ctr("kill", id, "KILL");
  await ctr("delete", "--force", id);
  await Bun.file(join(bundle.path, `${id}.err`)).delete();
  return faults;
}
