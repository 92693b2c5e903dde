// The virtual machine with Debian's systemd as PID 1: that it is what the tests of systemd's cgroups take it for.

import { beforeAll, expect, test } from "bun:test";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";

const script = `
  outcome init cat /proc/1/comm
  outcome state systemctl is-system-running
  outcome failed systemctl --failed --plain --no-legend
  outcome cgroups sh -c 'grep cgroup /proc/self/mounts'
  outcome own cat /proc/self/cgroup
  outcome bus busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Version
  outcome scope systemd-run --scope --quiet --unit=trial -p MemoryMax=64M sh -c \\
    'cat /proc/self/cgroup /sys/fs/cgroup/system.slice/trial.scope/memory.max'
  outcome user systemctl start user@1000
  outcome user-state as_user systemctl --user is-system-running
  outcome user-scope as_user systemd-run --user --scope --quiet --unit=trial sh -c 'id -u; cat /proc/self/cgroup'
  outcome delegated sh -c \\
    'cd /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service; stat -c %U . cgroup.procs; cat cgroup.controllers'
  outcome version ctr-bun --version
`;

let vm: VmRun;
beforeAll(async () => {
  vm = await runInVm({ init: "systemd", script, timeout: 180_000 });
}, 240_000);

const text = (name: string): string => vm.results.get(name)?.text ?? "no result";

test("runs the script as a service of a system that is wholly up", () => {
  expect(text("init")).toBe("exit code 0: systemd");
  expect(text("failed")).toBe("exit code 0: ");
  expect(text("state")).toBe("exit code 0: running");
  expect(text("own")).toBe("exit code 0: 0::/system.slice/vm-test.service");
  expect(vm.exitCode).toBe(0);
});

test("has cgroup v2 alone", () => {
  expect(text("cgroups")).toMatch(/^exit code 0: cgroup2 \/sys\/fs\/cgroup cgroup2 [^|]*$/);
});

test("has a bus on which systemd answers, and makes scopes with limits", () => {
  expect(text("bus")).toMatch(/^exit code 0: s "25\d/);
  expect(text("scope")).toBe(`exit code 0: 0::/system.slice/trial.scope|${64 * 1024 * 1024}`);
});

test("gives an ordinary user a manager, with controllers delegated", () => {
  expect(text("user")).toBe("exit code 0: ");
  expect(text("user-state")).toBe("exit code 0: running");
  expect(text("user-scope")).toMatch(
    /^exit code 0: 1000\|0::\/user\.slice\/user-1000\.slice\/user@1000\.service\/app\.slice\/trial\.scope$/,
  );
  expect(text("delegated")).toBe("exit code 0: user|user|cpuset cpu io memory pids");
});

test("starts ctr-bun", () => {
  expect(text("version")).toMatch(/^exit code 0: (ctr-bun|runc) version \d+\.\d+\.\d+\|commit: /);
});
