// The eight namespaces, new, joined by their paths and mixed: which ones the container's process really is in.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, readlinkSync, writeFileSync } from "node:fs";
import { type Bundle, makeBundle, type Result, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

/** Types and their files in /proc/PID/ns. */
const FILES = {
  mount: "mnt",
  pid: "pid",
  network: "net",
  uts: "uts",
  ipc: "ipc",
  user: "user",
  cgroup: "cgroup",
  time: "time",
} as const;
type Type = keyof typeof FILES;
const TYPES = Object.keys(FILES) as Type[];
const MAPS = [{ containerID: 0, hostID: 100000, size: 65536 }];

let bundle: Bundle;
/** Processes that hold namespaces: the host's root's, and a user namespace's own. */
const holders: Bun.Subprocess[] = [];
let plain = 0;
let owned = 0;

async function hold(flags: string[]): Promise<number> {
  const holder = Bun.spawn(["unshare", ...flags, "sleep", "600"], { stdout: "ignore", stderr: "inherit" });
  holders.push(holder);
  const entered = () => readlinkSync(`/proc/${holder.pid}/ns/net`) !== readlinkSync("/proc/self/ns/net");
  while (!entered()) await Bun.sleep(5);
  return holder.pid;
}

beforeAll(async () => {
  bundle = makeBundle();
  chownSync(bundle.rootfs, 100000, 100000);
  plain = await hold(["-u", "-i", "-C", "-T", "-n"]);
  owned = await hold(["-U", "-u", "-i", "-C", "-n"]);
  for (const file of ["uid_map", "gid_map"]) writeFileSync(`/proc/${owned}/${file}`, "0 100000 65536");
});
afterAll(async () => {
  for (const holder of holders) {
    holder.kill("SIGKILL");
    await holder.exited;
  }
  bundle.dispose();
});

const fresh = (...types: Type[]) => types.map((type) => ({ type }));
const joined = (pid: number | "self", ...types: Type[]) =>
  types.map((type) => ({ type, path: `/proc/${pid}/ns/${FILES[type]}` }));

function run(
  script: string,
  namespaces: { type: string; path?: string }[],
  change?: (config: Config) => void,
): Result {
  return bundle.run(["sh", "-c", script], (config) => {
    config.linux.namespaces = namespaces;
    const entry = (wanted: string) => namespaces.find(({ type }) => type === wanted);
    const uts = entry("uts");
    if (uts === undefined || uts.path === "/proc/self/ns/uts") config.hostname = "";
    if (entry("user") !== undefined) {
      // These file systems take the rights over a network or ipc namespace, which the host's root has here.
      config.mounts = config.mounts.filter(({ type }) => !["mqueue", "sysfs", "cgroup"].includes(type ?? ""));
      if (entry("user")?.path === undefined) config.linux.uidMappings = config.linux.gidMappings = MAPS;
    }
    if (entry("mount")?.path !== undefined) {
      config.mounts = [];
      config.root.readonly = false;
      Object.assign(config.linux, { maskedPaths: [], readonlyPaths: [] });
    }
    change?.(config);
  });
}
/** What each of the container's namespaces is: `host`, `plain`, `owned` (the holders'), or `new`. */
function placed(namespaces: { type: string; path?: string }[]): Record<string, string> {
  const script = `for n in ${Object.values(FILES).join(" ")}; do readlink /proc/self/ns/$n; done`;
  const { code, out, err } = run(script, namespaces);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const seen = out.trim().split("\n");
  return Object.fromEntries(
    TYPES.map((type, at) => {
      const of = (pid: number | "self") => readlinkSync(`/proc/${pid}/ns/${FILES[type]}`) === seen[at];
      return [type, of("self") ? "host" : of(plain) ? "plain" : of(owned) ? "owned" : "new"];
    }),
  );
}
const all = (value: string, ...types: Type[]) => Object.fromEntries(types.map((type) => [type, value]));

describe("a container is in", () => {
  test("new ones, joined ones and the host's, as the config has them", () => {
    expect(placed([...fresh("mount", "pid"), ...joined(plain, "network", "uts", "time")])).toEqual({
      ...all("new", "mount", "pid"),
      ...all("plain", "network", "uts", "time"),
      ...all("host", "ipc", "user", "cgroup"),
    });
  });

  test("a joined cgroup, ipc and network namespace", () => {
    expect(placed([...joined(plain, "cgroup", "ipc", "network"), ...fresh("pid", "mount", "uts")])).toEqual({
      ...all("plain", "cgroup", "ipc", "network"),
      ...all("new", "mount", "pid", "uts"),
      ...all("host", "user", "time"),
    });
  });

  test("a joined user namespace, with those that belong to it", () => {
    expect(
      placed([...fresh("mount", "pid"), ...joined(owned, "network", "uts", "ipc", "user", "cgroup")]),
    ).toEqual({
      ...all("new", "mount", "pid"),
      ...all("owned", "network", "uts", "ipc", "user", "cgroup"),
      time: "host",
    });
  });

  test("a joined user namespace, with new ones and with one of the host's root", () => {
    expect(placed([...fresh("mount", "pid", "ipc", "time"), ...joined(owned, "user")])).toMatchObject({
      ...all("new", "mount", "pid", "ipc", "time"),
      user: "owned",
    });
    expect(
      placed([...fresh("mount", "pid"), ...joined(owned, "user"), ...joined(plain, "ipc")]),
    ).toMatchObject({
      ...all("new", "mount", "pid"),
      user: "owned",
      ipc: "plain",
    });
  });

  test("a new user namespace, with one of the host's root", () => {
    expect(placed([...fresh("user", "mount", "pid"), ...joined(plain, "network", "ipc")])).toMatchObject({
      ...all("new", "user", "mount", "pid"),
      ...all("plain", "network", "ipc"),
    });
  });

  test("the host's own by its path", () => {
    expect(
      placed([...fresh("mount"), ...joined("self", "network", "ipc", "uts", "pid", "cgroup", "time")]),
    ).toEqual({
      mount: "new",
      ...all("host", "network", "ipc", "uts", "pid", "cgroup", "time", "user"),
    });
  });
});

describe("a path is an error with its property", () => {
  test.each(TYPES.filter((type) => type !== "user"))("to a namespace that is no %s namespace", (type) => {
    const path = `/proc/${plain}/ns/user`;
    const others = fresh("mount", "pid").filter((ns) => ns.type !== type);
    const { code, err } = run("true", [...others, { type, path }]);
    expect(code).toBe(1);
    expect(err).toStartWith(
      `ctr-bun: linux.namespaces[${others.length}]: the file of a namespace of another type (${path})\n`,
    );
  });

  test("to a namespace that is no user namespace, to a plain file, and to nothing", () => {
    for (const [path, words] of [
      [`/proc/${plain}/ns/net`, "the file of a namespace of another type"],
      ["/etc/passwd", "not the file of a namespace"],
      ["/no/such/namespace", "cannot open /no/such/namespace: no such file or directory"],
    ]) {
      const { code, err } = run("true", [...fresh("mount", "pid"), { type: "user", path: path ?? "" }]);
      expect(code).toBe(1);
      expect(err).toContain(`linux.namespaces[2]: ${words}`);
    }
  });

  test("to ctr-bun's own user namespace", () => {
    expect(run("true", [...fresh("mount", "pid"), ...joined("self", "user")]).err).toContain(
      "linux.namespaces[2].path: the user namespace that ctr-bun is in already cannot be joined",
    );
  });
});

describe("the host is not changed through its own namespace's path", () => {
  test("by a sysctl or a name", () => {
    const hostname = runCommand(["hostname"]).out;
    const forward = runCommand(["cat", "/proc/sys/net/ipv4/ip_forward"]).out;
    const own = [...fresh("mount", "pid"), ...joined("self", "network", "uts")];
    expect(
      run("true", own, (config) => {
        Object.assign(config, { hostname: "" });
        Object.assign(config.linux, {
          sysctl: { "net.ipv4.ip_forward": forward.trim() === "1" ? "0" : "1" },
        });
      }).err,
    ).toContain('sysctl "net.ipv4.ip_forward" not allowed in host network namespace');
    expect(run("true", own, (config) => Object.assign(config, { hostname: "changed" })).err).toContain(
      "hostname: setting it without a uts namespace would change the host",
    );
    expect(runCommand(["hostname"]).out).toBe(hostname);
    expect(runCommand(["cat", "/proc/sys/net/ipv4/ip_forward"]).out).toBe(forward);
  });
});

describe("user namespaces", () => {
  test("are mapped by as many ranges as the kernel takes", () => {
    const maps = Array.from({ length: 340 }, (_, at) => ({
      containerID: at,
      hostID: 1000 + 2 * at,
      size: 1,
    }));
    const { code, out, err } = run(
      "wc -l < /proc/self/uid_map; id -u",
      fresh("mount", "pid", "user"),
      ({ linux, root }) => {
        linux.uidMappings = linux.gidMappings = maps;
        root.readonly = false;
        chownSync(bundle.rootfs, 1000, 1000);
      },
    );
    chownSync(bundle.rootfs, 100000, 100000);
    expect({ code, out, err }).toEqual({ code: 0, out: "340\n0\n", err: "" });
  });
});

describe("clocks", () => {
  const times = (script: string, timeOffsets: Record<string, { secs?: number; nanosecs?: number }>) =>
    run(script, fresh("mount", "pid", "time"), ({ linux }) => Object.assign(linux, { timeOffsets }));

  test("are ahead or behind by seconds and nanoseconds", () => {
    const { out } = times("tr -s ' ' < /proc/self/timens_offsets", {
      boottime: { secs: -1, nanosecs: 999_999_999 },
      monotonic: { secs: 4_000_000_000 },
    });
    expect(out).toBe("monotonic 4000000000 0\nboottime -1 999999999\n");
  });

  test("cannot be set before the start of the machine, nor to the end of time", () => {
    for (const secs of [-4_000_000_000, 9_000_000_000]) {
      const { code, err } = times("true", { boottime: { secs } });
      expect(code).toBe(1);
      expect(err).toContain("linux.timeOffsets: cannot set the clocks' offsets");
      expect(err).toContain("ERANGE");
      expect(err).toContain("neither below 0 nor more than 146 years ahead");
    }
  });
});

describe("an ipc namespace", () => {
  test("that is joined is shared with what is in it, and /dev/shm is the container's own mount", () => {
    const { out, code, err } = run(
      "cat /proc/sys/kernel/shmmax; mount | grep -c ' on /dev/shm '; ls /dev/shm",
      [...fresh("mount", "pid"), ...joined(plain, "ipc")],
      ({ linux }) => Object.assign(linux, { sysctl: { "kernel.shmmax": "4242", "fs.mqueue.msg_max": "7" } }),
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe("4242\n1\n");
    expect(runCommand(["nsenter", "-t", `${plain}`, "-i", "cat", "/proc/sys/kernel/shmmax"]).out).toBe(
      "4242\n",
    );
    expect(runCommand(["cat", "/proc/sys/kernel/shmmax"]).out).not.toBe("4242\n");
  });
});

test("a cgroup namespace that is joined shows its own root, and a new one the container's cgroup as /", () => {
  const script = "grep -c ':/$' /proc/self/cgroup; wc -l < /proc/self/cgroup";
  const [own, lines] = run(script, fresh("mount", "pid", "cgroup"))
    .out.trim()
    .split("\n");
  expect(own).toBe(`${lines}`);
  const through = run("grep pids /proc/self/cgroup", [...fresh("mount", "pid"), ...joined(plain, "cgroup")]);
  expect(through.out).toContain("/ctr-bun/");
});
