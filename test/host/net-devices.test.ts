// Network devices of the host in a container: moved with their addresses, and moved back when the container comes to
// nothing. A network namespace of the test's own is the host's here, so that no real device is touched.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync } from "node:fs";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
let host = "";
let other = "";
let count = 0;

function need(command: string[]): string {
  const { code, out, err } = runCommand(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${err}`);
  return out;
}
/** A command in a network namespace that has a name. */
const inside = (namespace: string, command: string[]) =>
  runCommand(["nsenter", `--net=/run/netns/${namespace}`, ...command]);
function ip(namespace: string, line: string): string {
  const { code, out, err } = inside(namespace, ["ip", ...line.split(" ")]);
  if (code !== 0) throw new Error(`ip ${line}: ${err}`);
  return out;
}
/** Addresses of a device as `ADDRESS/PREFIX scope label`, sorted; link-local ones, which the kernel makes, left out. */
function addresses(namespace: string, device: string): string[] {
  const [link] = JSON.parse(ip(namespace, `-j addr show dev ${device}`)) as {
    addr_info: { local: string; address?: string; prefixlen: number; scope: string; label?: string }[];
  }[];
  return (link?.addr_info ?? [])
    .filter(({ local }) => !local.startsWith("fe80:"))
    .map(({ local, prefixlen, scope, label, address }) =>
      [`${local}/${prefixlen}`, scope, label, address].filter((part) => part !== undefined).join(" "),
    )
    .sort();
}
const devices = (namespace: string) =>
  (JSON.parse(ip(namespace, "-j link")) as { ifname: string }[]).map(({ ifname }) => ifname).sort();
const isUp = (namespace: string, device: string) => ip(namespace, `link show ${device}`).includes(",UP");

/** Runs a container of which `host` is the host's network namespace. */
function run(
  args: string[],
  netDevices: Record<string, { name?: string }>,
  change?: (config: Config) => void,
): Result {
  bundle.configure(args, (config) => {
    Object.assign(config.linux, { netDevices });
    change?.(config);
  });
  return inside(host, [CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, freshID()]);
}
const sh = (script: string) => ["sh", "-c", script];
const ALL = [
  "10.9.8.7/24 global v0:x",
  "10.9.8.9/24 global v0",
  "10.1.1.1/32 link v0 10.1.1.2",
  "fd00::7/64 global",
].sort();

beforeEach(() => {
  bundle = makeBundle();
  host = `host-${process.pid}-${++count}`;
  other = `other-${process.pid}-${count}`;
  for (const name of [host, other]) need(["ip", "netns", "add", name]);
  ip(host, "link add v0 type veth peer name v1");
  ip(host, "link set v1 up");
  ip(host, "link set v0 mtu 1400 up");
  ip(host, "addr add 10.9.8.7/24 dev v0 label v0:x");
  ip(host, "addr add 10.9.8.9/24 dev v0 valid_lft 1000 preferred_lft 900");
  ip(host, "addr add 10.1.1.1 peer 10.1.1.2 scope link dev v0");
  ip(host, "addr add fd00::7/64 dev v0 nodad");
});
afterEach(() => {
  bundle.dispose();
  for (const name of [host, other]) need(["ip", "netns", "del", name]);
});

describe("a network device", () => {
  test("is in the container under its new name, up, with its permanent global addresses and no others", () => {
    const { code, out, err } = run(sh("ip addr show inner"), { v0: { name: "inner" } });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/inner@.*,UP.* mtu 1400 /);
    expect(out).toContain("inet 10.9.8.7/24 scope global inner:x");
    expect(out).toContain("inet6 fd00::7/64 scope global");
    for (const gone of ["10.9.8.9", "10.1.1.1"]) expect(out).not.toContain(gone);
    // The container is gone, and with its network namespace the device (network_namespaces(7)).
    // The kernel takes a namespace apart some time after its last process.
    for (let tries = 0; tries < 100 && devices(host).length > 1; tries++) Bun.sleepSync(50);
    expect(devices(host)).toEqual(["lo"]);
  });

  test("keeps its name where no other is given, and a template becomes a free one", () => {
    ip(host, "link add w0 type veth peer name w1");
    const { out } = run(sh("ip -o link | sed 's/@.*//'; ls /proc/sys/net/ipv4/conf"), {
      v0: {},
      w0: { name: "net%d" },
      w1: { name: "net%d" },
    });
    const conf = out.slice(out.indexOf("all"));
    expect(conf.split("\n").filter((name) => /^(v0|net\d)$/.test(name))).toEqual(["net0", "net1", "v0"]);
  });

  test("is there for hooks, and its sysctls are set", () => {
    const { out, err, code } = run(
      sh("cat /proc/sys/net/ipv4/conf/inner/forwarding /tmp/seen"),
      { v0: { name: "inner" } },
      (config) => {
        config.root.readonly = false;
        Object.assign(config.linux, { sysctl: { "net.ipv4.conf.inner.forwarding": "1" } });
        const script = `nsenter --net=/proc/$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/')/ns/net ip link show inner > ${bundle.rootfs}/tmp/seen`;
        Object.assign(config, {
          hooks: { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", script] }] },
        });
      },
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^1\n.*inner@/);
  });

  test("moves into a user namespace's network namespace too", () => {
    // What the container has yet to make, such as /proc, is made in its root by its own root.
    chownSync(bundle.rootfs, 100000, 100000);
    const { code, out, err } = run(sh("ip addr show v0"), { v0: {} }, ({ linux }) => {
      linux.namespaces.push({ type: "user" });
      linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("inet 10.9.8.7/24 scope global v0:x");
  });

  test("stays in a network namespace that was joined by its path", () => {
    const { code, err } = run(["true"], { v0: { name: "inner" } }, ({ linux }) => {
      linux.namespaces = linux.namespaces.map((ns) =>
        ns.type === "network" ? { ...ns, path: `/run/netns/${other}` } : ns,
      );
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(devices(host)).toEqual(["lo", "v1"]);
    expect(addresses(other, "inner")).toEqual(["10.9.8.7/24 global inner:x", "fd00::7/64 global"]);
    expect(isUp(other, "inner")).toBe(true);
  });
});

describe("nothing has changed on the host when", () => {
  const joined = ({ linux }: Config) => {
    linux.namespaces = linux.namespaces.map((ns) =>
      ns.type === "network" ? { ...ns, path: `/run/netns/${other}` } : ns,
    );
  };
  const untouched = () => {
    expect(addresses(host, "v0")).toEqual(ALL);
    expect(isUp(host, "v0")).toBe(true);
    expect(ip(host, "link show v0")).toContain("mtu 1400");
  };

  test("a later device is not there", () => {
    const { code, err } = run(["true"], { v0: { name: "inner" }, nowhere: {} });
    expect(code).toBe(1);
    expect(err).toContain(
      'linux.netDevices["nowhere"]: link not found for interface nowhere on runtime namespace',
    );
    untouched();
    expect(devices(host)).toEqual(["lo", "v0", "v1"]);
  });

  test("a later device cannot be moved, which is told in the kernel's words", () => {
    ip(host, "link add b0 type bridge");
    const { code, err } = run(["true"], { v0: {}, b0: {} });
    expect(code).toBe(1);
    expect(err).toMatch(
      /^ctr-bun: linux\.netDevices\["b0"\]: cannot move the network device b0 into the container: /,
    );
    expect(err).toContain("EINVAL");
    untouched();
  });

  test("the name is taken, in a new namespace and in one that is joined", () => {
    expect(run(["true"], { v0: { name: "lo" } }).err).toContain(
      `linux.netDevices["v0"]: the container's network namespace has a device lo already`,
    );
    ip(other, "link add inner type veth peer name v0");
    const { code, err } = run(["true"], { v0: { name: "inner" } }, joined);
    expect(code).toBe(1);
    expect(err).toContain("the container's network namespace has a device inner already");
    untouched();
    expect(devices(other)).toEqual(["inner", "lo", "v0"]);
    // The same name on both sides is no obstacle where the device gets another one.
    expect(run(["true"], { v0: { name: "fresh%d" } }, joined)).toMatchObject({ code: 0, err: "" });
    expect(devices(other)).toEqual(["fresh0", "inner", "lo", "v0"]);
  });

  test("an address cannot be given there", () => {
    inside(other, ["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"]);
    const { code, err } = run(["true"], { v0: {} }, joined);
    expect(code).toBe(1);
    expect(err).toContain(
      'linux.netDevices["v0"]: cannot move the network device v0 into the container: giving it an address:',
    );
    untouched();
    expect(devices(other)).toEqual(["lo"]);
  });

  test("the program is not there, in a new namespace and in one that is joined", () => {
    expect(run(["/no/such/program"], { v0: { name: "inner" } }).err).toContain("/no/such/program");
    untouched();
    expect(run(["/no/such/program"], { v0: { name: "inner" } }, joined).err).toContain("/no/such/program");
    untouched();
    expect(devices(other)).toEqual(["lo"]);
  });

  test("the container has no network namespace of its own", () => {
    const words = "linux.netDevices: unable to move network devices without a private NET namespace";
    expect(
      run(["true"], { v0: { name: "x" } }, ({ linux }) => {
        linux.namespaces = linux.namespaces.filter(({ type }) => type !== "network");
      }).err,
    ).toContain(words);
    expect(
      run(["true"], { v0: { name: "x" } }, ({ linux }) => {
        linux.namespaces = linux.namespaces.map((ns) =>
          ns.type === "network" ? { ...ns, path: `/run/netns/${host}` } : ns,
        );
      }).err,
    ).toContain(words);
    untouched();
  });
});
