// The systemd cgroup manager in virtual machines whose systemd has the controllers of v1: alone (legacy), and with a
// cgroup2 tree beside them in which it keeps its units (hybrid). What there is to a unit on v2 alone is in
// systemd.test.ts, and more of what each limit does is in the suite of cgroup drivers.

import { beforeAll, describe, expect, test } from "bun:test";
import type { CgroupSetup, VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { specConfig } from "../support/config.ts";
import { imagePath } from "../support/images.ts";
import { resultsOf } from "../support/vm-results.ts";

const mebibyte = 1024 * 1024;

function config(): string {
  const config = specConfig("/busybox", ["sh", "-c", "while :; do :; done"]);
  config.linux.devices = [{ path: "/dev/probe", type: "c", major: 10, minor: 229, fileMode: 0o666 }];
  config.linux.resources = {
    devices: [
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 10, minor: 229, access: "r" },
    ],
    memory: { limit: 24 * mebibyte },
    cpu: { shares: 512, quota: 12_345, period: 50_000 },
    pids: { limit: 6 },
  };
  return JSON.stringify(config);
}

const files: VmFiles = {
  "/busybox": { from: imagePath("busybox-rootfs") },
  "/b/config.json": { text: config() },
};

const PROPERTIES = "MemoryLimit CPUShares CPUQuotaPerSecUSec TasksMax DevicePolicy ActiveState Delegate";
const FILES =
  "memory/memory.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_period_us cpu/cpu.cfs_quota_us pids/pids.max devices/devices.list";

// Each call of ctr-bun takes a second here: what needs no verb of its own is done by one program.
const script = `
  here=system.slice/ctr-bun-box.scope
  quietly() { "$@" </dev/null >/run/said 2>&1; }
  values() { for file in ${FILES}; do echo "$(basename $file)" $(sort -V /sys/fs/cgroup/\${file%/*}/$here/\${file#*/}); done; }
  properties() { systemctl show ctr-bun-box.scope $(for name in ${PROPERTIES}; do echo -p $name; done); }
  used() { cat /sys/fs/cgroup/cpuacct/$here/cpuacct.usage; }

  quietly ctr-bun oci --systemd-cgroup run -d -b /b box
  outcome run cat /run/said
  outcome properties properties
  outcome values values
  outcome held ctr-bun oci exec box sh -c '
    exec 2>/dev/null
    grep -v "^0:" /proc/self/cgroup | grep -vc ":/$0$"
    grep -c "^0:.*:/$0$" /proc/self/cgroup
    (: </dev/probe) && echo reads
    (: >/dev/probe) || echo refused
    dd if=/dev/zero of=/dev/null bs=48M count=1
    echo $?
    sleep 9 & sleep 9 & sleep 9 & sleep 9 & sleep 9 & echo forked
  ' $here
  systemctl daemon-reload
  outcome reloaded values

  outcome update ctr-bun oci update --memory 96m --pids-limit 20 --cpu-quota 20000 box
  outcome updated-properties properties
  outcome updated values
  outcome fed ctr-bun oci exec box dd if=/dev/zero of=/dev/null bs=48M count=1 status=none

  outcome pause ctr-bun oci pause box
  before=$(used); sleep 0.3
  outcome still test "$before" = "$(used)"
  outcome delete ctr-bun oci delete --force box
  outcome gone sh -c "systemctl list-units --all --plain --no-legend 'ctr-bun*'; find /sys/fs/cgroup /run/systemd/transient -name 'ctr-bun*'"
`;

/** What every container may use of devices. */
const USUAL = "c 1:3 rwm c 1:5 rwm c 1:7 rwm c 1:8 rwm c 1:9 rwm c 5:0 rwm c 5:2 rwm";

const values = (memory: number, quota: number, pids: number, probe: string) => [
  `memory.limit_in_bytes ${memory * mebibyte}`,
  "cpu.shares 512",
  "cpu.cfs_period_us 50000",
  `cpu.cfs_quota_us ${quota}`,
  `pids.max ${pids}`,
  `devices.list b *:* m ${USUAL} c 10:200 rwm c 10:229 ${probe} c 136:* rwm c *:* m`,
];

const properties = (memory: number, quota: number, pids: number) => [
  "ActiveState=active",
  `CPUQuotaPerSecUSec=${quota}ms`,
  "CPUShares=512",
  "Delegate=yes",
  "DevicePolicy=strict",
  `MemoryLimit=${memory * mebibyte}`,
  `TasksMax=${pids}`,
];

const setups: readonly CgroupSetup[] = ["legacy", "hybrid"];

describe.each(setups)("a container's unit on a %s host", (cgroup) => {
  let vm: VmRun;
  beforeAll(async () => {
    vm = await runInVm({ init: "systemd", cgroup, files, script, timeout: 200_000 });
  }, 220_000);

  const { text, lines } = resultsOf(() => vm);
  const NOTHING = "exit code 0: ";

  test("has its limits in systemd's properties and in the kernel's files", () => {
    expect(text("run")).toBe(NOTHING);
    expect(lines("properties").sort()).toEqual(properties(24, 250, 6));
    expect(lines("values")).toEqual(values(24, 12_345, 6, "r"));
  });

  test("holds the container in every hierarchy: by devices, by memory and by number", () => {
    const inTree = cgroup === "hybrid" ? "1" : "0";
    expect(text("held")).toBe(`exit code 2: 0|${inTree}|reads|refused|137`);
  });

  test("keeps its limits when systemd reads its units anew, a quota rounded up", () => {
    // Nodes of every device may be made, so that systemd's "rm" is no more than "r".
    expect(lines("reloaded")).toEqual(values(24, 12_500, 6, "rm"));
  });

  test("is changed by update, in both", () => {
    expect(text("update")).toBe(NOTHING);
    expect(lines("updated-properties").sort()).toEqual(properties(96, 400, 20));
    expect(lines("updated")).toEqual(values(96, 20_000, 20, "rm"));
    expect(text("fed")).toBe(NOTHING);
  });

  test("stands still while it is paused, goes with the container then, and leaves nothing", () => {
    expect(text("pause")).toBe(NOTHING);
    expect(text("still")).toBe(NOTHING);
    expect(text("delete")).toBe(NOTHING);
    expect(text("gone")).toBe(NOTHING);
    expect(vm.exitCode).toBe(0);
  });
});
