/** Names of sysctls, and which of them a container may set. */
import { describe, expect, test } from "bun:test";
import { makePlan } from "../../../src/plan/plan.ts";
import { sysctlPath } from "../../../src/plan/sysctl.ts";
import type { NamespaceType } from "../../../src/spec/runtime/config.ts";
import { errorOf, initSteps, planInput, smallConfig } from "./inputs.ts";

test("names in dots and in slashes lead to the same path", () => {
  for (const [name, path] of [
    ["net.ipv4.ip_forward", "net/ipv4/ip_forward"],
    ["net/ipv4/ip_forward", "net/ipv4/ip_forward"],
    // sysctl(8): whichever comes first is the separator, the other one is part of a name.
    ["net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"],
    ["net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"],
    ["single", "single"],
  ] as const) {
    expect(sysctlPath(name)).toBe(path);
  }
});

function plan(name: string, types: readonly NamespaceType[], mounts = smallConfig().mounts ?? []) {
  const namespaces = types.map((type) => ({ type }));
  const config = smallConfig({ mounts, linux: { namespaces, sysctl: { [name]: "1" } } });
  return makePlan(planInput(config));
}

describe("a sysctl is set", () => {
  for (const [name, type] of [
    ["net.core.somaxconn", "network"],
    ["kernel.msgmax", "ipc"],
    ["kernel.shm_rmid_forced", "ipc"],
    ["fs.mqueue.msg_max", "ipc"],
    ["kernel.domainname", "uts"],
    ["user.max_user_namespaces", "user"],
  ] as const) {
    test(`where its namespace is the container's: ${name}`, () => {
      const maps = [{ containerID: 0, hostID: 1000, size: 1 }];
      const linux = { uidMappings: maps, gidMappings: maps };
      const namespaces = [{ type: "mount" as const }, { type }];
      const config = smallConfig({
        linux: { ...(type === "user" ? linux : {}), namespaces, sysctl: { [name]: "1" } },
      });
      const fields = initSteps(makePlan(planInput(config))).map(({ field }) => field);
      expect(fields).toContain(`linux.sysctl["${name}"]`);
    });

    test(`and refused where it is the host's: ${name}`, () => {
      const error = errorOf(() => plan(name, ["mount"]));
      expect(error).toMatchObject({ code: "INVALID_CONFIG", field: `linux.sysctl["${name}"]` });
      expect(error.hint).toContain(type);
    });
  }
});

describe("a sysctl is refused", () => {
  test("that is in no namespace", () => {
    for (const name of [
      "kernel.core_pattern",
      "vm.swappiness",
      "fs.file-max",
      "kernel.shm_next_id",
      "netx.y",
    ]) {
      expect(errorOf(() => plan(name, ["mount", "network", "ipc", "uts"]))).toMatchObject({
        code: "INVALID_CONFIG",
        field: `linux.sysctl["${name}"]`,
        message: `sysctl "${name}" is not in a separate kernel namespace`,
      });
    }
  });

  test("in whose place there is a property", () => {
    expect(errorOf(() => plan("kernel.hostname", ["mount", "uts"]))).toMatchObject({
      code: "INVALID_CONFIG",
      field: 'linux.sysctl["kernel.hostname"]',
      message: 'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
    });
  });

  test("whose name leads elsewhere once dots and slashes have changed places", () => {
    for (const name of ["net.//.kernel.core_pattern", "net..x", "net./.x", "net.", "net/./x", "net//x"]) {
      expect(errorOf(() => plan(name, ["mount", "network"]))).toMatchObject({
        code: "INVALID_CONFIG",
        field: `linux.sysctl["${name}"]`,
      });
    }
  });
});

describe("it is written through", () => {
  const through = (mounts: NonNullable<ReturnType<typeof smallConfig>["mounts"]>) => {
    const steps = initSteps(plan("net.core.somaxconn", ["mount", "network"], mounts));
    const own = steps.some(({ about }) => about.startsWith("make a procfs"));
    const write = steps.find(({ about }) => about === "set net.core.somaxconn to 1");
    return { own, from: write?.rows[0]?.args[0] };
  };
  const proc = { destination: "/proc", type: "proc", source: "proc" };

  test("the procfs at /proc, whatever comes over it later", () => {
    expect(through([proc])).toEqual({ own: false, from: { slot: "mount0" } });
    const remount = { destination: "/proc", options: ["remount", "ro"] };
    expect(through([proc, remount])).toEqual({ own: false, from: { slot: "mount0" } });
  });

  test("one of its own where /proc is none, or a bind mount of another one", () => {
    expect(through([])).toEqual({ own: true, from: { slot: "proc.own" } });
    const bind = { destination: "/proc", source: "/srv/proc", options: ["rbind"] };
    expect(through([bind])).toEqual({ own: true, from: { slot: "proc.own" } });
  });
});
