// linux.resources on v1 under runc and under ctr-bun: each line of a table (runc-cgroup-cases.ts) is given to both, in two
// cgroups below the same one, and then every file of every hierarchy is compared; the same for `update`, by flags and by
// JSON. What becomes of the cgroups themselves is in runc-cgroup-life.test.ts.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshID, type Result } from "../support/bundle.ts";
import { cgroupFiles, makeCgroup, removeWhenLeft, whereFound } from "../support/cgroup-files.ts";
import { type LoopDevice, makeLoopDevice } from "../support/loop-device.ts";
import { type Beside, makeBeside, type Runtime } from "../support/runc-beside.ts";
import { CASES, type Case } from "./runc-cgroup-cases.ts";
import { UPDATES } from "./runc-cgroup-updates.ts";

const PARENT = `ctr-bun-test-${process.pid}`;

let beside: Beside;
let loop: LoopDevice;

beforeAll(() => {
  beside = makeBeside();
  makeCgroup(PARENT);
  loop = makeLoopDevice(beside.folder);
});

afterAll(async () => {
  loop?.detach();
  await beside.dispose();
  await removeWhenLeft(PARENT);
});

/** What came of it: files are those of the cgroup, where there is one. */
interface Outcome extends Result {
  readonly files: Record<string, string>;
}

function outcome({ name }: Runtime, result: Result, there: boolean): Outcome {
  return { ...result, files: there ? cgroupFiles(`${PARENT}/${name}`) : {} };
}

/** Creates a container with those resources, and shows its cgroup to `look`; then it is deleted. */
async function create<T>(
  runtime: Runtime,
  { resources, ociVersion }: Pick<Case, "resources" | "ociVersion">,
  look: (created: Outcome, id: string) => T | Promise<T>,
): Promise<T> {
  const id = freshID();
  const created = await runtime.create(id, (config) => {
    config.ociVersion = ociVersion ?? config.ociVersion;
    config.linux = {
      ...config.linux,
      resources: resources as never,
      cgroupsPath: `/${PARENT}/${runtime.name}`,
    };
  });
  try {
    return await look(outcome(runtime, created, created.code === 0), id);
  } finally {
    if (created.code === 0) await runtime.ask("delete", "--force", id);
    const left = whereFound(`${PARENT}/${runtime.name}`);
    if (runtime.name === "ours") expect(left).toEqual([]);
    // On a busy machine runc gives up before its last process has gone, and the next container would find the cgroup.
    else await removeWhenLeft(`${PARENT}/${runtime.name}`);
  }
}

/** Names of files that are not the same, without their hierarchies. */
function unlike(theirs: Outcome, ours: Outcome): string[] {
  const paths = new Set([...Object.keys(theirs.files), ...Object.keys(ours.files)]);
  return [...paths]
    .filter((path) => theirs.files[path] !== ours.files[path])
    .map((path) => path.slice(path.indexOf("/") + 1));
}

/** The lines that a cgroup does not hold. */
function lacking({ files }: Outcome, held: readonly string[]): string[] {
  return held.filter((line) => {
    const blank = line.indexOf(" ");
    const [name, value] = [line.slice(0, blank), line.slice(blank + 1)];
    const text = Object.entries(files).find(([path]) => path.endsWith(`/${name}`))?.[1];
    return name === "devices.list" ? text?.split("; ").includes(value) !== true : text !== value;
  });
}

/** Properties that are said to be ignored, and whatever else was said. */
function warnings({ err }: Result): string[] {
  return err
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => /^ctr-bun: warning: linux\.resources\.(\S+) is ignored: /.exec(line)?.[1] ?? line);
}

/** Compares what came of one line of a table. `label` tells which, where it fails. */
function compare(label: string, one: Omit<Case, "resources">, theirs: Outcome, ours: Outcome): void {
  const { held = [], warned = [], refused, why, runc } = one;
  const refuses = runc === "refuses" || (refused !== undefined && why === undefined);
  expect({ label, code: theirs.code === 0 ? 0 : 1, err: theirs.err }).toMatchObject({
    label,
    code: refuses ? 1 : 0,
  });
  if (refused !== undefined) {
    expect({ label, code: ours.code }).toEqual({ label, code: 1 });
    expect(ours.err).toContain(refused);
    return;
  }
  expect({ label, code: ours.code, said: warnings(ours) }).toEqual({ label, code: 0, said: [...warned] });
  expect({ label, lacking: lacking(ours, held) }).toEqual({ label, lacking: [] });
  if (refuses) return;
  const differ = why === undefined ? [] : held.map((line) => line.slice(0, line.indexOf(" ")));
  const unequal = new Set(unlike(theirs, ours));
  expect({ label, unlike: [...unequal].sort() }).toEqual({
    label,
    unlike: why === undefined ? [] : [...unequal].filter((file) => differ.includes(file)).sort(),
  });
  if (why !== undefined) expect({ label, differ: unequal.size > 0 }).toEqual({ label, differ: true });
}

for (const [title, cases] of Object.entries(CASES)) {
  describe(`create with ${title}`, () => {
    test.each(cases({ major: 0, minor: 0 }).map((one, index) => [labelOf(one), index] as const))(
      "%s",
      async (label, index) => {
        const one = cases(loop)[index];
        if (one === undefined) throw new Error("the table has changed meanwhile");
        const { runc, ours } = await beside.both((runtime) => create(runtime, one, (created) => created));
        compare(label, one, runc, ours);
        if (one.refused !== undefined)
          expect(ours.err).toStartWith(`ctr-bun: linux.resources.${one.refused}`);
      },
    );
  });
}

function labelOf({ resources }: Case): string {
  return JSON.stringify(resources) ?? "no resources";
}

describe("update, one after the other", () => {
  test.each(Object.entries(UPDATES))("%s", async (_title, { before, steps }) => {
    const all = steps(loop);
    const play = (runtime: Runtime): Promise<Outcome[]> =>
      create(runtime, { resources: before }, async (created, id) => {
        expect({ ...created, files: {} }).toEqual({ code: 0, out: "", err: "", files: {} });
        const seen: Outcome[] = [];
        const file = join(beside.folder, `${runtime.name}.json`);
        for (const { args = ["--resources", file], json } of all) {
          writeFileSync(file, JSON.stringify(json) ?? "");
          seen.push(outcome(runtime, await runtime.ask("update", ...args, id), true));
        }
        return seen;
      });
    const { runc, ours } = await beside.both(play);
    for (const [at, one] of all.entries()) {
      const [theirs, mine] = [runc[at], ours[at]];
      if (theirs === undefined || mine === undefined) throw new Error("all steps were taken");
      compare(JSON.stringify(one.args ?? one.json), one, theirs, mine);
    }
  });
});
