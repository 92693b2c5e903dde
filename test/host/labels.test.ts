// Labels of security modules on this kernel, which may have none: how they are refused, and that what is mounted over
// /proc or in it never gets one written. With AppArmor and SELinux at work: test/vm/labels.test.ts.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtinRegistry } from "../../src/builtin-drivers.ts";
import { asCtrError, type CtrError } from "../../src/error.ts";
import { CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC } from "../../src/kernel/constants.ts";
import { labelSteps, openProcSteps } from "../../src/plan/labels.ts";
import { row } from "../../src/plan/rows.ts";
import type { InitStep, Row } from "../../src/plan/step.ts";
import { applyPlan } from "../../src/runtime/apply.ts";
import { probeHost } from "../../src/runtime/host.ts";
import { type Bundle, freshID, makeBundle, runCommand } from "../support/bundle.ts";

const host = probeHost();
const PROFILE = "no-such-profile";
const LABEL = "system_u:system_r:no_such_t:s0";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

/** Has an init of its own carry out `fake` in a mount namespace of its own, and then set labels; how that failed. */
function failureBehind(fake: readonly Row[], process: Parameters<typeof labelSteps>[0]): CtrError {
  const hide: InitStep = {
    on: "init",
    field: "test",
    about: "put something in the way",
    rows: [row("unshare", [CLONE_NEWNS]), row("mount", ["none", "/", "", MS_REC | MS_PRIVATE, 0]), ...fake],
  };
  const steps = [hide, ...openProcSteps(process), ...labelSteps(process, false)];
  const plan = { steps, cgroupPaths: {}, cgroupDriver: undefined, warnings: [] };
  try {
    applyPlan({ plan, host, registry: builtinRegistry(), stdio: [0, 1, 2], until: "executing" });
  } catch (error) {
    return asCtrError(error);
  }
  throw new Error("the program of steps alone cannot end well");
}

const tmpfs = (at: string) => row("mount", ["fake", at, "tmpfs", 0, ""]);
const CASES = [
  { field: "process.apparmorProfile", process: { apparmorProfile: PROFILE }, file: "apparmor/exec" },
  { field: "process.selinuxLabel", process: { selinuxLabel: LABEL }, file: "exec" },
] as const;

for (const { field, process, file } of CASES) {
  describe(`${field} is not written`, () => {
    const name = `/proc/self/attr/${file}`;

    test("where nothing is in the way the kernel's own file is reached, and judges", () => {
      const error = failureBehind([], process);
      expect(error).toMatchObject({ code: "INIT", field, path: name });
      // ENOENT: no such profile, or a kernel that was built without the module. EINVAL: no such label, or no module.
      expect(["ENOENT", "EINVAL"]).toContain(error.errno ?? "");
    });

    test("where a file system covers /proc", () => {
      expect(failureBehind([tmpfs("/proc")], process)).toMatchObject({
        field,
        syscall: "fstatfs",
        path: "/proc",
        errno: "EXDEV",
        hint: "something else is mounted at /proc or in it: labels are written to the kernel's own procfs alone",
      });
    });

    test("where a file system covers /proc/self/attr", () => {
      expect(failureBehind([tmpfs("/proc/self/attr")], process)).toMatchObject({
        field,
        syscall: "openat2",
        path: name,
        errno: "EXDEV",
      });
    });
  });
}

test("no label is written to a file that is mounted over the one of /proc/self/attr", () => {
  const fake = join(bundle.path, "fake");
  writeFileSync(fake, "as it was");
  const over = (source: string) => [row("mount", [source, "/proc/self/attr/exec", "", MS_BIND, 0])];
  // Not the kernel's other files either: what is written to some of them is taken, and means nothing (CVE-2025-52881).
  for (const source of [fake, "/proc/self/comm"]) {
    expect(failureBehind(over(source), { selinuxLabel: LABEL })).toMatchObject({
      syscall: "openat2",
      errno: "EXDEV",
    });
  }
  expect(readFileSync(fake, "utf8")).toBe("as it was");
  rmSync(fake);
});

describe("what this host cannot hold", () => {
  const runc = () =>
    runCommand(["runc", "--root", join(bundle.path, "runc"), "run", "-b", bundle.path, freshID()]);

  test("an AppArmor profile is an error that names it, as in runc", () => {
    const { code, err } = bundle.run(["true"], (config) => {
      config.process.apparmorProfile = PROFILE;
    });
    expect(code).toBe(1);
    expect(err).toContain(`process.apparmorProfile: cannot apply the AppArmor profile ${PROFILE}: `);
    expect(runc().code).toBe(1);
  });

  test("a SELinux label is an error, as in runc", () => {
    const { code, err } = bundle.run(["true"], (config) => {
      config.process.selinuxLabel = LABEL;
    });
    expect(code).toBe(1);
    expect(err).toContain("process.selinuxLabel: ");
    expect(runc().code).toBe(1);
  });

  test("a label for mounts is an error where a mount would carry it, and else none, as in runc", () => {
    const label = (config: { linux: Record<string, unknown> }) => {
      config.linux.mountLabel = LABEL;
    };
    const { code, err } = bundle.run(["true"], label);
    expect(code).toBe(1);
    expect(err).toMatch(/linux\.mountLabel: |cannot mount/);
    expect(runc().code).toBe(1);
    const none = bundle.run(["true"], (config) => {
      label(config);
      config.mounts = config.mounts.filter(({ type }) => type === "proc" || type === "sysfs");
      config.linux.maskedPaths = [];
    });
    expect(none).toEqual({ code: 0, out: "", err: "" });
    expect(runc().code).toBe(0);
  });

  test("exec with one fails and leaves the container as it is", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    try {
      const profile = bundle.ctr("exec", "--apparmor", PROFILE, id, "true");
      expect(profile.code).not.toBe(0);
      expect(profile.err).toContain(
        `process.apparmorProfile: cannot apply the AppArmor profile ${PROFILE}: `,
      );
      const label = bundle.ctr("exec", "--process-label", LABEL, id, "true");
      expect(label.code).not.toBe(0);
      expect(label.err).toContain("process.selinuxLabel: ");
      expect(bundle.ctr("exec", id, "echo", "still here").out).toBe("still here\n");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });
});
