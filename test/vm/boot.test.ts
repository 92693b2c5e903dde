// The virtual machine itself: that it is what the other tests in this folder take it for.

import { beforeAll, expect, test } from "bun:test";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";

let vm: VmRun;
let legacy: VmRun;

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
  legacy = await runInVm({
    cgroup: "legacy",
    modules: ["cls_cgroup", "bfq"],
    cpus: 2,
    script: `
      outcome cgroups sh -c 'grep cgroup /proc/self/mounts | cut -d " " -f 2,3'
      outcome together ls /sys/fs/cgroup/net_prio
      outcome modules sh -c 'cut -d " " -f 1 /proc/modules'
      outcome cpus cat /sys/fs/cgroup/cpuset/cpuset.cpus
    `,
  });
}, 120_000);

const text = (name: string, of = vm): string => of.results.get(name)?.text ?? "no result";

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

test("has cgroup v1 instead, modules and processors where they are asked for", () => {
  const mounts = text("cgroups", legacy).replace("exit code 0: ", "").split("|");
  expect(mounts[0]).toBe("/sys/fs/cgroup tmpfs");
  expect(mounts).toEqual(
    expect.arrayContaining(
      ["cpu,cpuacct", "net_cls,net_prio", "memory", "hugetlb"].map((name) => `/sys/fs/cgroup/${name} cgroup`),
    ),
  );
  expect(mounts.filter((mount) => mount.endsWith("cgroup2"))).toEqual([]);
  expect(text("together", legacy)).toContain("net_cls.classid");
  expect(text("modules", legacy).split(/[ |]/)).toEqual(
    expect.arrayContaining(["overlay", "cls_cgroup", "bfq"]),
  );
  expect(text("cpus", legacy)).toBe("exit code 0: 0-1");
});
