/** What a plan refuses rather than leaving it out: each with its code and the property that asks for it. */
import { describe, expect, test } from "bun:test";
import { errorLine } from "../../../src/error.ts";
import { makeExecPlan } from "../../../src/plan/exec.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { LinuxSeccomp, Mount, Process, RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { type Change, errorOf, HOSTS, planFacts, planInput, registry, smallConfig } from "./inputs.ts";

const MAPS = [{ containerID: 0, hostID: 1000, size: 1 }];
const NOTIFY: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
};
const mount = (entry: Mount): Change => ({ mounts: [entry] });
const withProcess = (process: Partial<Process>): Change => ({ process });
const linux = (properties: NonNullable<Change["linux"]>): Change => ({
  linux: { namespaces: [{ type: "mount" }], ...properties },
});
/** Only a pid namespace: everything that is mounted would be the host's. */
const noMounts = (change: Change): Change => ({
  mounts: [],
  ...change,
  linux: { namespaces: [{ type: "pid" }], ...change.linux },
});

const UNSUPPORTED: readonly (readonly [field: string, change: Change])[] = [
  ["process.apparmorProfile", withProcess({ apparmorProfile: "box" })],
  ["process.selinuxLabel", withProcess({ selinuxLabel: "system_u:system_r:box_t:s0" })],
  // No resctrl was found, as far as these facts go.
  ["linux.intelRdt", linux({ intelRdt: { closID: "box" } })],
  [
    "linux.mountLabel",
    {
      ...mount({ destination: "/a", type: "tmpfs" }),
      ...linux({ mountLabel: "system_u:object_r:box_t:s0" }),
    },
  ],
  ["linux.mountLabel", linux({ mountLabel: "system_u:object_r:box_t:s0", maskedPaths: ["/a"] })],
  ["linux.seccomp", linux({ seccomp: NOTIFY })],
];

const INVALID: readonly (readonly [field: string, change: Change])[] = [
  ["hostname", { hostname: "box" }],
  ["domainname", { domainname: "example.org" }],
  ["linux.timeOffsets", linux({ timeOffsets: { boottime: { secs: 1 } } })],
  [
    "linux.timeOffsets",
    linux({
      namespaces: [{ type: "mount" }, { type: "time", path: "/proc/42/ns/time" }],
      timeOffsets: { monotonic: { secs: 1 } },
    }),
  ],
  ["linux.uidMappings", linux({ uidMappings: MAPS })],
  ["linux.gidMappings", linux({ gidMappings: MAPS })],
  ["linux.uidMappings", linux({ namespaces: [{ type: "user" }, { type: "mount" }], gidMappings: MAPS })],
  ["linux.gidMappings", linux({ namespaces: [{ type: "user" }, { type: "mount" }], uidMappings: MAPS })],
  ["root.readonly", noMounts({ root: { path: "rootfs", readonly: true } })],
  ["mounts", noMounts(mount({ destination: "/a", type: "tmpfs" }))],
  ["linux.devices", noMounts({ linux: { devices: [{ type: "p", path: "/dev/pipe" }] } })],
  ["linux.rootfsPropagation", noMounts({ linux: { rootfsPropagation: "rslave" } })],
  ["linux.maskedPaths", noMounts({ linux: { maskedPaths: ["/a"] } })],
  ["linux.readonlyPaths", noMounts({ linux: { readonlyPaths: ["/a"] } })],
  ["process.execCPUAffinity.initial", withProcess({ execCPUAffinity: { initial: "3-1" } })],
  ["process.execCPUAffinity.final", withProcess({ execCPUAffinity: { final: "0,,1" } })],
  ["process.execCPUAffinity.final", withProcess({ execCPUAffinity: { final: "8192" } })],
  ["linux.memoryPolicy.nodes", linux({ memoryPolicy: { mode: "MPOL_BIND" } })],
  ["linux.memoryPolicy.nodes", linux({ memoryPolicy: { mode: "MPOL_BIND", nodes: "-" } })],
  ["linux.memoryPolicy.nodes", linux({ memoryPolicy: { mode: "MPOL_DEFAULT", nodes: "0" } })],
  ["linux.memoryPolicy.nodes", linux({ memoryPolicy: { mode: "MPOL_LOCAL", nodes: "0" } })],
  [
    "linux.memoryPolicy.flags",
    linux({
      memoryPolicy: {
        mode: "MPOL_INTERLEAVE",
        nodes: "0",
        flags: ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"],
      },
    }),
  ],
  ["mounts[0].type", mount({ destination: "/a", source: "/b" })],
  ["mounts[0].options", mount({ destination: "/a", source: "/b", options: ["bind", "idmap"] })],
  ["mounts[0].options", mount({ destination: "/a", source: "/b", options: ["rbind", "ridmap"] })],
  ["mounts[0].options", mount({ destination: "/a", type: "tmpfs", options: ["idmap"] })],
  [
    "mounts[0].uidMappings",
    mount({ destination: "/a", type: "tmpfs", uidMappings: MAPS, gidMappings: MAPS }),
  ],
  ["mounts[0].type", mount({ destination: "/proc", type: "tmpfs" })],
  ["mounts[0].destination", mount({ destination: "/proc/sys", type: "tmpfs" })],
  ["mounts[0].destination", mount({ destination: "/proc/self/attr", source: "/b", options: ["bind"] })],
  ["linux.devices[0].minor", linux({ devices: [{ type: "c", path: "/dev/x", major: 1, minor: 1_048_576 }] })],
  ["linux.devices[0].major", linux({ devices: [{ type: "b", path: "/dev/x", major: 4096, minor: 0 }] })],
  ["linux.devices[0].major", linux({ devices: [{ type: "b", path: "/dev/x", major: -1, minor: 0 }] })],
];

for (const [code, cases] of Object.entries({ UNSUPPORTED, INVALID_CONFIG: INVALID })) {
  describe(`refused as ${code}`, () => {
    for (const [field, change] of cases) {
      test(`${field}: ${JSON.stringify(change).slice(0, 90)}`, () => {
        const error = errorOf(() => makePlan(planInput(smallConfig(change))));
        expect(error).toMatchObject({ code, field });
        expect(errorLine(error)).toMatch(/^[^\n]+$/);
      });
    }
  });
}

test("a config without a process has nothing to run", () => {
  const { process: _, ...config } = smallConfig();
  expect(errorOf(() => makePlan(planInput(config)))).toMatchObject({
    code: "INVALID_CONFIG",
    field: "process",
  });
});

test("in a mount namespace that is joined nothing is mounted, and the error says whose it is", () => {
  const namespaces = [{ type: "mount", path: "/proc/42/ns/mnt" }] as const;
  const error = errorOf(() => makePlan(planInput(smallConfig({ linux: { namespaces: [...namespaces] } }))));
  expect(error).toMatchObject({ code: "INVALID_CONFIG", field: "mounts" });
  expect(error.message).toContain("joined");
});

describe("not refused", () => {
  const accepted: Readonly<Record<string, Change>> = {
    "empty lists and texts, as Go programs write them": {
      hostname: "",
      hooks: { createContainer: [], startContainer: [] },
      mounts: [{ destination: "/a", source: "/b", options: ["bind"], uidMappings: [], gidMappings: [] }],
      process: { apparmorProfile: "", selinuxLabel: "" },
      linux: {
        namespaces: [{ type: "mount" }],
        mountLabel: "",
        netDevices: {},
        uidMappings: [],
        timeOffsets: {},
      },
    },
    "maps of a user namespace that is joined: it has its own": {
      linux: {
        namespaces: [{ type: "mount" }, { type: "user", path: "/proc/42/ns/user" }],
        uidMappings: MAPS,
        gidMappings: MAPS,
      },
    },
    "what of /proc leads to no process": mount({
      destination: "/proc/meminfo",
      source: "/b",
      options: ["bind"],
    }),
    "a listener that no rule asks for": linux({
      seccomp: { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/agent" },
    }),
    "a number above 255 for a fifo, which has none": linux({
      devices: [{ type: "p", path: "/dev/x", major: -1 }],
    }),
  };
  for (const [name, change] of Object.entries(accepted)) {
    test(name, () => expect(makePlan(planInput(smallConfig(change))).steps.length).toBeGreaterThan(0));
  }
});

test("options of file systems are ignored with a word where a cgroup mount is a tree of hierarchies, as in runc", () => {
  const config = smallConfig(mount({ destination: "/a", type: "cgroup", options: ["ro", "nsdelegate"] }));
  expect(makePlan(planInput(config)).warnings).toEqual([
    "mounts[0].options: a tree of cgroup hierarchies takes no options of file systems, ignored: nsdelegate",
  ]);
  expect(makePlan(planInput(config, { host: HOSTS.unified })).warnings).toEqual([]);
});

test("an option that a bind mount cannot have is ignored with a word, as the kernel ignores it", () => {
  const config = smallConfig(mount({ destination: "/a", source: "/b", options: ["bind", "size=1m"] }));
  expect(makePlan(planInput(config)).warnings).toEqual([
    "mounts[0].options: a bind mount takes no options of file systems, ignored: size=1m",
  ]);
});

describe("exec refuses", () => {
  const exec = (process: Partial<Process>, seccomp?: LinuxSeccomp) => {
    const config: RuntimeConfig = smallConfig({ process });
    return makeExecPlan({
      id: "box",
      process: config.process ?? { user: { uid: 0, gid: 0 }, args: [], cwd: "/" },
      linux: undefined,
      seccomp,
      host: HOSTS.hybrid,
      registry,
      namespaces: 0,
      cgroup: undefined,
      facts: planFacts(config),
      preserveFds: 0,
      noNewKeyring: false,
      root: undefined,
    });
  };

  test("what create refuses of a process", () => {
    for (const [field, { process }] of UNSUPPORTED) {
      if (!field.startsWith("process.")) continue;
      expect(errorOf(() => exec(process ?? {}))).toMatchObject({ code: "UNSUPPORTED", field });
    }
  });

  test("a profile that wants an agent to be asked", () => {
    expect(errorOf(() => exec({}, NOTIFY))).toMatchObject({ code: "UNSUPPORTED", field: "linux.seccomp" });
  });
});
