// What filters have the kernel log: SCMP_ACT_LOG always, what is refused only with SECCOMP_FILTER_FLAG_LOG.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { tryReadSeccompLines } from "../../src/kernel/audit.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { SECCOMP_RET_ERRNO, SECCOMP_RET_LOG } from "../../src/kernel/seccomp.ts";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { type Bundle, makeBundle } from "../support/bundle.ts";
import { callsOf, compileCalls, status } from "../support/seccomp/program.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  compileCalls(bundle.rootfs, [64]);
});
afterAll(() => bundle.dispose());

const call = callsOf(64);

/** Runs a call that is refused, and one that is only logged; returns the answers that the log has of them. */
async function answers(flags: NonNullable<LinuxSeccomp["flags"]>): Promise<number[]> {
  // The log keeps ten lines in five seconds; which ones of several containers' that is, is a matter of luck.
  for (let tries = 0; ; tries++) {
    const since = Date.now() - 10;
    const { out, err } = bundle.run(
      ["/calls64", call("call", "swapon"), call("call", "sched_yield"), status("Seccomp_filters")],
      ({ linux }) => {
        linux.seccomp = {
          defaultAction: "SCMP_ACT_ALLOW",
          flags,
          syscalls: [
            { names: ["swapon"], action: "SCMP_ACT_ERRNO", errnoRet: ERRNO.ENOTTY },
            { names: ["sched_yield"], action: "SCMP_ACT_LOG" },
          ],
        } satisfies LinuxSeccomp;
      },
    );
    expect({ out, err }).toEqual({
      out: `swapon ${-ERRNO.ENOTTY}\nsched_yield 0\nSeccomp_filters:\t1\n`,
      err: "",
    });
    await Bun.sleep(100);
    const lines = tryReadSeccompLines();
    if (typeof lines === "number") throw new Error(`the kernel's log cannot be read: errno ${-lines}`);
    const found = lines.filter(({ time, comm }) => time >= since && comm === "calls64");
    if (found.length > 0 || tries === 3) return found.map(({ answer }) => answer).sort((a, b) => a - b);
    await Bun.sleep(5100);
  }
}

test("SCMP_ACT_LOG is logged, what is refused is not", async () => {
  expect(await answers([])).toEqual([SECCOMP_RET_LOG]);
});

test("with SECCOMP_FILTER_FLAG_LOG what is refused is logged too", async () => {
  const all = await answers(["SECCOMP_FILTER_FLAG_LOG"]);
  // The second of the two may be the one too many.
  expect([...new Set([...all, SECCOMP_RET_LOG])]).toEqual([SECCOMP_RET_ERRNO, SECCOMP_RET_LOG]);
});

test("SECCOMP_FILTER_FLAG_SPEC_ALLOW leaves speculation as the kernel has it", () => {
  const line = /^Speculation_Store_Bypass:.*$/m;
  const { out } = bundle.run(["/calls64", status("Speculation_Store_Bypass")], ({ linux }) => {
    linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"] };
  });
  const host = line.exec(readFileSync("/proc/self/status", "utf8"))?.[0];
  expect(host).toBeDefined();
  expect(out).toBe(`${host}\n`);
});
