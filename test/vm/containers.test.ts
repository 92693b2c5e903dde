// Containers in a machine with pure cgroup v2 and a kernel 6.1: limits that hold, device rules (eBPF), overlay
// roots, user and network namespaces. One machine runs all of it; each test reads its part of the outcome.

import { beforeAll, describe, expect, test } from "bun:test";
import type { VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { type Config, specConfig } from "../support/config.ts";
import { imagePath } from "../support/images.ts";

const mebibyte = 1024 * 1024;

/** A bundle /b/NAME whose program is a line of shell, with the root file system of the image busybox. */
function bundle(name: string, line: string, change: (config: Config) => void = () => {}): VmFiles {
  const config = specConfig("/busybox", ["sh", "-c", line]);
  change(config);
  return { [`/b/${name}/config.json`]: { text: JSON.stringify(config) } };
}

/** A bundle whose /dev/probe is the device 10:229 (fuse), which opens for anybody: only a device rule can refuse it. */
function deviceBundle(name: string, rules: unknown[]): VmFiles {
  const attempts = "(: </dev/probe) && echo reads; (: >/dev/probe) && echo writes; : >/dev/null && echo null";
  return bundle(name, attempts, ({ linux }) => {
    linux.devices = [{ path: "/dev/probe", type: "c", major: 10, minor: 229, fileMode: 0o666 }];
    linux.resources.devices = [{ allow: false, access: "rwm" }, ...rules];
  });
}

const eatMemory = "dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null && echo fits";
const spawnMany = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.2 & done; wait; echo all started";
const identity = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

const files: VmFiles = {
  "/busybox": { from: imagePath("busybox-rootfs") },
  ...bundle("plain", "echo pid $$ of $(hostname); cat /proc/self/cgroup"),
  ...bundle("code", "exit 7"),
  ...bundle("memory-low", eatMemory, ({ linux }) => {
    linux.resources.memory = { limit: 16 * mebibyte };
  }),
  ...bundle("memory-high", eatMemory, ({ linux }) => {
    linux.resources.memory = { limit: 128 * mebibyte };
  }),
  ...bundle("pids-low", spawnMany, ({ linux }) => {
    linux.resources.pids = { limit: 6 };
  }),
  ...bundle("pids-high", spawnMany, ({ linux }) => {
    linux.resources.pids = { limit: 64 };
  }),
  ...deviceBundle("device-none", []),
  ...deviceBundle("device-read", [{ allow: true, type: "c", major: 10, minor: 229, access: "r" }]),
  ...deviceBundle("device-all", [{ allow: true, type: "c", major: 10, minor: 229, access: "rwm" }]),
  ...bundle("sleeps", "sleep 100", ({ linux }) => {
    linux.resources.pids = { limit: 20 };
  }),
  ...bundle("user-sleeps", "sleep 100", ({ linux }) => {
    linux.cgroupsPath = "/user-sleeps";
    linux.namespaces.push({ type: "user" });
    linux.uidMappings = linux.gidMappings = identity;
  }),
  ...bundle("overlay", "rm /entrypoint; echo changed >/etc/changed; ls /", ({ root }) => {
    root.path = "/tmp/overlay/merged";
    root.readonly = false;
  }),
  ...bundle("user", "id -u; cat /proc/self/uid_map; touch /dev/shm/x && ls -n /dev/shm/x", ({ linux }) => {
    linux.namespaces.push({ type: "user" });
    linux.uidMappings = identity;
    linux.gidMappings = identity;
  }),
  ...bundle("joined", "ip -o link", ({ linux }) => {
    linux.namespaces = linux.namespaces.filter(({ type }) => type !== "network");
    linux.namespaces.push({ type: "network", path: "/run/other-net" });
  }),
};

const script = `
  run() { outcome "$1" ctr-bun run --bundle "/b/$1" "$1"; }
  ls -R /sys/fs/cgroup | grep ':$' | sort >/tmp/cgroups-before

  for name in plain code memory-low memory-high pids-low pids-high; do run $name; done
  outcome oom sh -c 'dmesg | grep -c "Memory cgroup out of memory: Killed process .* (dd)"'
  for name in device-none device-read device-all; do run $name; done

  # Files, not pipes: the container keeps them open for as long as it lives.
  check create sh -c 'ctr-bun create --bundle /b/sleeps sleeps </dev/null >/tmp/out 2>&1 || { cat /tmp/out; false; }'
  outcome created-state ctr-bun state sleeps
  check start ctr-bun start sleeps
  path=$(sed 's/^0:://' /proc/$(ctr-bun state sleeps | sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')/cgroup)
  outcome limit cat "/sys/fs/cgroup$path/pids.max"
  outcome exec ctr-bun exec sleeps cat /proc/1/cmdline
  mkdir -p "/sys/fs/cgroup$path/sub/deeper"
  outcome exec-cgroup ctr-bun oci exec --cgroup sub/deeper sleeps cat /proc/self/cgroup
  outcome exec-cgroup-itself ctr-bun oci exec --cgroup / sleeps cat /proc/self/cgroup
  outcome exec-cgroup-missing ctr-bun oci exec --cgroup missing sleeps true
  outcome exec-cgroup-outside ctr-bun oci exec --cgroup ../.. sleeps true
  outcome exec-cgroup-controller ctr-bun oci exec --cgroup pids:sub sleeps true
  check kill ctr-bun kill sleeps KILL
  sleep 0.5
  outcome stopped-state ctr-bun state sleeps
  check delete ctr-bun delete sleeps

  ctr-bun oci run --detach --bundle /b/user-sleeps user-sleeps </dev/null >/dev/null 2>&1
  mkdir /sys/fs/cgroup/user-sleeps/sub
  outcome exec-cgroup-user ctr-bun oci exec --cgroup sub user-sleeps cat /proc/self/cgroup
  ctr-bun oci delete --force user-sleeps

  mkdir -p /tmp/overlay/upper /tmp/overlay/work /tmp/overlay/merged
  mount -t overlay -o lowerdir=/busybox,upperdir=/tmp/overlay/upper,workdir=/tmp/overlay/work none /tmp/overlay/merged
  run overlay
  outcome upper sh -c 'stat -c "%n %F %t:%T" /tmp/overlay/upper/entrypoint; cat /tmp/overlay/upper/etc/changed; ls /busybox/entrypoint'
  umount /tmp/overlay/merged

  run user
  touch /run/other-net
  unshare -n sh -c 'ip link add veth-here type veth peer name veth-there; mount --bind /proc/$$/ns/net /run/other-net; exec sleep 30' &
  while ! grep -q other-net /proc/self/mounts && kill -0 $!; do sleep 0.1; done
  run joined
  kill $!
  umount /run/other-net

  ls -R /sys/fs/cgroup | grep ':$' | sort >/tmp/cgroups-after
  # The parent that containers share stays.
  check cgroups-left sh -c 'grep -v "^/sys/fs/cgroup/ctr-bun:$" /tmp/cgroups-after | diff /tmp/cgroups-before -'
  outcome state-left ls -AR /run/ctr-bun
`;

let vm: VmRun;
beforeAll(async () => {
  vm = await runInVm({ files, script, timeout: 240_000 });
}, 300_000);

/** What a command put out and how it ended, with its lines as they were. */
const outcome = (name: string): string => (vm.results.get(name)?.text ?? "no result").replaceAll("|", "\n");

test("a container runs as process 1 of its own cgroup", () => {
  expect(outcome("plain")).toMatch(/^exit code 0: pid 1 of container\n0::\/\S*$/);
});

test("the exit code is the program's", () => {
  expect(outcome("code")).toBe("exit code 7: ");
});

describe("memory limit", () => {
  test("a program that passes it is killed by the kernel", () => {
    expect(outcome("memory-low")).not.toContain("fits");
    expect(outcome("memory-low")).toStartWith("exit code 137:");
    expect(outcome("oom")).toBe("exit code 0: 1");
  });
  test("the same program runs where it is higher", () => {
    expect(outcome("memory-high")).toBe("exit code 0: fits");
  });
});

describe("pids limit", () => {
  test("no process is made above it", () => {
    expect(outcome("pids-low")).toContain("can't fork: Resource temporarily unavailable");
    expect(outcome("pids-low")).not.toContain("all started");
  });
  test("the same program runs where it is higher", () => {
    expect(outcome("pids-high")).toBe("exit code 0: all started");
  });
});

describe("device rules", () => {
  test("a device that no rule allows is refused, and the default ones are not", () => {
    expect(outcome("device-none")).toContain("can't open /dev/probe: Operation not permitted");
    expect(outcome("device-none")).toContain("can't create /dev/probe: Operation not permitted");
    expect(outcome("device-none")).toEndWith("null");
  });
  test("a rule for reading allows no writing", () => {
    expect(outcome("device-read")).toContain("reads");
    expect(outcome("device-read")).toContain("can't create /dev/probe: Operation not permitted");
  });
  test("a rule for all allows all", () => {
    expect(outcome("device-all")).toBe("exit code 0: reads\nwrites\nnull");
  });
});

describe("life cycle", () => {
  test("create, start, kill and delete succeed, with the state that each leads to", () => {
    for (const step of ["create", "start", "kill", "delete"])
      expect([step, vm.results.get(step)?.ok]).toEqual([step, true]);
    expect(outcome("created-state")).toContain('"status": "created"');
    expect(outcome("stopped-state")).toContain('"status": "stopped"');
  });
  test("limits are written to the container's cgroup", () => {
    expect(outcome("limit")).toBe("exit code 0: 20");
  });
  test("exec joins the container", () => {
    expect(outcome("exec")).toMatch(/^exit code 0: sleep\0?100/);
  });
  test("exec joins a cgroup below the container's, out of a user namespace too", () => {
    const own = outcome("exec-cgroup-itself");
    expect(own).toMatch(/^exit code 0: 0::\/.*sleeps$/);
    expect(outcome("exec-cgroup")).toBe(`${own}/sub/deeper`);
    expect(outcome("exec-cgroup-user")).toBe("exit code 0: 0::/user-sleeps/sub");
  });
  test("exec's cgroup that is not there, not below, or a controller's own is an error", () => {
    expect(outcome("exec-cgroup-missing")).toMatch(/^exit code 255: ctr-bun: .*\/missing.*ENOENT/);
    expect(outcome("exec-cgroup-outside")).toStartWith(
      "exit code 255: ctr-bun: --cgroup: ../.. is not a sub cgroup path",
    );
    expect(outcome("exec-cgroup-controller")).toStartWith(
      'exit code 255: ctr-bun: --cgroup: unknown controller "pids"\n  the container has: unified',
    );
  });
  test("nothing is left in cgroups or in the state directory", () => {
    expect(vm.results.get("cgroups-left")).toEqual({ ok: true, text: "" });
    expect(outcome("state-left")).not.toMatch(/plain|sleeps|user|memory/);
  });
});

test("an overlay root takes what the container changes", () => {
  expect(outcome("overlay")).toStartWith("exit code 0: ");
  expect(outcome("upper")).toContain("entrypoint character special file 0:0\nchanged\n/busybox/entrypoint");
});

test("a user namespace of its own maps root", () => {
  expect(outcome("user")).toMatch(/^exit code 0: 0\n\s+0\s+100000\s+65536\n\S+\s+1\s+0\s+0\s/);
});

test("a network namespace given by path is joined", () => {
  expect(outcome("joined")).toContain("veth-here");
});
