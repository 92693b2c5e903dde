/** What of a plan's end is told to `start`: each call that may still fail then, in the words of its own step. */
import { expect, test } from "bun:test";
import { asCtrError, errorLine } from "../../../src/error.ts";
import { ERRNO } from "../../../src/kernel/errno.ts";
import { writeProgram } from "../../../src/machine/program.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { type LateStep, lateFailure, lateSteps } from "../../../src/runtime/late-calls.ts";
import type { LinuxSeccomp, Process } from "../../../src/spec/runtime/config.ts";
import { initSteps, planInput, smallConfig } from "./inputs.ts";

const SECCOMP: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mount"], action: "SCMP_ACT_ERRNO" }],
};

function late(process: Partial<Process>): readonly LateStep[] {
  const config = smallConfig({ process: { noNewPrivileges: true, ...process }, linux: { seccomp: SECCOMP } });
  const plan = makePlan(planInput(config));
  const descriptors: Record<string, number> = { report: 3, start: 4 };
  for (const step of plan.steps) {
    if (step.on === "host" && step.action.do === "open") descriptors[step.action.as] = 5;
  }
  const steps = initSteps(plan);
  return lateSteps(writeProgram({ steps, arch: "x86_64", descriptors }), steps);
}

function failed(steps: readonly LateStep[], errno: keyof typeof ERRNO, call: string, file?: string) {
  const rows = steps.flatMap(({ calls }) => calls);
  const [row = -1] =
    rows.find(([, name, path]) => name === call && (file === undefined || path === file)) ?? [];
  return asCtrError(lateFailure(steps, ERRNO[errno], row));
}

test("only what is behind the wait is kept, and it fits into a record", () => {
  const steps = late({ args: ["prog"], env: ["PATH=/a:/b:/c:/d:/e:/f"] });
  expect(steps.map(({ field }) => field)).toEqual([
    "process.user.umask",
    "process.args",
    "linux.seccomp",
    "process.args[0]",
  ]);
  expect(JSON.stringify(steps).length).toBeLessThan(2000);
  expect(JSON.parse(JSON.stringify(steps))).toEqual(steps);
});

test("a filter that the kernel refuses is not the program's failure", () => {
  const error = failed(late({ args: ["/prog"] }), "EINVAL", "seccomp");
  expect(error).toMatchObject({ field: "linux.seccomp", syscall: "seccomp", errno: "EINVAL" });
  expect(error.exitCode).toBeUndefined();
  expect(error.hint).toContain("refuses the filter");
});

test("the program's failure names the file that was tried, in runc's words", () => {
  const searched = late({ args: ["prog"], env: ["PATH=/a:/b"] });
  expect(errorLine(failed(searched, "ENOEXEC", "execve", "/b/prog"))).toBe(
    "process.args[0]: exec /b/prog: exec format error (execve /b/prog: ENOEXEC)",
  );
  expect(errorLine(failed(searched, "EACCES", "execve", "/b/prog"))).toBe(
    'process.args[0]: exec: "prog": permission denied (execve /b/prog: EACCES)',
  );
  expect(errorLine(failed(searched, "ENOENT", "faccessat2", "/a/prog"))).toBe(
    'process.args[0]: exec: "prog": executable file not found in $PATH (faccessat2 prog: ENOENT)',
  );
  const absolute = late({ args: ["/a/prog"] });
  expect(errorLine(failed(absolute, "ENOENT", "faccessat2"))).toBe(
    'process.args[0]: exec: "/a/prog": stat /a/prog: no such file or directory (faccessat2 /a/prog: ENOENT)',
  );
  expect(failed(absolute, "ENOENT", "execve")).toMatchObject({
    message: "exec /a/prog: no such file or directory",
    exitCode: 127,
  });
});

test("a row that nobody kept is an error too", () => {
  expect(asCtrError(lateFailure([], 1, 7)).message).toContain("row 7");
});
