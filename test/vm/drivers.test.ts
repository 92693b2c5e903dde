// The drivers of cgroup v2 where it is pure: their tests for a real kernel, which need one that this host may not be,
// run whole in the virtual machine, by the Bun that is in the executable.

import { beforeAll, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { counts } from "../../scripts/lib/groups.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";

const root = resolve(import.meta.dir, "../..");
const suites = {
  "cgroup-v2": "test/vm/guest/cgroup-v2.guest.ts",
  "cgroup-bpf": "test/host/cgroup-bpf.test.ts",
};

let vm: VmRun;
beforeAll(async () => {
  const parts = [
    "src",
    "drivers",
    "test",
    "spec-fixtures/hosts",
    "package.json",
    "tsconfig.json",
    "node_modules/valibot",
  ];
  const files = Object.fromEntries(parts.map((part) => [`/repo/${part}`, { from: join(root, part) }]));
  const run = ([suite, file]: readonly [string, string]): string =>
    `outcome ${suite} ctr-bun test ./${file} --only-failures --timeout=60000`;
  vm = await runInVm({
    files,
    script: `cd /repo; export BUN_BE_BUN=1\n${Object.entries(suites).map(run).join("\n")}`,
    timeout: 200_000,
  });
}, 240_000);

for (const suite of Object.keys(suites)) {
  test(`${suite} passes`, () => {
    const output = (vm.results.get(suite)?.text ?? "no result").replaceAll("|", "\n");
    expect(output).toStartWith("exit code 0: ");
    expect(counts(output)).toMatchObject({ failed: 0, skipped: 0 });
    expect(counts(output)?.passed).toBeGreaterThan(0);
  });
}
