// What crun's annotations change, seen from inside and on the host.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

test("run.oci.keep_original_groups leaves the caller's groups to the program, and to exec's", () => {
  const id = freshID();
  const groups = "grep ^Groups: /proc/self/status";
  const caller = ["setpriv", "--groups", "7,4242", CTR_BUN, "--root", bundle.state];
  for (const [annotations, own] of [
    [{ "run.oci.keep_original_groups": "1" }, "Groups:\t7 4242 "],
    [{}, "Groups:\t9 "],
  ] as const) {
    bundle.configure(["sleep", "100"], (config) => {
      config.annotations = annotations;
      config.process.user = { uid: 5, gid: 5, additionalGids: [9] } as never;
    });
    runCommand([...caller, "run", "--detach", "--bundle", bundle.path, id]);
    const { pid } = JSON.parse(bundle.ctr("state", id).out);
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toContain(own);
    expect(runCommand([...caller, "exec", id, "sh", "-c", groups]).out.trim()).toBe(own.trim());
    bundle.ctr("delete", "--force", id);
  }
});

test("run.oci.hooks.stdout and stderr are files that hooks add to", () => {
  const [stdout, stderr] = [join(bundle.path, "stdout"), join(bundle.path, "stderr")];
  writeFileSync(stdout, "before\n");
  const hook = (word: string) => ({ path: "/bin/sh", args: ["sh", "-c", `echo ${word}; echo ${word}! >&2`] });
  const { code } = bundle.run(["true"], (config) => {
    config.annotations = { "run.oci.hooks.stdout": stdout, "run.oci.hooks.stderr": stderr };
    config.hooks = {
      createRuntime: [hook("create")],
      poststart: [hook("start")],
      poststop: [hook("stop")],
    };
  });
  expect(code).toBe(0);
  expect(readFileSync(stdout, "utf8")).toBe("before\ncreate\nstart\nstop\n");
  expect(readFileSync(stderr, "utf8")).toBe("create!\nstart!\nstop!\n");
});

test("run.oci.seccomp_fail_unknown_syscall makes a call that nobody knows an error", () => {
  const profile = (annotations: Record<string, string>) =>
    bundle.run(["true"], (config) => {
      config.annotations = annotations;
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["chmod", "frobnicate"], action: "SCMP_ACT_ERRNO" }],
      };
    });
  expect(profile({}).code).toBe(0);
  const { code, err } = profile({ "run.oci.seccomp_fail_unknown_syscall": "1" });
  expect(code).toBe(1);
  expect(err).toContain("linux.seccomp.syscalls: unknown system calls: frobnicate");
});

test("one that asks for what is not there is refused before anything is made", () => {
  const { code, err } = bundle.run(["true"], (config) => {
    config.annotations = { "run.oci.handler": "krun" };
  });
  expect(code).toBe(1);
  expect(err).toContain('annotations["run.oci.handler"]: not supported');
});
