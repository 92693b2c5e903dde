// The cgroup drivers on a kernel that has everything: their tests run whole in virtual machines, one with cgroup v2 alone
// and one with v1 alone, by the Bun that is in the executable.

import { beforeAll, describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { counts } from "../../scripts/lib/groups.ts";
import { type CgroupSetup, program, type VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";

const root = resolve(import.meta.dir, "../..");
const SUITE = "test/vm/guest/cgroup-suite.guest.ts";

/** What runs in a machine, and how many tests are left out there: no kernel of Debian gives realtime runtime away. */
const machines: Readonly<Partial<Record<CgroupSetup, { suites: Record<string, string>; skipped: number }>>> =
  {
    unified: {
      suites: {
        "cgroup-suite": SUITE,
        "cgroup-v2": "test/vm/guest/cgroup-v2.guest.ts",
        "cgroup-bpf": "test/host/cgroup-bpf.test.ts",
      },
      skipped: 0,
    },
    legacy: { suites: { "cgroup-suite": SUITE }, skipped: 1 },
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
const files: VmFiles = {
  ...Object.fromEntries(parts.map((part) => [`/repo/${part}`, { from: join(root, part) }])),
  ...program("/usr/sbin/tc"),
};

/** What the suite can show only where there is swap, and where there are huge pages. */
const PREPARE = `
  for disk in 0 1 2 3 4 5; do mkswap /dev/ram$disk && swapon /dev/ram$disk; done >/dev/null
  echo 8 >/proc/sys/vm/nr_hugepages
  cd /repo
  export BUN_BE_BUN=1
`;

for (const [cgroup, { suites, skipped }] of Object.entries(machines)) {
  describe(`in a machine that is ${cgroup}`, () => {
    let vm: VmRun;
    beforeAll(async () => {
      const run = ([suite, file]: readonly [string, string]): string =>
        `outcome ${suite} ctr-bun test ./${file} --only-failures --timeout=60000`;
      vm = await runInVm({
        files,
        cgroup: cgroup as CgroupSetup,
        modules: ["brd", "bfq", "cls_cgroup", "sch_prio"],
        cpus: 2,
        nodes: 2,
        script: `${PREPARE}\n${Object.entries(suites).map(run).join("\n")}`,
        timeout: 230_000,
      });
    }, 260_000);

    for (const suite of Object.keys(suites)) {
      test(`${suite} passes`, () => {
        const output = (vm.results.get(suite)?.text ?? "no result").replaceAll("|", "\n");
        expect(output).toStartWith("exit code 0: ");
        expect(counts(output)).toMatchObject({ failed: 0, skipped: suite === "cgroup-suite" ? skipped : 0 });
        expect(counts(output)?.passed).toBeGreaterThan(0);
      });
    }
  });
}
