/** Plans as text, compared with what was recorded of them: the sections that every container has. */
import { expect, test } from "bun:test";
import { CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID } from "../../../src/kernel/constants.ts";
import { makeExecPlan } from "../../../src/plan/exec.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { recordPlan } from "../../../src/plan/record.ts";
import type { Plan } from "../../../src/plan/step.ts";
import type { LinuxSeccomp } from "../../../src/spec/runtime/config.ts";
import { defaultSpec } from "../../../src/spec/runtime/defaults.ts";
import { goldenPlans } from "./golden.ts";
import { HOSTS, planFacts, planInput, registry, smallConfig } from "./inputs.ts";

const SECCOMP: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mount", "keyctl"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
};
const NOTIFYING: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  listenerPath: "/run/agent.sock",
  syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }],
};
const MAPS = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const MOUNT = { type: "mount" } as const;

/** Name of the record, and the plan. */
const PLANS: Readonly<Record<string, () => Plan>> = {
  "default-hybrid": () => makePlan(planInput(defaultSpec())),
  "default-unified": () =>
    makePlan(planInput(defaultSpec({ cgroupNamespace: true }), { host: HOSTS.unified })),
  "default-legacy": () => makePlan(planInput(defaultSpec(), { host: HOSTS.legacy })),

  "user-namespace": () => {
    const linux = {
      namespaces: [MOUNT, { type: "pid" }, { type: "user" }] as const,
      uidMappings: MAPS,
      gidMappings: MAPS,
    };
    const rlimits = [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 2048 }] as const;
    const config = smallConfig({
      process: { user: { uid: 1000, gid: 1000, additionalGids: [10] }, rlimits: [...rlimits] },
      linux: { ...linux, namespaces: [...linux.namespaces] },
    });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },

  "all-namespaces": () => {
    const types = ["cgroup", "user", "time", "mount", "pid", "network", "uts", "ipc"] as const;
    const config = smallConfig({
      hostname: "box",
      domainname: "example.org",
      process: { oomScoreAdj: 500 },
      linux: {
        namespaces: types.map((type) => ({ type })),
        uidMappings: MAPS,
        gidMappings: MAPS,
        timeOffsets: { boottime: { secs: 3600 }, monotonic: { secs: -1, nanosecs: 5 } },
      },
    });
    return makePlan(planInput(config, { host: HOSTS.unified, options: { start: "go" } }));
  },

  "joined-namespaces": () => {
    const namespaces = [
      MOUNT,
      { type: "network", path: "/run/netns/blue" },
      { type: "user", path: "/proc/42/ns/user" },
      { type: "ipc", path: "/proc/42/ns/ipc" },
    ] as const;
    const config = smallConfig({ linux: { namespaces: [...namespaces] } });
    return makePlan(planInput(config, { facts: { afterUser: ["ipc"] }, options: { start: "go" } }));
  },

  binds: () => {
    const config = smallConfig({
      process: { cwd: "/work/deep" },
      mounts: [
        {
          destination: "/data",
          type: "bind",
          source: "/srv/data",
          options: ["rbind", "ro", "nosuid", "rslave"],
        },
        { destination: "/etc/hosts", source: "hosts", options: ["bind", "rro", "noatime"] },
        { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["mode=1777", "size=1m", "nodev"] },
        { destination: "/tmp", options: ["remount", "ro"] },
      ],
    });
    const found = { "/data": { missing: 1 }, "/etc/hosts": { missing: 2, file: true }, cwd: { missing: 2 } };
    return makePlan(planInput(config, { found, options: { start: "go" } }));
  },

  terminal: () => {
    const config = smallConfig({
      process: {
        terminal: true,
        consoleSize: { height: 25, width: 80 },
        user: { uid: 1000, gid: 1000, umask: 0o77 },
      },
      mounts: [
        { destination: "/dev", type: "tmpfs", source: "tmpfs" },
        { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance"] },
      ],
    });
    return makePlan(planInput(config));
  },

  "no-mount-namespace": () => {
    const config = smallConfig({ mounts: [], linux: { namespaces: [{ type: "pid" }] } });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },

  "joined-mount-namespace": () => {
    const namespaces = [{ type: "mount", path: "/proc/42/ns/mnt" }] as const;
    const config = smallConfig({ mounts: [], linux: { namespaces: [...namespaces] } });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },

  "seccomp-late": () => {
    const config = smallConfig({ process: { noNewPrivileges: true }, linux: { seccomp: SECCOMP } });
    return makePlan(planInput(config));
  },

  "seccomp-notify": () =>
    makePlan(
      planInput(smallConfig({ process: { noNewPrivileges: true }, linux: { seccomp: NOTIFYING } }), {
        options: { start: "wait" },
      }),
    ),

  "seccomp-early": () => makePlan(planInput(smallConfig({ linux: { seccomp: SECCOMP } }))),

  sysctl: () => {
    const config = smallConfig({
      linux: {
        namespaces: [MOUNT, { type: "network" }, { type: "ipc" }],
        sysctl: {
          "net.ipv4.ip_forward": "1",
          "net/ipv4/conf/eth0.1/forwarding": "0",
          "kernel.shmmax": "4096",
        },
      },
    });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },

  devices: () => {
    const config = smallConfig({
      linux: {
        devices: [
          { type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 0o660, uid: 0, gid: 5 },
          { type: "c", path: "/dev/net/tun", major: 10, minor: 200 },
          { type: "b", path: "/disk", major: 259, minor: 1_048_575 },
          { type: "p", path: "/dev/pipe" },
        ],
      },
    });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },

  readonly: () => {
    const config = smallConfig({
      root: { path: "/srv/rootfs", readonly: true },
      linux: {
        namespaces: [MOUNT],
        rootfsPropagation: "rslave",
        maskedPaths: ["/proc/kcore", "/sys/firmware"],
        readonlyPaths: ["/proc/sys"],
      },
    });
    return makePlan(planInput(config, { options: { start: "go", noPivot: true, noNewKeyring: true } }));
  },

  resources: () => {
    const config = smallConfig({
      linux: {
        namespaces: [MOUNT],
        cgroupsPath: "/jobs/box",
        resources: {
          memory: { limit: 64_000_000, swap: 64_000_000 },
          cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0-1" },
          pids: { limit: 100 },
          devices: [
            { allow: false, access: "rwm" },
            { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
          ],
        },
      },
    });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },

  "hooks-and-init": () => {
    const config = smallConfig({
      hooks: {
        prestart: [{ path: "/bin/one" }],
        createRuntime: [{ path: "/bin/two" }, { path: "/bin/three" }],
      },
    });
    return makePlan(planInput(config, { options: { start: "go", init: true, preserveFds: 2 } }));
  },

  exec: () => {
    const config = smallConfig();
    const { process } = smallConfig({
      process: { args: ["ls", "-l"], env: ["PATH=/bin:/usr/bin"], cwd: "/tmp" },
    });
    if (process === undefined) throw new Error("no process");
    const cgroup = registry.choose("cgroup", HOSTS.unified);
    return makeExecPlan({
      id: "box",
      process,
      linux: undefined,
      seccomp: undefined,
      host: HOSTS.unified,
      registry,
      namespaces: CLONE_NEWNS + CLONE_NEWPID + CLONE_NEWNET + CLONE_NEWIPC,
      cgroup: cgroup.join({ unified: "/sys/fs/cgroup/ctr-bun/box" }, HOSTS.unified, 42),
      facts: planFacts(config),
      preserveFds: 0,
      noNewKeyring: false,
      root: undefined,
    });
  },
};

goldenPlans(PLANS);

test("a record has the steps alone where rows are not wanted, and warnings at its end", () => {
  const config = smallConfig({ process: { capabilities: { bounding: ["CAP_OF_THE_FUTURE"] } } });
  const lines = recordPlan(makePlan(planInput(config)), false)
    .trimEnd()
    .split("\n");
  expect(lines.at(-1)).toBe(
    "warning  process.capabilities: ignoring unknown or unavailable capabilities: [CAP_OF_THE_FUTURE]",
  );
  for (const line of lines.slice(0, -1)) expect(line).toMatch(/^(host|init) {2}\S/);
});

test("a record shows the size of a filter and its beginning, not all of it", () => {
  const names = ["mount", "umount2", "reboot", "swapon", "swapoff", "init_module", "delete_module"];
  const seccomp: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names, action: "SCMP_ACT_ERRNO" }],
  };
  const text = recordPlan(makePlan(planInput(smallConfig({ linux: { seccomp } }))));
  const line = text.split("\n").find((candidate) => candidate.includes("seccomp(")) ?? "";
  expect(line).toMatch(/<\d+ bytes [0-9a-f]{64}\.\.\.>/);
  expect(line.length).toBeLessThan(160);
});
