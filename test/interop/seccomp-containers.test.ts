// Filters in real containers, made by runc (with libseccomp) and by ctr-bun from the same bundle: the same exit codes and
// the same output, which is what the profile says. What 32-bit programs do is tried where the kernel runs them: in a
// virtual machine (test/vm).

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeJson } from "../../src/spec/json.ts";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { CTR_BUN, freshID, makeRootfs, type Result } from "../support/bundle.ts";
import { type Config, specConfig } from "../support/config.ts";
import { deleteAll } from "../support/runc-beside.ts";
import { type Case, casesOf, inWords, usualCases } from "../support/seccomp/cases.ts";
import { callsOf, compileCalls, status } from "../support/seccomp/program.ts";
import { command } from "../support/two-runtimes.ts";

const folder = mkdtempSync(join(tmpdir(), "ctr-bun-seccomp-"));
beforeAll(() => {
  // The root of a user namespace passes through it.
  chmodSync(folder, 0o755);
  compileCalls(makeRootfs(folder), [64]);
});
afterAll(async () => {
  for (const name of ["ours", "runc"] as const) await deleteAll(asking(name));
  rmSync(folder, { recursive: true, force: true });
});

/** Calls one of the two. */
const asking =
  (name: Way["name"]) =>
  (...args: string[]): Promise<Result> =>
    command([name === "ours" ? CTR_BUN : "runc", "--root", join(folder, `${name}-state`), ...args]);

/** One of the two, with a bundle of its own on the root file system that both have. */
interface Way {
  readonly name: "ours" | "runc";
  readonly bundle: string;
  readonly id: string;
  ask(...args: string[]): Promise<Result>;
}

/** The same with both at once. */
async function both<T>(
  args: readonly string[],
  change: (config: Config, way: Way) => void,
  work: (way: Way) => Promise<T>,
): Promise<{ ours: T; runc: T }> {
  const by = (name: Way["name"]): Promise<T> => {
    const bundle = mkdtempSync(join(folder, "bundle-"));
    const way = { name, bundle, id: freshID(), ask: asking(name) };
    const config = specConfig("../rootfs", [...args]);
    change(config, way);
    writeFileSync(join(bundle, "config.json"), writeJson(config));
    return work(way);
  };
  const [ours, runc] = await Promise.all([by("ours"), by("runc")]);
  return { ours, runc };
}

const run = ({ bundle, id, ask }: Way) => ask("run", "--bundle", bundle, id);

function check({ name, seccomp, ask, told, code = 0, refusedByRunc, change }: Case): void {
  test(name, async () => {
    const { ours, runc } = await both(
      ["/calls64", ...ask],
      (config) => {
        config.linux.seccomp = seccomp;
        change?.(config);
      },
      run,
    );
    expect({ code: ours.code, told: inWords(ours.out), err: ours.err }).toMatchObject({ code, told });
    if (refusedByRunc !== undefined) expect(runc.err).toContain(refusedByRunc);
    else expect(runc).toMatchObject({ code: ours.code, out: ours.out, err: "" });
  });
}

describe("the same as under runc", () => {
  for (const each of [...casesOf(64), ...usualCases]) check(each);

  test("a program of exec, whose death is that of exec alone", async () => {
    const call = callsOf(64);
    const { ours, runc } = await both(
      ["sleep", "1000"],
      ({ linux }) => {
        linux.seccomp = {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [
            { names: ["swapon"], action: "SCMP_ACT_ERRNO" },
            { names: ["swapoff"], action: "SCMP_ACT_KILL_PROCESS" },
          ],
        } satisfies LinuxSeccomp;
      },
      async ({ ask, id, bundle }) => {
        await ask("run", "--detach", "--bundle", bundle, id);
        try {
          const calls = [call("call", "swapon"), status("Seccomp"), call("call", "swapoff")];
          const { code, out } = await ask("exec", id, "/calls64", ...calls);
          return { code, out, status: JSON.parse((await ask("state", id)).out).status };
        } finally {
          await ask("delete", "--force", id);
        }
      },
    );
    expect(ours).toEqual({ code: 159, out: "swapon -1\nSeccomp:\t2\n", status: "running" });
    expect(runc).toEqual(ours);
  });

  test("hooks: those in the host's namespaces are free of it, startContainer is not", async () => {
    const { ours, runc } = await both(
      ["cat", "/dev/shm/started"],
      (config, { bundle }) => {
        const hook = (file: string) => ({
          path: "/bin/sh",
          args: ["sh", "-c", `grep Seccomp: /proc/self/status >> ${file}`],
        });
        config.hooks = {
          createRuntime: [hook(`${bundle}/made`)],
          createContainer: [hook(`${bundle}/made`)],
          startContainer: [hook("/dev/shm/started")],
          poststop: [hook(`${bundle}/made`)],
        };
        config.linux.seccomp = {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["swapon"], action: "SCMP_ACT_ERRNO" }],
        } satisfies LinuxSeccomp;
      },
      async (way) => ({
        ...(await run(way)),
        made: readFileSync(join(way.bundle, "made"), "utf8"),
      }),
    );
    expect(ours).toEqual({
      code: 0,
      out: "Seccomp:\t2\n",
      err: "",
      made: "Seccomp:\t0\n".repeat(3),
    });
    expect(runc).toEqual(ours);
  });
});
