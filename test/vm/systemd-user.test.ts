// An ordinary user's containers in the virtual machine with systemd: the user has no capability, a session that PAM has
// opened, and a systemd of its own. One machine runs all of it; each test reads its part of the outcome.

import { beforeAll, describe, expect, test } from "bun:test";
import type { VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { rootlessSpec } from "../../src/spec/runtime/defaults.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { imagePath } from "../support/images.ts";
import { resultsOf } from "../support/vm-results.ts";

const mebibyte = 1024 * 1024;

/** A bundle /u/NAME as `spec --rootless` writes it for the user, but for its program, resources, and terminal. */
function bundle(name: string, args: readonly string[], resources: LinuxResources): VmFiles {
  const { process, linux, ...spec } = rootlessSpec({ uid: 1000, gid: 1000 });
  if (process === undefined) throw new Error("a spec without a process");
  const config = {
    ...spec,
    root: { path: "/busybox", readonly: true },
    process: { ...process, args, terminal: false },
    linux: { ...linux, resources },
  };
  return { [`/u/${name}/config.json`]: { text: JSON.stringify(config) } };
}

const files: VmFiles = {
  "/busybox": { from: imagePath("busybox-rootfs") },
  ...bundle("owned", ["sleep", "1000"], {
    memory: { limit: 32 * mebibyte, swap: 32 * mebibyte },
    cpu: { quota: 20_000, period: 100_000 },
    pids: { limit: 20 },
  }),
  ...bundle("plain", ["cat", "/proc/self/cgroup"], {}),
  ...bundle("limited", ["cat", "/proc/self/cgroup"], { memory: { limit: 32 * mebibyte } }),
  ...bundle("huge", ["true"], { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] }),
};

/** Where the container's scope is. */
const OWNED = "/user.slice/user-1000.slice/user@1000.service/user.slice/ctr-bun-owned.scope";

const script = `
  outcome user systemctl start user@1000
  # The container keeps its standard output open: nobody must wait for its end.
  quietly() { "$@" </dev/null >/run/said 2>&1; }
  # PAM opens the session; whatever else is to run in it moves there first.
  systemd-run --quiet --uid=1000 -p PAMName=login --unit=login sleep infinity
  session() { ls -d /sys/fs/cgroup/user.slice/user-1000.slice/session-*.scope; }
  for i in $(seq 50); do session >/dev/null 2>&1 && break; sleep 0.2; done
  scope=$(session)
  in_session() { ( sh -c 'echo $PPID' >$scope/cgroup.procs; as_user "$@" ); }
  OWN="in_session ctr-bun oci"
  owned=/sys/fs/cgroup${OWNED}
  outcome own-session in_session sh -c 'cat /proc/self/cgroup; grep CapEff /proc/self/status'
  quietly $OWN --systemd-cgroup run -d -b /u/owned owned
  outcome owned cat /run/said
  outcome owned-unit in_session systemctl --user show ctr-bun-owned.scope -p ControlGroup -p MemoryMax -p TasksMax -p CPUQuotaPerSecUSec
  outcome owned-files sh -c "cd $owned; cat memory.max memory.swap.max pids.max cpu.max"
  outcome owned-exec $OWN exec owned sh -c 'cat /proc/self/cgroup /proc/1/cgroup'
  outcome owned-memory $OWN exec owned dd if=/dev/zero of=/dev/null bs=48M count=1
  outcome owned-cpu $OWN exec owned sh -c 'timeout 1 sh -c "while :; do :; done"; true'
  outcome owned-pids $OWN exec owned sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1 & done; wait'
  outcome owned-held sh -c "cd $owned; cat pids.events; grep 'oom_kill ' memory.events; grep nr_throttled cpu.stat"
  outcome owned-update $OWN update --memory 48m --memory-swap 48m --pids-limit 30 owned
  outcome owned-updated sh -c "cat $owned/memory.max $owned/pids.max"
  outcome owned-pause $OWN pause owned
  outcome owned-frozen sh -c "grep frozen $owned/cgroup.events"
  outcome owned-deleted $OWN delete --force owned
  outcome owned-gone sh -c "ls /run/user/1000/systemd/transient; ls /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice | grep ctr-bun"
  outcome own-huge $OWN --systemd-cgroup run -b /u/huge huge
  outcome own-plain $OWN run -b /u/plain plain
  outcome own-refused $OWN run -b /u/limited limited
  outcome own-delegated in_session systemd-run --user --scope --quiet --unit=box-own -p Delegate=yes ctr-bun oci run -b /u/limited limited
  outcome own-private in_session env DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere ctr-bun oci --systemd-cgroup run -b /u/plain plain
  outcome unowned in_session env DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere XDG_RUNTIME_DIR=/nowhere \\
    ctr-bun oci --root /tmp/ctr-bun --systemd-cgroup run -b /u/plain plain
  outcome own-end sh -c 'ls -A /run/user/1000/ctr-bun/oci; find /sys/fs/cgroup/user.slice -mindepth 1 -path "*ctr-bun/*" -type d'

  # Without systemd: a part of the tree that root has given to the user, and the user's shell in it.
  team=/sys/fs/cgroup/team
  mkdir -p $team/shell
  chown -R user $team
  in_team() { ( sh -c 'echo $PPID' >$team/shell/cgroup.procs; as_user "$@" ); }
  outcome team in_team ctr-bun oci run -b /u/limited limited
  quietly in_team ctr-bun oci run -d -b /u/owned owned
  outcome team-owned sh -c "cat /run/said; cd $team/ctr-bun/owned; cat memory.max memory.swap.max pids.max cpu.max"
  outcome team-paused in_team sh -c 'ctr-bun oci pause owned && ctr-bun oci list -f json | grep -o paused'
  outcome team-deleted in_team ctr-bun oci delete --force owned
  outcome team-gone find $team/ctr-bun -mindepth 1 -type d
`;

let vm: VmRun;
beforeAll(async () => {
  vm = await runInVm({ init: "systemd", files, script, cpus: 2, timeout: 230_000 });
}, 260_000);

const { text, lines } = resultsOf(() => vm);

describe("an ordinary user's container", () => {
  test("is made from a session, by a user without capabilities, as a unit of that user's own systemd", () => {
    expect(text("own-session")).toMatch(
      /^exit code 0: 0::\/user\.slice\/user-1000\.slice\/session-\d+\.scope\|CapEff:\t0{16}$/,
    );
    expect(text("owned")).toBe("exit code 0: ");
    expect(lines("owned-unit").sort()).toEqual([
      "CPUQuotaPerSecUSec=200ms",
      `ControlGroup=${OWNED}`,
      `MemoryMax=${32 * mebibyte}`,
      "TasksMax=20",
    ]);
    expect(lines("owned-files")).toEqual([`${32 * mebibyte}`, "0", "20", "20000 100000"]);
  });

  test("takes further programs in, though the user may move no process there", () => {
    expect(lines("owned-exec")).toEqual([`0::${OWNED}`, `0::${OWNED}`]);
  });

  test("is held to its limits: memory, CPU, tasks", () => {
    expect(text("owned-memory")).toContain("exit code 137");
    expect(text("owned-pids")).toContain("can't fork: Resource temporarily unavailable");
    const [pids = "", kills = "", throttled = ""] = lines("owned-held");
    expect(pids).toMatch(/^max [1-9]/);
    expect(kills).toMatch(/^oom_kill [1-9]/);
    expect(throttled).toMatch(/^nr_throttled [1-9]/);
  });

  test("is updated, frozen and deleted, and nothing is left", () => {
    expect(text("owned-update")).toBe("exit code 0: ");
    expect(lines("owned-updated")).toEqual([`${48 * mebibyte}`, "30"]);
    expect(text("owned-pause")).toBe("exit code 0: ");
    expect(text("owned-frozen")).toBe("exit code 0: frozen 1");
    expect(text("owned-deleted")).toBe("exit code 0: ");
    // grep found none, and no unit has a file.
    expect(text("owned-gone")).toBe("exit code 1: ");
    expect(text("own-end")).toBe("exit code 0: ");
  });

  test("with a limit of a controller that the user has not got is an error with the way to it", () => {
    expect(text("own-huge")).toContain(
      "exit code 1: ctr-bun: linux.resources.hugepageLimits[0]: cannot set hugetlb.2MB.max: the controller hugetlb may not be enabled in /sys/fs/cgroup",
    );
    expect(text("own-huge")).toContain("root adds it to Delegate= of user@.service");
  });

  test("is made without a cgroup where the session has none to give, and then holds no limit, which is an error", () => {
    expect(text("own-plain")).toMatch(
      /^exit code 0: 0::\/user\.slice\/user-1000\.slice\/session-\d+\.scope$/,
    );
    expect(text("own-refused")).toContain(
      "exit code 1: ctr-bun: linux.resources.memory.limit: cannot set memory.max: this user may make no cgroup in /sys/fs/cgroup/user.slice/user-1000.slice",
    );
    expect(text("own-refused")).toContain("systemd-run --user --scope -p Delegate=yes");
  });

  test("has its limits without --systemd-cgroup where systemd-run has delegated a cgroup", () => {
    expect(text("own-delegated")).toBe(
      "exit code 0: 0::/user.slice/user-1000.slice/user@1000.service/app.slice/ctr-bun/limited",
    );
  });

  test("is made without a bus too, by systemd's own socket", () => {
    expect(text("own-private")).toBe(
      "exit code 0: 0::/user.slice/user-1000.slice/user@1000.service/user.slice/ctr-bun-plain.scope",
    );
  });

  test("without a way to that systemd is an error that says where it was looked for, and what helps", () => {
    expect(text("unowned")).toContain(
      "exit code 1: ctr-bun: --systemd-cgroup: cannot reach this user's systemd over D-Bus: /nowhere: cannot connect to D-Bus: no such file or directory",
    );
    expect(text("unowned")).toContain("loginctl enable-linger");
  });
});

describe("in a part of the tree that was given to the user, without systemd", () => {
  test("a container has its cgroup beside the user's, with its limits, is frozen, and leaves nothing", () => {
    expect(text("team")).toBe("exit code 0: 0::/team/ctr-bun/limited");
    expect(lines("team-owned")).toEqual([`${32 * mebibyte}`, "0", "20", "20000 100000"]);
    expect(text("team-paused")).toBe("exit code 0: paused");
    expect(text("team-deleted")).toBe("exit code 0: ");
    expect(text("team-gone")).toBe("exit code 0: ");
  });
});
