// The groups of tests: what each needs, how long it may take, and how one is run and counted under `bun test`.
// What is in them lives in test/.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { endMarked, leftBehind, look, marker } from "./leftovers.ts";
import { asGroup, endGroup } from "./process-group.ts";

export type Group = {
  name: string;
  about: string;
  needs: readonly ("images" | "vm")[];
  /** Milliseconds for one test, and seconds for the whole group, after which it is ended. */
  testTimeout: number;
  timeout: number;
  /** Minutes that the group should take; more is told, and is not a failure. */
  budget: number;
  /** Files that are run at the same time; one where not said. */
  workers?: number;
  /** Its files; without it, those of the folder with its name that no other group takes out of it. */
  files?: Glob;
};

export const groups: readonly Group[] = [
  {
    name: "unit",
    about: "no capabilities, nothing but the source",
    needs: [],
    testTimeout: 20_000,
    timeout: 300,
    budget: 1,
  },
  {
    name: "host",
    about: "containers on this kernel",
    needs: ["images"],
    testTimeout: 60_000,
    timeout: 600,
    budget: 2,
  },
  {
    name: "interop",
    about: "real peers: registry, skopeo, umoci, runc, crun, podman, containerd, docker",
    needs: ["images"],
    testTimeout: 180_000,
    timeout: 1200,
    // OCI 4, images 3, engine 2.
    budget: 9,
  },
  {
    name: "seccomp",
    about: "filters in real containers, beside runc, and against libseccomp",
    needs: ["images"],
    testTimeout: 60_000,
    timeout: 300,
    budget: 1,
    files: new Glob("{host,interop}/seccomp-*.test.ts"),
  },
  {
    name: "vm",
    about: "a kernel of its own with pure cgroup v2, or systemd, in qemu",
    needs: ["images", "vm"],
    testTimeout: 240_000,
    timeout: 900,
    budget: 3,
    // An emulated machine with one processor uses one of the host's, and sees nothing of another machine.
    workers: 2,
  },
];

export type Counts = { passed: number; failed: number; skipped: number };

/** Reads the numbers that `bun test` ends with; undefined where it did not get that far. */
export function counts(output: string): Counts | undefined {
  const number = (what: string): number =>
    Number(output.match(new RegExp(`^ *(\\d+) ${what}$`, "m"))?.[1] ?? 0);
  if (!/^Ran \d+ tests? across \d+ files?/m.test(output)) return undefined;
  return { passed: number("pass"), failed: number("fail"), skipped: number("skip") + number("todo") };
}

/** Passes a stream on as it comes, and returns all of it. */
async function tee(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let all = "";
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    all += decoder.decode(chunk, { stream: true });
  }
  return all;
}

/** The test files of a group, as paths below `test/`, sorted. */
export function filesOf(root: string, group: Group): string[] {
  const all = [...new Glob("**/*.test.ts").scanSync(join(root, "test"))].sort();
  const taken = groups.flatMap(({ files }) => files ?? []);
  return all.filter((file) =>
    group.files === undefined
      ? file.startsWith(`${group.name}/`) && !taken.some((files) => files.match(file))
      : group.files.match(file),
  );
}

/** Runs one group and prints its failures, and what it left behind, which counts as one more. */
export async function runGroup(root: string, group: Group, filter: string | undefined): Promise<Counts> {
  const files = filesOf(root, group).map((file) => `./test/${file}`);
  if (files.length === 0) {
    console.log(`there are no files of ${group.name}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const temporary = join(root, "build/tmp");
  mkdirSync(temporary, { recursive: true });
  const run = crypto.randomUUID();
  const then = look(run);
  const test = [process.execPath, "test", ...files, "--only-failures", `--timeout=${group.testTimeout}`];
  if (group.workers !== undefined) test.push(`--parallel=${group.workers}`);
  if (filter !== undefined) test.push("-t", filter);
  // A unit test gets by without root; uid 0 without capabilities can still read a clone below /root.
  const asRoot = process.getuid?.() === 0;
  const without =
    group.name === "unit" && asRoot ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
  const child = asGroup(
    Bun.spawn([...without, ...test], {
      cwd: root,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
      env: { ...process.env, [marker]: run, NO_COLOR: "1" },
    }),
  );
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    void endGroup(child.pid);
  }, group.timeout * 1000);
  const output = (await Promise.all([tee(child.stdout), tee(child.stderr)])).join("\n");
  const code = await child.exited;
  clearTimeout(timer);

  // One that crashed has said no numbers, but which tests had failed.
  const told = output.match(/^\(fail\) /gm)?.length ?? 0;
  const result = counts(output) ?? { passed: 0, failed: told, skipped: 0 };
  if (timedOut) console.log(`${group.name}: ended after ${group.timeout} s`);
  const nothingMatched = filter !== undefined && /^ *\d+ filtered out$/m.test(output) && result.passed === 0;
  if (code !== 0 && !nothingMatched && (result.failed === 0 || counts(output) === undefined)) {
    console.log(`${group.name}: bun test ended with exit code ${code} before it counted`);
    result.failed += 1;
  }
  const left = await leftBehind(then, run);
  for (const thing of left) console.log(`left behind: ${thing}`);
  if (left.length > 0) result.failed += 1;
  endMarked(run);
  return result;
}
