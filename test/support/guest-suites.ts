// Suites of tests that run whole in a virtual machine, by the Bun that is in the executable, with all that the conformance
// suite of cgroup drivers can use: swap, huge pages, two processors, two memory nodes, BFQ. What was left out there is told by name.

import { beforeAll, describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { counts } from "../../scripts/lib/groups.ts";
import { type CgroupSetup, type Init, program, type VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";

const root = resolve(import.meta.dir, "../..");

export type GuestSuites = {
  init?: Init;
  cgroup: CgroupSetup;
  /** Files of tests by the name of their result. */
  suites: Readonly<Record<string, string>>;
  /** Tests that this machine can not run, by the end of their names, and why. Any other that is skipped is a failure. */
  leftOut?: Readonly<Record<string, string>>;
};

const parts = [
  "src",
  "drivers",
  "test",
  "spec-fixtures/hosts",
  "package.json",
  "tsconfig.json",
  "node_modules/valibot",
];

/** Programs of the host's: busybox has mkswap and swapon, Debian without packages of its own more has none. */
const programs = { busybox: ["/usr/sbin/tc"], systemd: ["/usr/sbin/mkswap", "/usr/sbin/swapon"] } as const;

const script = (suites: GuestSuites["suites"]): string => `
  # suite NAME FILE: a result with the exit code, and all but the tests that passed.
  suite() {
    ctr-bun test "./$2" --timeout=60000 >/tmp/output 2>&1
    code=$?
    result "$1" ok "exit code $code: $(grep -v '^(pass)' /tmp/output)"
  }
  for disk in 0 1 2 3 4 5; do mkswap /dev/ram$disk && swapon /dev/ram$disk; done >/dev/null
  echo 8 >/proc/sys/vm/nr_hugepages
  cd /repo
  export BUN_BE_BUN=1 NO_COLOR=1
  ${Object.entries(suites)
    .map(([name, file]) => `suite ${name} ${file}`)
    .join("\n")}
`;

/** Names of the tests that were skipped. */
const skips = (output: string): string[] => [
  ...new Set([...output.matchAll(/^\(skip\) (.*)$/gm)].map(([, name = ""]) => name)),
];

/** Registers a test for each suite, which passes if all tests in it did. */
export function guestSuites({ init = "busybox", cgroup, suites, leftOut = {} }: GuestSuites): void {
  describe(`in a machine with ${init} that is ${cgroup}`, () => {
    let vm: VmRun;
    beforeAll(async () => {
      const files: VmFiles = Object.assign(
        Object.fromEntries(parts.map((part) => [`/repo/${part}`, { from: join(root, part) }])),
        ...programs[init].map((path) => program(path)),
      );
      vm = await runInVm({
        files,
        init,
        cgroup,
        modules: ["brd", "bfq", "cls_cgroup", "sch_prio"],
        cpus: 2,
        nodes: 2,
        script: script(suites),
        timeout: 400_000,
      });
    }, 420_000);

    const output = (suite: string): string =>
      (vm.results.get(suite)?.text ?? "no result").replaceAll("|", "\n");

    for (const suite of Object.keys(suites)) {
      test(`${suite} passes`, () => {
        expect(output(suite)).toStartWith("exit code 0: ");
        expect(counts(output(suite))?.failed).toBe(0);
        expect(counts(output(suite))?.passed).toBeGreaterThan(0);
      });
    }

    test("nothing is left out but what this machine lacks", () => {
      const skipped = Object.keys(suites).flatMap((suite) => skips(output(suite)));
      const reasonFor = (name: string) =>
        Object.entries(leftOut).find(([end]) => name.endsWith(` > ${end}`))?.[1];
      for (const name of skipped) console.log(`left out (${init}, ${cgroup}): ${name}: ${reasonFor(name)}`);
      expect(skipped.filter((name) => reasonFor(name) === undefined)).toEqual([]);
      const total = Object.keys(suites).reduce(
        (sum, suite) => sum + (counts(output(suite))?.skipped ?? 0),
        0,
      );
      expect(total).toBe(skipped.length);
      expect(total).toBe(Object.keys(leftOut).length);
    });
  });
}
