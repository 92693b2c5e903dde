/** That the conformance suite of cgroup drivers finds out a driver whose limits and freezer do nothing. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";

/** Tests that find out at once, without waiting for what does not come. */
const FOUND_OUT = [
  "memory limit: who needs more is killed, and counted; who needs less is not",
  "memory reservation: is given to the kernel",
  "cpuset cpus: a process runs where it may, after an update elsewhere",
  "pids limit: no process more can be made, and that is counted",
  "pids limit: an update is felt at once, up and down",
  "devices allowed to be read, written, both",
  "devices an update takes the place of all rules, for processes that run",
  "the freezer stops every process, those below too, and lets them go on",
];

test.skipIf(process.getuid?.() !== 0)("a driver that only says that it holds something is found out", () => {
  const names = FOUND_OUT.map((name) => name.replaceAll(/[.*+?()[\]{}|]/g, "\\$&")).join("|");
  const guest = "./test/host/guest/cgroup-broken.guest.ts";
  const { stdout, stderr } = Bun.spawnSync(
    [process.execPath, "test", guest, "-t", `(${names})$`, "--timeout=60000"],
    { cwd: resolve(import.meta.dir, "../.."), stdin: "ignore", env: { ...process.env, NO_COLOR: "1" } },
  );
  const output = `${stdout}${stderr}`;
  const ended = (how: string): string[] => [
    ...new Set(
      [...output.matchAll(new RegExp(`^\\(${how}\\) cgroup driver broken > (.*?)(?: \\[|$)`, "gm"))].map(
        ([, name = ""]) => name.replace(" > ", " "),
      ),
    ),
  ];
  expect(ended("pass")).toEqual([]);
  expect(ended("fail").toSorted()).toEqual(FOUND_OUT.toSorted());
});
