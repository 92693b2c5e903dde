// The virtual machine itself: that it is what the other tests in this folder take it for.

import { beforeAll, expect, test } from "bun:test";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";

let vm: VmRun;

beforeAll(async () => {
  vm = await runInVm({
    script: `
      outcome kernel uname -r
      outcome cgroups sh -c 'grep cgroup /proc/self/mounts'
      outcome controllers cat /sys/fs/cgroup/cgroup.controllers
      outcome modules sh -c 'cut -d " " -f 1 /proc/modules'
      outcome root unshare -m sh -c 'mkdir /tmp/r && mount -t tmpfs r /tmp/r && cd /tmp/r && mkdir old && pivot_root . old && echo pivoted'
      check fails false
      outcome version ctr-bun --version
    `,
  });
}, 120_000);

const text = (name: string): string => vm.results.get(name)?.text ?? "no result";

test("boots Debian's kernel and ends by itself", () => {
  expect(text("kernel")).toMatch(/^exit code 0: \d+\.\d+\.\d+-\S*cloud-amd64$/);
  expect(vm.exitCode).toBe(0);
});

test("has cgroup v2 alone, with its controllers", () => {
  expect(text("cgroups")).toMatch(/^exit code 0: cgroup2 \/sys\/fs\/cgroup cgroup2 [^|]*$/);
  expect(text("controllers").split(" ")).toEqual(expect.arrayContaining(["cpuset", "cpu", "memory", "pids"]));
});

test("has the modules that containers need", () => {
  expect(text("modules").replace("exit code 0: ", "").split("|")).toEqual(
    expect.arrayContaining(["overlay", "veth", "bridge"]),
  );
});

test("has a root that can be pivoted away from", () => {
  expect(text("root")).toBe("exit code 0: pivoted");
});

test("reports a command that fails", () => {
  expect(vm.results.get("fails")).toEqual({ ok: false, text: "exit code 1: " });
});

test("starts ctr-bun", () => {
  expect(text("version")).toMatch(/^exit code 0: (ctr-bun|runc) version \d+\.\d+\.\d+\|commit: /);
});
