// The systemd cgroup manager in a virtual machine with Debian's systemd as PID 1 and cgroup v2 alone: units that come and
// go with their containers, limits that systemd and the kernel agree on, and what happens when something is in the way.
// One machine runs all of it; each test reads its part of the outcome.

import { beforeAll, describe, expect, test } from "bun:test";
import { program, type VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { type Config, specConfig } from "../support/config.ts";
import { imagePath } from "../support/images.ts";
import { resultsOf } from "../support/vm-results.ts";

const mebibyte = 1024 * 1024;

/** A bundle /b/NAME whose program is a line of shell, with the root file system of the image busybox. */
function bundle(name: string, line: string, change: (config: Config) => void = () => {}): VmFiles {
  const config = specConfig("/busybox", ["sh", "-c", line]);
  change(config);
  return { [`/b/${name}/config.json`]: { text: JSON.stringify(config) } };
}

/** A container with limits, in a unit of that name: the same for two runtimes. */
function limited(name: string): VmFiles {
  return bundle(name, "sleep 1000", ({ linux }) => {
    linux.cgroupsPath = `system-box.slice:box:${name}`;
    linux.resources.memory = { limit: 64 * mebibyte, swap: 128 * mebibyte, reservation: 32 * mebibyte };
    linux.resources.cpu = { shares: 512, quota: 12_345, period: 50_000, cpus: "0" };
    linux.resources.pids = { limit: 20 };
  });
}

const files: VmFiles = {
  "/busybox": { from: imagePath("busybox-rootfs") },
  ...bundle("own", "cat /proc/self/cgroup"),
  ...bundle("sleeps", "sleep 1000"),
  ...bundle("taken", "true", ({ linux }) => {
    linux.cgroupsPath = "system.slice:ctr-bun:taken";
  }),
  ...bundle("limits", "sleep 1000", ({ linux }) => {
    linux.cgroupsPath = "system-box.slice:box:limits";
    linux.resources.memory = { limit: 64 * mebibyte, swap: 128 * mebibyte, reservation: 32 * mebibyte };
    linux.resources.cpu = { shares: 512, quota: 12_345, period: 50_000, cpus: "0" };
    linux.resources.pids = { limit: 1 };
    linux.resources.blockIO = { weight: 300 };
  }),
  ...bundle("exact", "sleep 1000", ({ linux }) => {
    linux.cgroupsPath = "system-box.slice:box:exact";
    linux.resources.cpu = { shares: 512, quota: 12_345, period: 50_000 };
    linux.resources.pids = { limit: 1 };
    linux.resources.unified = {
      "memory.max": "64M",
      "memory.high": "0x2800000",
      "io.bfq.weight": "default 300\n7:0 700",
    };
  }),
  ...bundle("annotated", "sleep 1000", (config) => {
    config.annotations = {
      "org.systemd.property.TimeoutStopSec": "123.5",
      "org.systemd.property.CollectMode": "'inactive'",
      "org.systemd.property.After": "['multi-user.target']",
      "run.oci.systemd.subgroup": "container",
      "run.oci.delegate-cgroup": "inner",
    };
    config.linux.namespaces.push({ type: "cgroup" });
  }),
  ...bundle("unknown", "true", (config) => {
    config.annotations = { "org.systemd.property.NoSuchThing": "true" };
  }),
  ...bundle(
    "hungry",
    "until [ -e /fed ]; do sleep 0.1; done; dd if=/dev/zero of=/dev/null bs=48M count=1",
    ({ linux }) => {
      linux.resources.memory = { limit: 16 * mebibyte };
    },
  ),
  ...bundle(
    "device",
    "{ (: </dev/probe) && echo reads; (: >/dev/probe) && echo writes; true; } 2>/dev/null",
    ({ linux }) => {
      linux.devices = [{ path: "/dev/probe", type: "c", major: 10, minor: 229, fileMode: 0o666 }];
      linux.resources.devices = [
        { allow: false, access: "rwm" },
        { allow: true, type: "c", major: 10, minor: 229, access: "r" },
      ];
    },
  ),
  ...program("/usr/sbin/runc", "/usr/local/bin/runc"),
  ...limited("runc"),
  ...limited("ours"),
  ...bundle("killer", "true", (config) => {
    config.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "kill -KILL $PPID"] }] };
  }),
  ...bundle("ended", "true", ({ linux }) => {
    linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
  }),
  ...bundle("slices", "sleep 1000", ({ linux }) => {
    linux.cgroupsPath = "system.slice::system-boxes.slice";
  }),
  ...bundle("slice", "cat /proc/self/cgroup", ({ linux }) => {
    linux.cgroupsPath = "system.slice::system-boxes.slice";
  }),
};

const FILES =
  "memory.max memory.low memory.swap.max cpu.weight cpu.max cpuset.cpus pids.max io.weight cgroup.controllers";
const EXACT = "memory.max memory.high cpu.max pids.max io.bfq.weight";
const PROPERTIES =
  "MemoryMax MemoryLow MemorySwapMax CPUWeight CPUQuotaPerSecUSec CPUQuotaPeriodUSec AllowedCPUs TasksMax IOWeight";

const script = `
  outcome init cat /proc/1/comm
  outcome failed systemctl --failed --plain --no-legend
  outcome state systemctl is-system-running --wait
  outcome cgroups sh -c 'grep cgroup /proc/self/mounts'
  outcome user systemctl start user@1000
  outcome user-scope as_user systemd-run --user --scope --quiet --unit=trial sh -c 'id -u; cat /proc/self/cgroup'
  outcome delegated sh -c \\
    'cd /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service; stat -c %U . cgroup.procs; cat cgroup.controllers'

  CTR="ctr-bun oci --systemd-cgroup"
  system=/sys/fs/cgroup/system.slice
  # The container keeps its standard output open: nobody must wait for its end.
  quietly() { "$@" </dev/null >/run/said 2>&1; }
  # For as long as it takes on a slow machine.
  wait_for() { for i in $(seq 150); do "$@" && return; sleep 0.2; done; }
  units() { systemctl list-units --all --plain --no-legend 'ctr-bun*' 'box*'; ls /run/systemd/transient; find /sys/fs/cgroup -name 'ctr-bun*' -o -name 'box*' -o -name '*boxes*'; }
  # lines FILE...: what each holds, with its name before every line; the shell's own work, since a process more takes long.
  lines() { for file in "$@"; do while read -r line; do echo "$file $line"; done <$file; done; }
  values() { (cd $system/system-box.slice/box-limits.scope; lines ${FILES}); }
  show() { systemctl show "$1" $(for name in $2; do echo -p $name; done); }

  /bin/busybox rmmod bfq
  outcome run $CTR run -b /b/own one
  outcome run-gone units
  quietly $CTR create -b /b/sleeps two
  outcome created show ctr-bun-two.scope 'ActiveState Slice Delegate Transient'
  outcome created-pid sh -c "cat $system/ctr-bun-two.scope/cgroup.procs; ctr-bun oci state two | grep '\\"pid\\"'"
  outcome started ctr-bun oci start two
  outcome exec ctr-bun oci exec two cat /proc/self/cgroup
  outcome ps ctr-bun oci ps --format json two
  outcome killed ctr-bun oci kill two KILL
  outcome deleted ctr-bun oci delete --force two
  outcome deleted-gone units

  systemd-run --quiet --scope --unit=ctr-bun-taken sleep 1000 </dev/null >/dev/null 2>&1 &
  wait_for test -d $system/ctr-bun-taken.scope
  outcome taken $CTR run -b /b/taken three
  outcome taken-lives systemctl is-active ctr-bun-taken.scope
  systemctl stop ctr-bun-taken.scope
  # A unit that has failed and that nobody has reset is no obstacle.
  systemd-run --quiet --scope --unit=ctr-bun-taken -p RuntimeMaxSec=1 sleep 1000 >/dev/null 2>&1
  outcome failed-unit systemctl is-failed ctr-bun-taken.scope
  outcome failed-unit-run $CTR run -b /b/taken three

  quietly $CTR run -d -b /b/ours ours
  quietly $CTR create -b /b/limits limits
  outcome limits cat /run/said
  outcome limits-properties show box-limits.scope '${PROPERTIES}'
  outcome limits-files values
  # While one container runs, and one is created.
  systemctl daemon-reexec
  # It writes the files of its units anew after it has answered.
  for unit in limits ours; do wait_for grep -q '^12500 ' $system/system-box.slice/box-$unit.scope/cpu.max; done
  outcome limits-again values
  outcome ours-again sh -c 'cd $0/system-box.slice/box-ours.scope; cat memory.max cpu.weight cpu.max pids.max' $system
  outcome ours-again-deleted ctr-bun oci delete --force ours
  outcome limits-started ctr-bun oci start limits
  outcome update ctr-bun oci update --memory 96m --memory-swap 200m --cpu-quota 33333 --cpu-period 100000 --pids-limit 7 limits
  outcome update-properties show box-limits.scope '${PROPERTIES}'
  outcome update-files values
  outcome update-refused ctr-bun oci update --memory 128m --memory-swap 256m --cpuset-cpus 77 limits
  outcome refused-properties show box-limits.scope '${PROPERTIES}'
  outcome refused-files values
  outcome paused ctr-bun oci pause limits
  outcome paused-deleted ctr-bun oci delete --force limits

  dd if=/dev/zero of=/loop bs=1M count=1 2>/dev/null
  losetup /dev/loop0 /loop
  /bin/busybox insmod /modules/*-bfq.ko
  echo bfq >/sys/block/loop0/queue/scheduler
  quietly $CTR run -d -b /b/exact exact
  exact() { (cd $system/system-box.slice/box-exact.scope; lines $1); }
  outcome exact exact '${EXACT}'
  quietly ctr-bun oci update --pids-limit 50 exact
  outcome exact-updated exact '${EXACT}'
  echo '{"cpu":{"idle":1},"unified":{"cpu.max":"20000"}}' >/run/idle.json
  quietly ctr-bun oci update -r /run/idle.json exact
  outcome idle exact cpu.idle
  quietly ctr-bun oci update --cpu-idle 0 exact
  outcome busy exact 'cpu.idle cpu.weight'
  systemctl daemon-reload
  outcome exact-reloaded exact '${EXACT}'
  outcome busy-reloaded exact 'cpu.idle cpu.weight'
  quietly ctr-bun oci delete --force exact

  quietly $CTR run -d -b /b/annotated annotated
  outcome annotated cat /run/said
  outcome annotated-properties show ctr-bun-annotated.scope 'TimeoutStopUSec CollectMode After'
  outcome annotated-cgroup ctr-bun oci exec annotated cat /proc/self/cgroup
  outcome annotated-host sh -c "cat $system/ctr-bun-annotated.scope/container/inner/cgroup.procs | wc -l"
  outcome annotated-deleted ctr-bun oci delete --force annotated
  outcome unknown $CTR run -b /b/unknown unknown
  quietly $CTR run -d -b /b/hungry hungry
  ctr-bun oci events --interval 1h hungry </dev/null >/run/told 2>&1 &
  wait_for sh -c "ls -l /proc/$!/fd | grep -q inotify"
  >/busybox/fed
  wait $!
  outcome hungry cat /run/told
  quietly ctr-bun oci delete hungry
  outcome device $CTR run -b /b/device device
  outcome slice $CTR run -b /b/slice slice
  outcome slice-gone units
  outcome slice-taken sh -c "sed s,system-boxes,system-box, /b/slice/config.json >/b/slice/taken.json; $CTR run -f taken.json -b /b/slice taken-slice"
  # A container ends, and its unit's name is somebody else's by the time it is deleted.
  quietly $CTR run -d -b /b/ended ended
  wait_for test ! -d $system/ctr-bun-ended.scope
  systemd-run --quiet --scope --unit=ctr-bun-ended sleep 1000 </dev/null >/dev/null 2>&1 &
  wait_for systemctl --quiet is-active ctr-bun-ended.scope
  outcome ended-kill ctr-bun oci kill --all ended KILL
  outcome ended-delete ctr-bun oci delete ended
  outcome ended-lives systemctl is-active ctr-bun-ended.scope
  systemctl stop ctr-bun-ended.scope

  # Somebody puts a unit of theirs into a container that is a slice: one without controllers of threads, for which a cgroup
  # below one with processes is no place.
  quietly $CTR run -d -b /b/slices slices
  systemd-run --quiet --scope --slice=system-boxes.slice --unit=guest -p TasksMax=infinity -p TasksAccounting=no \\
    -p CPUAccounting=no sleep 1000 </dev/null >/dev/null 2>&1 &
  wait_for systemctl --quiet is-active guest.scope
  outcome guest-delete ctr-bun oci delete --force slices
  outcome guest-kill ctr-bun oci kill --all slices KILL
  outcome guest-lives sh -c 'systemctl is-active guest.scope; ctr-bun oci state slices | grep status'
  systemctl stop guest.scope
  outcome guest-gone ctr-bun oci delete --force slices
  outcome slices-gone units

  outcome systemd-crun ctr-bun oci --cgroup-manager systemd run -b /b/own four
  outcome private env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere $CTR run -b /b/own five

  # The same container under runc.
  quietly runc --systemd-cgroup run -d -b /b/runc runc
  outcome runc cat /run/said
  quietly $CTR run -d -b /b/ours ours
  stable() { systemctl show $1 | grep -v 'Timestamp\\|^Id=\\|^Names\\|^InvocationID\\|^ControlGroup\\|NSec=[0-9]\\|Current=\\|^IO.*\\(Bytes\\|Operations\\)\\|^MemoryAvailable\\|Paths\\?=\\|^NeedDaemonReload' | sort >/run/$2; }
  stable box-runc.scope theirs
  stable box-ours.scope ours
  outcome runc-properties diff /run/theirs /run/ours
  each() {
    cd $system/system-box.slice/$1
    for file in *; do
      case $file in
        *.current|*.stat*|*.pressure|*.events*|cgroup.procs|cgroup.threads|cgroup.kill|memory.numa_stat|*.peak|memory.reclaim) ;;
        *) echo "$file"; lines $file 2>/dev/null ;;
      esac
    done
    cd /
  }
  each box-runc.scope >/run/theirs
  each box-ours.scope >/run/ours
  outcome runc-files diff /run/theirs /run/ours
  runc delete --force runc
  outcome ours-deleted ctr-bun oci delete --force ours

  # What makes the container is killed by a hook of its own, when all but the program is there.
  outcome killer $CTR run -b /b/killer killer
  wait_for test ! -d $system/ctr-bun-killer.scope
  outcome killer-gone units
  outcome killer-deleted ctr-bun oci delete --force killer
  outcome end-gone sh -c 'ls /run/ctr-bun/oci; systemctl --failed --plain --no-legend'
`;

let vm: VmRun;
beforeAll(async () => {
  vm = await runInVm({ init: "systemd", files, script, modules: ["bfq"], cpus: 2, timeout: 280_000 });
}, 320_000);

const { text, lines } = resultsOf(() => vm);

describe("the machine", () => {
  test("is up wholly, with systemd as PID 1 and cgroup v2 alone", () => {
    expect(text("init")).toBe("exit code 0: systemd");
    expect(text("failed")).toBe("exit code 0: ");
    expect(text("state")).toBe("exit code 0: running");
    expect(text("cgroups")).toMatch(/^exit code 0: cgroup2 \/sys\/fs\/cgroup cgroup2 [^|]*$/);
    expect(vm.exitCode).toBe(0);
  });

  test("gives an ordinary user a manager, with controllers delegated", () => {
    expect(text("user")).toBe("exit code 0: ");
    expect(text("user-scope")).toMatch(
      /^exit code 0: 1000\|0::\/user\.slice\/user-1000\.slice\/user@1000\.service\/app\.slice\/trial\.scope$/,
    );
    expect(text("delegated")).toBe("exit code 0: user|user|cpuset cpu io memory pids");
  });
});

/** Nothing is left of any unit: neither systemd, nor its files, nor a cgroup has it. */
const NOTHING = "exit code 0: ";

describe("a container's unit", () => {
  test("is a scope in system.slice, which goes with the container", () => {
    expect(text("run")).toBe("exit code 0: 0::/system.slice/ctr-bun-one.scope");
    expect(text("run-gone")).toBe(NOTHING);
    expect(lines("created").sort()).toEqual([
      "ActiveState=active",
      "Delegate=yes",
      "Slice=system.slice",
      "Transient=yes",
    ]);
    expect(text("created-pid")).toMatch(/^exit code 0: (\d+)\| *"pid": \1,$/);
    expect(text("deleted-gone")).toBe(NOTHING);
  });

  test("is found by later verbs without a flag", () => {
    expect(text("started")).toBe("exit code 0: ");
    expect(text("exec")).toBe("exit code 0: 0::/system.slice/ctr-bun-two.scope");
    expect(text("ps")).toMatch(/^exit code 0: \[\d+\]$/);
    expect(text("killed")).toBe("exit code 0: ");
    expect(text("deleted")).toBe("exit code 0: ");
  });

  test("of a name that is taken is an error that leaves the other one alone", () => {
    expect(text("taken")).toContain(
      'exit code 1: ctr-bun: linux.cgroupsPath: unable to start unit "ctr-bun-taken.scope": Unit ctr-bun-taken.scope was already loaded',
    );
    expect(text("taken")).toContain("see systemctl status ctr-bun-taken.scope");
    expect(text("taken-lives")).toBe("exit code 0: active");
  });

  test("takes the place of one that has failed", () => {
    expect(text("failed-unit")).toBe("exit code 0: failed");
    expect(text("failed-unit-run")).toBe("exit code 0: ");
  });

  test("is a slice where its name is one's", () => {
    expect(text("slice")).toBe("exit code 0: 0::/system.slice/system-boxes.slice");
  });

  test("of a container that has ended is left alone where its name is another's by now", () => {
    expect(text("ended-kill")).toBe("exit code 0: ");
    expect(text("ended-delete")).toBe("exit code 0: ");
    expect(text("ended-lives")).toBe("exit code 0: active");
  });

  test("that is a slice is not ended with units of others in it", () => {
    for (const name of ["guest-delete", "guest-kill"]) {
      expect(text(name)).toContain(
        "exit code 1: ctr-bun: linux.cgroupsPath: units of others are in system-boxes.slice, the container's slice, and would be killed with it: guest.scope",
      );
    }
    expect(lines("guest-lives")).toEqual(["active", expect.stringContaining('"status": "running"')]);
    expect(text("guest-gone")).toBe(NOTHING);
    expect(text("slices-gone")).toBe(NOTHING);
  });

  test("is never a slice that is there already", () => {
    expect(text("slice-gone")).toBe(NOTHING);
    expect(text("slice-taken")).toContain("Unit system-box.slice is active already");
  });

  test("is asked for by crun's flag too, and without a bus of systemd itself", () => {
    expect(text("systemd-crun")).toBe("exit code 0: 0::/system.slice/ctr-bun-four.scope");
    expect(text("private")).toBe("exit code 0: 0::/system.slice/ctr-bun-five.scope");
  });

  test("goes when ctr-bun is killed while it makes the container", () => {
    expect(text("killer")).toContain("exit code 137");
    expect(text("killer-gone")).toBe(NOTHING);
    expect(text("killer-deleted")).toBe("exit code 0: ");
    expect(text("end-gone")).toBe("exit code 0: ");
  });
});

describe("limits", () => {
  const set = [
    "AllowedCPUs=0",
    "CPUQuotaPerSecUSec=250ms",
    "CPUQuotaPeriodUSec=50ms",
    "CPUWeight=59",
    "IOWeight=2930",
    `MemoryLow=${32 * mebibyte}`,
    `MemoryMax=${64 * mebibyte}`,
    `MemorySwapMax=${64 * mebibyte}`,
    "TasksMax=1",
  ];
  const written = [
    `memory.max ${64 * mebibyte}`,
    `memory.low ${32 * mebibyte}`,
    `memory.swap.max ${64 * mebibyte}`,
    "cpu.weight 59",
    "cpu.max 12345 50000",
    "cpuset.cpus 0",
    "pids.max 1",
    "io.weight default 2930",
    "cgroup.controllers cpuset cpu io memory hugetlb pids rdma misc",
  ];
  const changed = (list: readonly string[], ...changes: readonly (readonly [string, string])[]) =>
    list.map((line) => changes.find(([begin]) => line.startsWith(begin))?.[1] ?? line);

  test("are exact in files, and systemd's own where it has them", () => {
    expect(text("limits")).toBe("exit code 0: ");
    expect(lines("limits-properties").sort()).toEqual(set);
    expect(lines("limits-files")).toEqual(written);
  });

  test("stay when systemd executes itself anew, of a container that is created and one that runs, a quota rounded up", () => {
    expect(lines("limits-again")).toEqual(changed(written, ["cpu.max", "cpu.max 12500 50000"]));
    expect(lines("ours-again")).toEqual([`${64 * mebibyte}`, "59", "12500 50000", "20"]);
    expect(text("ours-again-deleted")).toBe("exit code 0: ");
    expect(text("limits-started")).toBe("exit code 0: ");
  });

  const newSet = changed(
    set,
    ["MemoryMax", `MemoryMax=${96 * mebibyte}`],
    ["MemorySwapMax", `MemorySwapMax=${104 * mebibyte}`],
    ["CPUQuotaPerSec", "CPUQuotaPerSecUSec=340ms"],
    ["CPUQuotaPeriod", "CPUQuotaPeriodUSec=100ms"],
    ["TasksMax", "TasksMax=7"],
  );
  const newlyWritten = changed(
    written,
    ["memory.max", `memory.max ${96 * mebibyte}`],
    ["memory.swap.max", `memory.swap.max ${104 * mebibyte}`],
    ["cpu.max", "cpu.max 33333 100000"],
    ["pids.max", "pids.max 7"],
  );

  test("are changed in both by update", () => {
    expect(text("update")).toBe("exit code 0: ");
    expect(lines("update-properties").sort()).toEqual(newSet);
    expect(lines("update-files")).toEqual(newlyWritten);
  });

  test("are left as they were in both by an update that the kernel refuses in part", () => {
    expect(text("update-refused")).toContain("exit code 1: ctr-bun: --cpuset-cpus");
    expect(lines("refused-properties").sort()).toEqual(newSet);
    expect(lines("refused-files")).toEqual(newlyWritten);
  });

  const exact = (pids: number, cpuMax: string) => [
    `memory.max ${64 * mebibyte}`,
    `memory.high ${40 * mebibyte}`,
    `cpu.max ${cpuMax}`,
    `pids.max ${pids}`,
    "io.bfq.weight default 300",
    "io.bfq.weight 7:0 700",
  ];

  test("that an update does not name stay exactly as they are, in whatever form they were given", () => {
    expect(lines("exact")).toEqual(exact(1, "12345 50000"));
    expect(lines("exact-updated")).toEqual(exact(50, "12345 50000"));
  });

  test("stay when systemd reads its units anew: weights of BFQ, and the period of a quota without one", () => {
    expect(lines("exact-reloaded")).toEqual(exact(50, "20000 50000"));
  });

  test("end to be idle for good, with the weight from before", () => {
    expect(text("idle")).toBe("exit code 0: cpu.idle 1");
    expect(lines("busy")).toEqual(["cpu.idle 0", "cpu.weight 59"]);
    expect(lines("busy-reloaded")).toEqual(["cpu.idle 0", "cpu.weight 59"]);
  });

  test("hold: memory, and devices by access", () => {
    expect(text("hungry")).toMatch(/^exit code 0: (.*\|)?\{"type":"oom","id":"hungry"\}(\|.*)?$/);
    expect(text("device")).toBe("exit code 0: reads");
  });

  test("are no obstacle to deleting a paused container", () => {
    expect(text("paused")).toBe("exit code 0: ");
    expect(text("paused-deleted")).toBe("exit code 0: ");
  });
});

describe("annotations", () => {
  test("set properties of the unit", () => {
    expect(text("annotated")).toBe("exit code 0: ");
    expect(lines("annotated-properties").sort()).toEqual([
      expect.stringMatching(/^After=.*multi-user\.target/),
      "CollectMode=inactive",
      "TimeoutStopUSec=2min 3.500000s",
    ]);
  });

  test("put the container into a cgroup below the unit's, and its process into one below that", () => {
    expect(text("annotated-cgroup")).toBe("exit code 0: 0::/inner");
    expect(text("annotated-host")).toBe("exit code 0: 1");
    expect(text("annotated-deleted")).toBe("exit code 0: ");
  });

  test("that systemd does not know are errors that leave nothing", () => {
    expect(text("unknown")).toContain(
      'exit code 1: ctr-bun: linux.cgroupsPath: unable to start unit "ctr-bun-unknown.scope": Cannot set property NoSuchThing, or unknown property.',
    );
    expect(text("unknown")).toContain("see the annotations org.systemd.property.*");
  });
});

describe("the same container under runc", () => {
  const differences = (name: string) => lines(name).filter((line) => /^[<>] /.test(line));

  test("is a unit with the same properties, but for those that are listed in docs/cgroups.md", () => {
    expect(text("runc")).toBe("exit code 0: ");
    expect(differences("runc-properties")).toEqual([
      "< CPUWeight=20",
      "> CPUWeight=59",
      "< CollectMode=inactive",
      "> CollectMode=inactive-or-failed",
      "< Description=libcontainer container runc",
      "> Description=ctr-bun container ours",
    ]);
  });

  test("has the same values in files, but for the weight, which newer runcs have as we do", () => {
    expect(differences("runc-files")).toEqual([
      "< cpu.weight 20",
      "> cpu.weight 59",
      "< cpu.weight.nice 7",
      "> cpu.weight.nice 2",
    ]);
    expect(text("ours-deleted")).toBe("exit code 0: ");
  });
});
