/** How the set-up of control groups is read from procfs. */
import { expect, test } from "bun:test";
import { readCgroups } from "../../../src/runtime/host-cgroup.ts";

test("a hybrid host", () => {
  const mountinfo = `22 1 0:20 / / rw - ext4 /dev/vda rw
31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
32 30 0:29 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset,noprefix,clone_children
39 30 0:36 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
41 30 0:37 /a /mnt/other rw,relatime - cgroup2 cgroup2 rw
`;
  expect(readCgroups(mountinfo, "3:cpuset:/\n2:cpu,cpuacct:/user\n1:name=systemd:/a:b\n0::/me\n")).toEqual({
    mode: "hybrid",
    unified: "/sys/fs/cgroup/unified",
    controllers: {
      cpu: "/sys/fs/cgroup/cpu,cpuacct",
      cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
      cpuset: "/sys/fs/cgroup/cpuset",
      "name=systemd": "/sys/fs/cgroup/systemd",
    },
    own: { cpuset: "/", cpu: "/user", cpuacct: "/user", "name=systemd": "/a:b", "": "/me" },
  });
});

test("a unified host, and one without control groups", () => {
  const unified = readCgroups("30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "0::/x.scope\n");
  expect(unified).toEqual({
    mode: "unified",
    unified: "/sys/fs/cgroup",
    controllers: {},
    own: { "": "/x.scope" },
  });
  expect(readCgroups("22 1 0:20 / / rw - ext4 cgroup rw\n", "").mode).toBe("none");
});

test("inside a container, paths are below what is mounted there", () => {
  const mountinfo = `31 30 0:28 /docker/c1 /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids
32 30 0:29 /docker/c1 /sys/fs/cgroup/a\\040b ro - cgroup cgroup rw,memory
`;
  const found = readCgroups(mountinfo, "2:pids:/docker/c1/sub\n1:memory:/docker/c1\n");
  expect(found.mode).toBe("legacy");
  expect(found.controllers.memory).toBe("/sys/fs/cgroup/a b");
  expect(found.own).toEqual({ pids: "/sub", memory: "/" });
});

test("in a cgroup namespace with the host's mounts, what is above its root is no place below them", () => {
  const mountinfo = `31 30 0:28 /../.. /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 30 0:29 /.. /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
`;
  const { own } = readCgroups(mountinfo, "3:pids:/\n2:memory:/../beside\n1:cpu:/\n");
  // One that is above itself has its name in both files.
  expect(own).toEqual({ pids: "/../../", memory: "/beside", cpu: "/" });
});
