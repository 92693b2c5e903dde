// Filters on a kernel that runs 32-bit programs, which not every host's does: the cases of test/support/seccomp for a
// program of 64 bits and one of 32, made by ctr-bun and by crun from the same config.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program, type VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { writeJson } from "../../src/spec/json.ts";
import { specConfig } from "../support/config.ts";
import { type Case, casesOf, inWords } from "../support/seccomp/cases.ts";
import { i386Cases } from "../support/seccomp/cases-i386.ts";
import { type Bits, compileCalls } from "../support/seccomp/program.ts";
import { resultsOf } from "../support/vm-results.ts";

const BITS: readonly Bits[] = [64, 32];
const runtimes = { ours: "ctr-bun oci", crun: "crun --cgroup-manager cgroupfs" };
const names = Object.keys(runtimes) as (keyof typeof runtimes)[];

const all = BITS.flatMap((bits) =>
  [...casesOf(bits), ...i386Cases(bits)].map((each, index) => ({ ...each, bits, id: `c${bits}-${index}` })),
);

/** Lines of shell that run a case: a result with exit code and output, and one with what the runtime said. */
function steps({ id }: { id: string }): string {
  return names
    .map(
      (name) => `
        outcome ${id}-${name} sh -c '${runtimes[name]} run --bundle /b/${id} ${id}-${name} </dev/null 2>/tmp/err'
        outcome ${id}-${name}-said cat /tmp/err`,
    )
    .join("\n");
}

let vm: VmRun;
const folder = mkdtempSync(join(tmpdir(), "ctr-bun-seccomp-vm-"));
beforeAll(async () => {
  compileCalls(folder, BITS);
  const files: Record<string, VmFiles[string]> = { ...program("/usr/bin/crun") };
  for (const bits of BITS) files[`/calls/calls${bits}`] = { from: join(folder, `calls${bits}`) };
  for (const { id, bits, ask, seccomp, change } of all) {
    const config = specConfig("/calls", [`/calls${bits}`, ...ask]);
    config.linux.seccomp = seccomp;
    change?.(config);
    files[`/b/${id}/config.json`] = { text: writeJson(config) };
  }
  vm = await runInVm({ files, script: all.map(steps).join("\n"), timeout: 200_000 });
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { text } = resultsOf(() => vm);

function outcome(name: string): { code: number; told: string[] } {
  const [, code, out = ""] = /^exit code (\d+): (.*)$/s.exec(text(name)) ?? [];
  return { code: Number(code), told: inWords(out.replaceAll("|", "\n")) };
}

/** crun has no ENOSYS for calls newer than the profile: they get the profile's default answer. */
const crunsOwn: Readonly<Record<string, { code: number; newer: string[] }>> = {
  "what the profile does not name, SCMP_ACT_ERRNO": { code: 0, newer: ["900 -1"] },
  "what the profile does not name, SCMP_ACT_KILL_PROCESS": { code: 159, newer: [] },
};

describe.each(BITS)("a program of %d bits", (bits) => {
  for (const { id, name, told, code = 0 } of all.filter(
    (each: Case & { bits: Bits }) => each.bits === bits,
  )) {
    test(`${name}, beside crun`, () => {
      expect(outcome(`${id}-ours`)).toEqual({ code, told: [...told] });
      const own = crunsOwn[name];
      const same = told.filter((line) => own === undefined || !line.startsWith("900 "));
      expect(outcome(`${id}-crun`)).toEqual({
        code: own?.code ?? code,
        told: [...same, ...(own?.newer ?? [])],
      });
    });
  }
});

test("of a 32-bit program that its profile does not cover it is said which call, and what covers it", () => {
  const { id } = all.find(({ bits, code }) => bits === 32 && code !== undefined) ?? { id: "none" };
  expect(text(`${id}-ours-said`)).toMatch(
    /killed by SIGSYS when "calls32" called \w+ of i386: linux\.seccomp\.architectures does not have its architecture; to allow it, add SCMP_ARCH_X86 to linux\.seccomp\.architectures/,
  );
});
