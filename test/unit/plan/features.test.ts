// What `features` says is true: a config that asks for it gets a plan.
import { describe, expect, test } from "bun:test";
import { builtinRegistry } from "../../../src/builtin-drivers.ts";
import { asCtrError } from "../../../src/error.ts";
import { readAnnotations } from "../../../src/plan/annotations.ts";
import { features } from "../../../src/plan/features.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { recordPlan } from "../../../src/plan/record.ts";
import { parseDocument } from "../../../src/spec/parse.ts";
import { RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { Features } from "../../../src/spec/runtime/features.ts";
import { HOSTS, planInput, smallConfig } from "./inputs.ts";

const all = parseDocument(Features, features(builtinRegistry().names("cgroup")), "features");
const { linux = {} } = all;

/** A host that has all that a config may ask for. */
const HOST = { ...HOSTS.unified, lsm: ["apparmor", "selinux"] };
const RESCTRL = { root: "/sys/fs/resctrl", schemata: undefined, monitored: false };

/** `ok`, a warning, or the error: of reading the config as it would stand in config.json, or of its plan. */
function outcome(change: Record<string, unknown>): string {
  try {
    const config = parseDocument(RuntimeConfig, { ...smallConfig(), ...change }, "config.json");
    const { warnings } = makePlan(planInput(config, { host: HOST, facts: { resctrl: RESCTRL } }));
    return warnings[0] ?? "ok";
  } catch (error) {
    const { code, field, message } = asCtrError(error);
    return `${code} ${field}: ${message}`;
  }
}

/** Which of these are refused. */
function refused(names: readonly string[] = [], change: (name: string) => Record<string, unknown>): string[] {
  expect(names.length).toBeGreaterThan(0);
  return names.flatMap((name) => {
    const what = outcome(change(name));
    return what === "ok" ? [] : [`${name}: ${what}`];
  });
}

const base = smallConfig();
const MAPS = [{ containerID: 0, hostID: 1000, size: 1 }];
const withLinux = (more: Record<string, unknown>) => ({ linux: { ...base.linux, ...more } });
const withSeccomp = (more: Record<string, unknown>, syscall: Record<string, unknown> = {}) =>
  withLinux({
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: "/run/agent.sock",
      ...more,
      syscalls: [{ names: ["chmod"], action: "SCMP_ACT_ERRNO", ...syscall }],
    },
  });

/** Whether the systemd manager makes another unit, or another cgroup, with the annotation; a dot stands for any name. */
function changesUnit(name: string): boolean {
  const unit = (annotations: Record<string, string>): string => {
    const options = { cgroupDriver: "systemd" };
    const host = { ...HOSTS.unified, systemd: { version: 252, controlGroup: "/" } };
    return recordPlan(makePlan(planInput(smallConfig({ annotations }), { host, options })));
  };
  const annotation = name.endsWith(".") ? { [`${name}Documentation`]: "['man:x']" } : { [name]: "x" };
  return unit(annotation) !== unit({});
}

describe("what features names is carried out", () => {
  test("versions, the oldest and the newest", () => {
    expect(refused([all.ociVersionMin, all.ociVersionMax], (ociVersion) => ({ ociVersion }))).toEqual([]);
  });

  test("hooks", () => {
    expect(all.hooks?.length).toBe(6);
    expect(refused(all.hooks, (name) => ({ hooks: { [name]: [{ path: "/bin/true" }] } }))).toEqual([]);
  });

  test("mount options: of a bind mount, or of a file system", () => {
    const options = all.mountOptions ?? [];
    for (const option of ["ro", "rro", "rslave", "rbind", "nosymfollow", "rnorelatime", "lazytime"])
      expect(options).toContain(option);
    expect(new Set(options).size).toBe(options.length);
    const bind = ["bind", "rbind", "idmap", "ridmap"];
    // Only a bind mount has a source whose IDs can be mapped.
    const ofBind = { type: "none", uidMappings: MAPS, gidMappings: MAPS };
    const bad = refused(options, (option) => {
      const more = bind.includes(option) ? { ...ofBind, options: ["bind", option] } : { options: [option] };
      return { mounts: [{ destination: "/m", type: "tmpfs", source: "/", ...more }] };
    });
    expect(bad).toEqual([]);
  });

  test("namespaces and capabilities", () => {
    expect(
      refused(linux.namespaces, (type) => {
        const types = [...new Set(["mount", type])].map((each) => ({ type: each }));
        return withLinux({
          namespaces: types,
          ...(type === "user" ? { uidMappings: MAPS, gidMappings: MAPS } : {}),
        });
      }),
    ).toEqual([]);
    expect(linux.capabilities?.length).toBe(41);
    expect(
      refused(linux.capabilities, (name) => ({
        process: {
          ...base.process,
          capabilities: { bounding: [name], permitted: [name], effective: [name] },
        },
      })),
    ).toEqual([]);
  });

  test("seccomp", () => {
    const { seccomp } = linux;
    expect(refused(seccomp?.actions, (action) => withSeccomp({}, { action }))).toEqual([]);
    expect(refused(seccomp?.archs, (arch) => withSeccomp({ architectures: [arch] }))).toEqual([]);
    expect(refused(seccomp?.knownFlags, (flag) => withSeccomp({ flags: [flag] }))).toEqual([]);
    expect(
      refused(seccomp?.operators, (op) => withSeccomp({}, { args: [{ index: 0, value: 1, op }] })),
    ).toEqual([]);
    expect(seccomp?.supportedFlags).toEqual(seccomp?.knownFlags);
  });

  test("memory policies", () => {
    const { modes, flags } = linux.memoryPolicy ?? {};
    const nodes = (mode: string) => (/DEFAULT|LOCAL/.test(mode) ? {} : { nodes: "0" });
    expect(refused(modes, (mode) => withLinux({ memoryPolicy: { mode, ...nodes(mode) } }))).toEqual([]);
    expect(
      refused(flags, (flag) =>
        withLinux({
          memoryPolicy: {
            mode: flag === "MPOL_F_NUMA_BALANCING" ? "MPOL_BIND" : "MPOL_INTERLEAVE",
            nodes: "0",
            flags: [flag],
          },
        }),
      ),
    ).toEqual([]);
  });

  test("what is a matter of yes or no", () => {
    const mapped = { destination: "/m", source: "/s", options: ["bind", "idmap"] };
    const claims: Record<string, [enabled: boolean | undefined, change: Record<string, unknown>]> = {
      apparmor: [linux.apparmor?.enabled, { process: { ...base.process, apparmorProfile: "x" } }],
      selinux: [linux.selinux?.enabled, { process: { ...base.process, selinuxLabel: "a:b:c:s0" } }],
      intelRdt: [linux.intelRdt?.enabled, withLinux({ intelRdt: { closID: "x", l3CacheSchema: "L3:0=f" } })],
      schemata: [linux.intelRdt?.schemata, withLinux({ intelRdt: { closID: "x", schemata: ["L2:0=f"] } })],
      monitoring: [linux.intelRdt?.monitoring, withLinux({ intelRdt: { enableMonitoring: true } })],
      netDevices: [
        linux.netDevices?.enabled,
        withLinux({ namespaces: [{ type: "mount" }, { type: "network" }], netDevices: { eth0: {} } }),
      ],
      idmap: [
        linux.mountExtensions?.idmap?.enabled,
        { mounts: [{ ...mapped, uidMappings: MAPS, gidMappings: MAPS }] },
      ],
      rdma: [linux.cgroup?.rdma, withLinux({ resources: { rdma: { mlx5_1: { hcaHandles: 1 } } } })],
    };
    for (const [name, [enabled, change]] of Object.entries(claims))
      expect({ name, enabled, outcome: outcome(change) }).toEqual({ name, enabled: true, outcome: "ok" });
    expect(linux.cgroup).toEqual({ v1: true, v2: true, systemd: true, systemdUser: true, rdma: true });
  });

  test("annotations that change something: each is carried out or refused", () => {
    const names = all.potentiallyUnsafeConfigAnnotations ?? [];
    expect(names).toContain("run.oci.handler");
    for (const name of names) {
      const annotations = { [name]: "x" };
      const config = { ...smallConfig(withLinux({ mountLabel: "a:b:c:s0" })), annotations };
      const isRefused = outcome(config).startsWith(`UNSUPPORTED annotations["${name}"]`);
      const isDone = () => Object.keys(readAnnotations({ annotations })).length > 0 || changesUnit(name);
      expect({ name, means: isRefused || isDone() }).toEqual({ name, means: true });
    }
  });
});
