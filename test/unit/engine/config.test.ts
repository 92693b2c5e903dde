// The config.json of an engine container, and the parts that are decided by flags.

import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import {
  capabilitySets,
  capabilityWarnings,
  chooseCapabilities,
  DEFAULT_CAPABILITIES,
} from "../../../src/engine/config/capabilities.ts";
import { buildCommand, buildWorkingDirectory, cleanPath } from "../../../src/engine/config/command.ts";
import { DEFAULT_DEVICE_RULES, parseDeviceFlag } from "../../../src/engine/config/devices.ts";
import { mergeLabels } from "../../../src/engine/config/labels.ts";
import {
  hostsFile,
  hostsFileOfHost,
  parseAddHost,
  parseDns,
  resolvConf,
} from "../../../src/engine/config/network-files.ts";
import { buildRuntimeConfig, type ContainerParts } from "../../../src/engine/config/runtime-config.ts";
import { parseSecurityOptions } from "../../../src/engine/config/security.ts";
import { RuntimeConfig } from "../../../src/spec/runtime/config.ts";

const ALL = (1n << 41n) - 1n;

describe("capabilities", () => {
  const choose = (add: string[], drop: string[], more: { privileged?: boolean; host?: bigint } = {}) =>
    chooseCapabilities({ add, drop, privileged: false, host: ALL, ...more });

  test("are Docker's fourteen", () => {
    expect(choose([], [])).toHaveLength(14);
    expect(new Set(choose([], []))).toEqual(new Set(DEFAULT_CAPABILITIES));
  });

  test("are added and dropped by any spelling", () => {
    expect(choose(["net_admin"], ["CAP_CHOWN", "kill"])).toContain("CAP_NET_ADMIN");
    expect(choose(["net_admin"], ["CAP_CHOWN", "kill"])).toHaveLength(13);
    expect(choose(["SYS_ADMIN"], ["ALL"])).toEqual(["CAP_SYS_ADMIN"]);
    expect(choose(["ALL"], ["SYS_ADMIN"])).toHaveLength(40);
    expect(choose([], ["all"])).toEqual([]);
  });

  test("mean, with ALL, all that this host has", () => {
    expect(choose(["ALL"], [], { host: 0b11n })).toEqual(["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    expect(choose([], [], { privileged: true, host: 0b101n })).toEqual(["CAP_CHOWN", "CAP_DAC_READ_SEARCH"]);
    expect(choose([], [], { host: 0b1n })).toEqual(["CAP_CHOWN"]);
  });

  test("are fewer than all with a warning, where the host does not have all", () => {
    const warnings = (add: string[], privileged: boolean, host: bigint) =>
      capabilityWarnings({ add, drop: [], privileged, host });
    const lacking = ALL & ~(1n << 24n);
    expect(warnings([], true, lacking)).toEqual([
      "--privileged: this host does not have, and the container does not get, CAP_SYS_RESOURCE",
    ]);
    expect(warnings(["all"], false, lacking)).toEqual([
      "--cap-add ALL: this host does not have, and the container does not get, CAP_SYS_RESOURCE",
    ]);
    expect(warnings([], true, ALL)).toEqual([]);
    expect(warnings(["NET_ADMIN"], false, lacking)).toEqual([]);
  });

  test("that do not exist, or that ctr-bun itself lacks, are refused", () => {
    expect(() => choose(["FLY"], [])).toThrow('no capability "FLY"');
    expect(() => choose([], ["FLY"])).toThrow(expect.objectContaining({ field: "--cap-drop" }));
    expect(() => choose(["SYS_ADMIN"], [], { host: 1n })).toThrow("bounding set");
  });

  test("are never inheritable or ambient, and not effective for an ordinary user", () => {
    expect(capabilitySets(["CAP_KILL"], 0)).toEqual({
      bounding: ["CAP_KILL"],
      effective: ["CAP_KILL"],
      permitted: ["CAP_KILL"],
      inheritable: [],
      ambient: [],
    });
    expect(capabilitySets(["CAP_KILL"], 7).effective).toEqual([]);
  });
});

describe("the command", () => {
  const image = { imageEntrypoint: ["/entry"], imageCmd: ["default"], entrypoint: undefined };

  test("is Entrypoint and Cmd, by Docker's rules", () => {
    expect(buildCommand({ ...image, args: [] })).toEqual(["/entry", "default"]);
    expect(buildCommand({ ...image, args: ["a", "b"] })).toEqual(["/entry", "a", "b"]);
    expect(buildCommand({ ...image, entrypoint: "/mine", args: [] })).toEqual(["/mine"]);
    expect(buildCommand({ ...image, entrypoint: "/mine", args: ["a"] })).toEqual(["/mine", "a"]);
    expect(buildCommand({ ...image, entrypoint: "", args: ["a"] })).toEqual(["a"]);
  });

  test("must be there", () => {
    expect(() => buildCommand({ ...image, entrypoint: "", args: [] })).toThrow("no command");
    expect(() =>
      buildCommand({ imageEntrypoint: undefined, imageCmd: [""], entrypoint: undefined, args: [] }),
    ).toThrow("no command");
  });

  test("runs in the image's directory, which may be relative, or the person's, which may not", () => {
    expect(buildWorkingDirectory("app", undefined)).toBe("/app");
    expect(buildWorkingDirectory(undefined, undefined)).toBe("/");
    expect(buildWorkingDirectory("/a", "/b/../c/")).toBe("/c");
    expect(() => buildWorkingDirectory("/a", "b")).toThrow("not absolute");
    expect(cleanPath("/a/./b//../../../c")).toBe("/c");
  });
});

describe("files for the network", () => {
  test("hosts has the container's own name", () => {
    expect(
      hostsFile("web.example.org", [{ name: "db", address: "10.0.0.7" }])
        .split("\n")
        .slice(-4),
    ).toEqual(["ff02::2\tip6-allrouters", "127.0.1.1\tweb.example.org web", "10.0.0.7\tdb", ""]);
    expect(hostsFileOfHost("127.0.0.1 me", [{ name: "db", address: "::1" }])).toBe("127.0.0.1 me\n::1\tdb\n");
  });

  test("resolv.conf drops name servers that the container cannot reach", () => {
    const host = "nameserver 127.0.0.53\nnameserver 9.9.9.9\nsearch example.org\n";
    expect(resolvConf(host, [], false)).toBe("nameserver 9.9.9.9\nsearch example.org\n");
    expect(resolvConf(host, [], true)).toBe(host);
    expect(resolvConf(host, ["1.1.1.1"], true)).toBe("search example.org\nnameserver 1.1.1.1\n");
  });

  test("flags for them are checked", () => {
    expect(parseAddHost("db:10.0.0.7")).toEqual({ name: "db", address: "10.0.0.7" });
    expect(parseAddHost("db=[::1]")).toEqual({ name: "db", address: "::1" });
    for (const text of ["db", "db:", ":1.2.3.4", "db:x", "db:host-gateway"]) {
      expect(() => parseAddHost(text)).toThrow();
    }
    expect(() => parseDns("dns.example")).toThrow("not an IP address");
  });
});

test("devices have a place inside and an access", () => {
  expect(parseDeviceFlag("/dev/fuse")).toEqual({ host: "/dev/fuse", inside: "/dev/fuse", access: "rwm" });
  expect(parseDeviceFlag("/dev/fuse:r")).toEqual({ host: "/dev/fuse", inside: "/dev/fuse", access: "r" });
  expect(parseDeviceFlag("/dev/a:/dev/b:rw")).toEqual({ host: "/dev/a", inside: "/dev/b", access: "rw" });
  for (const text of ["fuse", "/dev/a:b", "/dev/a:/dev/b:rx", "/a:/b:r:w"]) {
    expect(() => parseDeviceFlag(text)).toThrow("is not a device");
  }
});

test("security options are read, and those not known refused", () => {
  expect(parseSecurityOptions(["seccomp=unconfined", "no-new-privileges"])).toEqual({
    seccomp: "unconfined",
    noNewPrivileges: true,
    systemPathsUnconfined: false,
  });
  expect(parseSecurityOptions(["seccomp:/p.json", "no-new-privileges:false", "label=disable"])).toMatchObject(
    {
      seccomp: "/p.json",
      noNewPrivileges: false,
    },
  );
  for (const text of ["seccomp", "seccomp=", "apparmor=mine", "x"]) {
    expect(() => parseSecurityOptions([text])).toThrow("is not known");
  }
});

test("labels of the command line win, and none becomes an annotation", () => {
  expect(mergeLabels({ a: "1", b: "2" }, ["b=3", "c", "__proto__=x"])).toEqual(
    Object.fromEntries([
      ["a", "1"],
      ["b", "3"],
      ["c", ""],
      ["__proto__", "x"],
    ]),
  );
  expect(() => mergeLabels({}, ["=x"])).toThrow("no name");
});

const parts: ContainerParts = {
  rootfs: "/c/rootfs",
  readonlyRoot: false,
  args: ["sh"],
  env: ["PATH=/bin"],
  cwd: "/",
  user: { uid: 0, gid: 0, additionalGids: [0], home: "/root" },
  terminal: false,
  hostname: "h",
  capabilities: DEFAULT_CAPABILITIES,
  noNewPrivileges: false,
  seccomp: undefined,
  systemPathsUnconfined: false,
  network: { kind: "none" },
  mounts: [],
  devices: [],
  deviceRules: DEFAULT_DEVICE_RULES,
  limits: {},
  ownCgroupNamespace: true,
  cgroupsPath: undefined,
  oomScoreAdj: undefined,
  rlimits: [],
};

describe("config.json", () => {
  test("is valid by the specification", () => {
    const config = buildRuntimeConfig(parts);
    expect(v.parse(RuntimeConfig, JSON.parse(JSON.stringify(config)))).toEqual(
      JSON.parse(JSON.stringify(config)),
    );
  });

  test("has namespaces of its own, the network by choice", () => {
    const types = (network: ContainerParts["network"]) =>
      buildRuntimeConfig({ ...parts, network }).linux?.namespaces?.map(({ type, path }) => path ?? type);
    expect(types({ kind: "none" })).toEqual(["mount", "pid", "ipc", "uts", "cgroup", "network"]);
    expect(types({ kind: "host" })).toEqual(["mount", "pid", "ipc", "uts", "cgroup"]);
    const shared = buildRuntimeConfig({ ...parts, ownCgroupNamespace: false });
    expect(shared.linux?.namespaces?.map(({ type }) => type)).not.toContain("cgroup");
    expect(types({ kind: "path", path: "/proc/7/ns/net" })?.at(-1)).toBe("/proc/7/ns/net");
    expect(buildRuntimeConfig({ ...parts, network: { kind: "host" } }).linux?.sysctl).toBeUndefined();
  });

  test("masks /proc and /sys unless told otherwise, and always calls setgroups", () => {
    const { linux, process } = buildRuntimeConfig(parts);
    expect(linux?.maskedPaths).toContain("/proc/kcore");
    expect(linux?.readonlyPaths).toContain("/proc/sys");
    expect(process?.user.additionalGids).toEqual([0]);
    expect(buildRuntimeConfig({ ...parts, systemPathsUnconfined: true }).linux?.maskedPaths).toEqual([]);
  });

  test("allows no device that was not given", () => {
    const [first] = buildRuntimeConfig(parts).linux?.resources?.devices ?? [];
    expect(first).toEqual({ allow: false, access: "rwm" });
  });
});
