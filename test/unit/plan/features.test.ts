// What `features` says is true: a config that asks for it gets a plan.
import { describe, expect, test } from "bun:test";
import { builtinRegistry } from "../../../src/builtin-drivers.ts";
import { asCtrError } from "../../../src/error.ts";
import { features } from "../../../src/plan/features.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { parseDocument } from "../../../src/spec/parse.ts";
import { RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { Features } from "../../../src/spec/runtime/features.ts";
import { planInput, smallConfig } from "./inputs.ts";

const all = parseDocument(Features, features(builtinRegistry().names("cgroup")), "features");
const { linux = {} } = all;

/** `ok`, or the code of the error: of reading the config as it would stand in config.json, or of its plan. */
function outcome(change: Record<string, unknown>): string {
  try {
    makePlan(planInput(parseDocument(RuntimeConfig, { ...smallConfig(), ...change }, "config.json")));
    return "ok";
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
const withLinux = (more: Record<string, unknown>) => ({ linux: { ...base.linux, ...more } });
const withSeccomp = (more: Record<string, unknown>, syscall: Record<string, unknown> = {}) =>
  withLinux({
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      ...more,
      syscalls: [{ names: ["chmod"], action: "SCMP_ACT_ERRNO", ...syscall }],
    },
  });

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
    const bad = refused(options, (option) => ({
      mounts: [{ destination: "/m", type: "tmpfs", source: "/", options: ["rbind", option] }],
    }));
    expect(bad.filter((text) => text.includes("UNSUPPORTED") && !text.startsWith("remount"))).toEqual([]);
  });

  test("namespaces and capabilities", () => {
    const maps = [{ containerID: 0, hostID: 0, size: 1 }];
    expect(
      refused(linux.namespaces, (type) => {
        const types = [...new Set(["mount", type])].map((each) => ({ type: each }));
        return withLinux({
          namespaces: types,
          ...(type === "user" ? { uidMappings: maps, gidMappings: maps } : {}),
        });
      }),
    ).toEqual([]);
    expect(linux.capabilities?.length).toBe(41);
  });

  test("seccomp", () => {
    const { seccomp } = linux;
    expect(refused(seccomp?.actions, (action) => withSeccomp({}, { action }))).toEqual([]);
    expect(refused(seccomp?.archs, (arch) => withSeccomp({ architectures: [arch] }))).toEqual([]);
    expect(refused(seccomp?.knownFlags, (flag) => withSeccomp({ flags: [flag] }))).toEqual([]);
    expect(
      refused(seccomp?.operators, (op) => withSeccomp({}, { args: [{ index: 0, value: 1, op }] })),
    ).toEqual([]);
    expect(outcome(withSeccomp({}, { action: "SCMP_ACT_NOTIFY" }))).toContain("UNSUPPORTED");
    expect(seccomp?.actions).not.toContain("SCMP_ACT_NOTIFY");
  });

  test("memory policies", () => {
    const nodes = (mode: string) => (/DEFAULT|LOCAL/.test(mode) ? {} : { nodes: "0" });
    expect(
      refused(linux.memoryPolicy?.modes, (mode) => withLinux({ memoryPolicy: { mode, ...nodes(mode) } })),
    ).toEqual([]);
  });

  test("what is a matter of yes or no", () => {
    const claims: Record<string, [enabled: boolean | undefined, change: Record<string, unknown>]> = {
      apparmor: [linux.apparmor?.enabled, { process: { ...base.process, apparmorProfile: "x" } }],
      selinux: [linux.selinux?.enabled, { process: { ...base.process, selinuxLabel: "a:b:c:s0" } }],
      intelRdt: [linux.intelRdt?.enabled, withLinux({ intelRdt: { closID: "x" } })],
      netDevices: [linux.netDevices?.enabled, withLinux({ netDevices: { eth0: {} } })],
    };
    for (const [name, [enabled, change]] of Object.entries(claims)) {
      if (enabled !== true) continue;
      expect({ name, outcome: outcome(change) }).not.toMatchObject({
        // That this host lacks a module or hardware is no matter of what ctr-bun can do.
        outcome: expect.stringContaining("not supported yet"),
      });
    }
    expect(linux.cgroup).toEqual({ v1: true, v2: true, systemd: false, systemdUser: false, rdma: true });
  });
});
