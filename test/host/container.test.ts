// What a container sees of the world and the world of it: namespaces, root, devices, identity, masks, descriptors.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle, runCommand } from "../support/bundle.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const sh = (script: string) => ["sh", "-c", script];

describe("namespaces", () => {
  test("are the container's own where the config asks for them, and the host's where not", () => {
    const own = (type: string) =>
      readFileSync("/proc/self/status", "utf8").length > 0 &&
      runCommand(["readlink", `/proc/self/ns/${type}`]).out;
    const { out } = bundle.run(
      sh("for n in pid net ipc uts mnt cgroup user time; do readlink /proc/self/ns/$n; done"),
    );
    const seen = out.split("\n");
    for (const [at, type] of ["pid", "net", "ipc", "uts", "mnt"].entries())
      expect(seen[at]).not.toBe(`${own(type)}`.trim());
    for (const [at, type] of ["cgroup", "user", "time"].entries())
      expect(seen[at + 5]).toBe(`${own(type)}`.trim());
  });

  test("all eight at once, with a user namespace that maps root", () => {
    const { code, out, err } = bundle.run(
      sh(
        "id -u; cat /proc/self/uid_map | tr -s ' '; hostname; cat /proc/sys/kernel/domainname; cat /proc/self/timens_offsets | tr -s ' '; ls /dev; ip link",
      ),
      (config) => {
        const { linux, root } = config;
        config.domainname = "example.org";
        linux.namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time"].map(
          (type) => ({ type }),
        );
        linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
        linux.timeOffsets = { monotonic: { secs: 1000 }, boottime: { secs: 2000 } };
        root.readonly = true;
      },
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = out.split("\n");
    expect(lines[0]).toBe("0");
    expect(lines[1]?.trim()).toBe("0 100000 65536");
    expect(lines.slice(2, 4)).toEqual(["container", "example.org"]);
    expect(out).toContain("monotonic 1000 0");
    expect(out).toContain("boottime 2000 0");
    expect(out).toContain("null");
    expect(out).toContain("LOOPBACK,UP");
  });

  test("a user namespace works where a parent of the root file system is closed to it", () => {
    const closed = makeBundle();
    try {
      chmodSync(closed.path, 0o700);
      chownSync(closed.rootfs, 100000, 100000);
      const { code, out, err } = closed.run(
        sh("id -u; touch /made && ls /made; echo x > /dev/null && echo null"),
        ({ linux, root }) => {
          linux.namespaces.push({ type: "user" });
          linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
          root.readonly = false;
        },
      );
      expect({ code, out, err }).toEqual({ code: 0, out: "0\n/made\nnull\n", err: "" });
      expect(lstatSync(join(closed.rootfs, "made")).uid).toBe(100000);
    } finally {
      closed.dispose();
    }
  });

  test("a network namespace is joined by its path", () => {
    const name = `ctr-bun-${process.pid}`;
    runCommand(["ip", "netns", "add", name]);
    try {
      const inode = runCommand(["stat", "-c", "%i", "-L", `/run/netns/${name}`]).out.trim();
      const { out } = bundle.run(sh("readlink /proc/self/ns/net"), ({ linux }) => {
        linux.namespaces = linux.namespaces.map((ns) =>
          ns.type === "network" ? { ...ns, path: `/run/netns/${name}` } : ns,
        );
      });
      expect(out).toBe(`net:[${inode}]\n`);
    } finally {
      runCommand(["ip", "netns", "del", name]);
    }
  });

  test("one that does not exist, or is of another type, is an error with its field", () => {
    for (const [path, words] of [
      [
        "/run/netns/nowhere",
        "linux.namespaces[1]: cannot open /run/netns/nowhere: no such file or directory",
      ],
      [
        "/proc/self/ns/uts",
        "linux.namespaces[1]: the file of a namespace of another type (/proc/self/ns/uts)",
      ],
    ]) {
      const { code, err } = bundle.run(["true"], ({ linux }) => {
        linux.namespaces = linux.namespaces.map((ns) =>
          ns.type === "network" ? { ...ns, path: path ?? "" } : ns,
        );
      });
      expect(code).toBe(1);
      expect(err).toContain(words ?? "");
    }
  });
});

describe("root and mounts", () => {
  test("the root is read-only where asked for, /proc/sys is, and masked paths are empty", () => {
    const { out } = bundle.run(
      sh(
        "touch /x 2>&1; touch /proc/sys/kernel/hostname 2>&1; cat /proc/keys | wc -c; ls /sys/firmware | wc -l; ls -l /proc/1/exe | tr -d '\\n' | grep -c ctr-bun",
      ),
    );
    expect(out.split("\n").map((line) => line.trim())).toEqual([
      "touch: /x: Read-only file system",
      "touch: /proc/sys/kernel/hostname: Read-only file system",
      "0",
      "0",
      "0",
      "",
    ]);
  });

  test("binds keep to their options, relative sources are the bundle's, files land on files", () => {
    mkdirSync(join(bundle.path, "data"), { recursive: true });
    writeFileSync(join(bundle.path, "data/file"), "content\n");
    const { out, err } = bundle.run(
      sh(
        "cat /data/file /etc/one; touch /data/x; echo more > /rw/new; grep -c noexec /proc/mounts >/dev/null && grep ' /data ' /proc/mounts | tr ' ' '\\n' | grep -c noexec",
      ),
      (config) => {
        config.root.readonly = false;
        config.mounts.push(
          { destination: "/data", type: "bind", source: "data", options: ["bind", "ro", "noexec"] },
          {
            destination: "/etc/one",
            type: "bind",
            source: join(bundle.path, "data/file"),
            options: ["bind"],
          },
          {
            destination: "/rw",
            type: "bind",
            source: join(bundle.path, "data"),
            options: ["rbind", "rprivate"],
          },
        );
      },
    );
    expect(out).toBe("content\ncontent\n1\n");
    expect(err).toContain("touch: /data/x: Read-only file system");
    expect(readFileSync(join(bundle.path, "data/new"), "utf8")).toBe("more\n");
  });

  test("a destination is followed through links inside the root, dangling ones too, and never outside", () => {
    const other = makeBundle();
    try {
      mkdirSync(join(other.rootfs, "run"));
      mkdirSync(join(other.rootfs, "var"));
      symlinkSync("/run", join(other.rootfs, "var/run"));
      symlinkSync("../run/resolve/stub.conf", join(other.rootfs, "etc/resolv.conf"));
      symlinkSync("../../../../../../etc", join(other.rootfs, "outside"));
      writeFileSync(join(other.path, "conf"), "nameserver\n");
      const before = readdirSync("/etc").length;
      const { code, out, err } = other.run(
        sh("cat /run/resolve/stub.conf; cat /etc/deep/conf; ls /run/below"),
        (config) => {
          config.root.readonly = false;
          config.mounts.push(
            { destination: "/etc/resolv.conf", type: "bind", source: "conf", options: ["bind"] },
            { destination: "/outside/deep/conf", type: "bind", source: "conf", options: ["bind"] },
            { destination: "/var/run/below", type: "tmpfs", source: "tmpfs" },
          );
        },
      );
      expect({ code, out, err }).toEqual({ code: 0, out: "nameserver\nnameserver\n", err: "" });
      expect(readdirSync("/etc").length).toBe(before);
    } finally {
      other.dispose();
    }
  });

  test("/proc and /dev as links in the root file system are refused, and nothing is made outside", () => {
    for (const name of ["proc", "dev"]) {
      const other = makeBundle();
      try {
        const target = join(other.path, "target");
        mkdirSync(target);
        symlinkSync(target, join(other.rootfs, name));
        const { code, err } = other.run(["true"], (config) => {
          config.mounts = config.mounts.filter(
            ({ destination }) => destination === "/proc" && name === "proc",
          );
          config.linux.maskedPaths = config.linux.readonlyPaths = [];
        });
        expect(code).toBe(1);
        expect(err).toContain("symbolic link");
        expect(readdirSync(target)).toEqual([]);
      } finally {
        other.dispose();
      }
    }
  });

  test("nothing may be mounted below /proc but what leads to no process", () => {
    const { code, err } = bundle.run(["true"], (config) => {
      config.mounts.push({ destination: "/proc/self/attr", type: "tmpfs", source: "tmpfs" });
    });
    expect(code).toBe(1);
    expect(err).toContain("mounts[7].destination: /proc/self/attr lies in /proc");
  });

  test("over /proc itself only a procfs is bound", () => {
    const bindProc = (source: string) =>
      bundle.run(["true"], (config) => {
        config.mounts[0] = { destination: "/proc", type: "bind", source, options: ["rbind"] };
        config.linux.maskedPaths = config.linux.readonlyPaths = [];
      });
    expect(bindProc("/tmp").err).toContain(
      "mounts[0].source: /proc must be the kernel's own, and /tmp is no procfs",
    );
    expect(bindProc("/proc").code).toBe(0);
  });

  test("mounts do not spread to the host", () => {
    const before = readFileSync("/proc/self/mountinfo", "utf8");
    bundle.run(["true"]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before);
  });
});

describe("identity", () => {
  test("user, groups, umask, capabilities, limits, no_new_privs", () => {
    const { out } = bundle.run(
      sh(
        "id; umask; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status | tr -s '\\t ' ' '; ulimit -n; cat /proc/self/oom_score_adj; pwd",
      ),
      ({ process }) => {
        process.user = { uid: 1000, gid: 100, additionalGids: [7, 8], umask: 0o27 } as never;
        process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 123, hard: 456 }];
        process.capabilities = {
          bounding: ["CAP_KILL", "CAP_CHOWN"],
          permitted: ["CAP_KILL"],
          inheritable: ["CAP_KILL"],
          effective: ["CAP_KILL"],
          ambient: ["CAP_KILL"],
        };
        process.oomScoreAdj = 321;
        process.cwd = "/made/for/me";
      },
    );
    expect(out).toContain("uid=1000 gid=100 groups=7,8\n0027\n");
    expect(out).toContain(
      "CapInh: 0000000000000020\nCapPrm: 0000000000000020\nCapEff: 0000000000000020\nCapBnd: 0000000000000021\nCapAmb: 0000000000000020\nNoNewPrivs: 1\n",
    );
    expect(out).toContain("123\n321\n/made/for/me\n");
  });

  test("without no_new_privs a filter still holds, and one that the init could not live under is refused", () => {
    const seccomp = (names: string[]) => ({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names, action: "SCMP_ACT_ERRNO", errnoRet: 38 }],
    });
    const held = bundle.run(
      sh("mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status | tr '\\t' ' '"),
      ({ process, linux }) => {
        process.noNewPrivileges = false;
        linux.seccomp = seccomp(["mkdir", "mkdirat"]);
      },
    );
    expect(held.out).toBe("mkdir: can't create directory '/tmp/x': Function not implemented\nSeccomp: 2\n");
    const refused = bundle.run(["true"], ({ process, linux }) => {
      process.noNewPrivileges = false;
      linux.seccomp = seccomp(["setresuid", "capset"]);
    });
    expect(refused.code).toBe(1);
    expect(refused.err).toContain(
      "linux.seccomp: the profile forbids what the container's init has yet to do: ",
    );
  });
});

describe("what the container must not have", () => {
  test("descriptors above 2, or a way to ctr-bun through /proc", () => {
    const { out } = bundle.run(
      sh(
        "ls /proc/self/fd | tr '\\n' ' '; cat /proc/1/maps | grep -c -e ctr-bun -e memfd; readlink /proc/1/exe; cat /proc/1/environ | tr '\\0' '\\n' | grep -c -i bun",
      ),
    );
    expect(out).toBe("0 1 2 3 0\n/bin/busybox\n0\n");
  });

  test("a working directory outside of its root", () => {
    for (let fd = 3; fd < 12; fd++) {
      const { code, err } = bundle.run(["true"], ({ process }) => {
        process.cwd = `/proc/self/fd/${fd}`;
      });
      expect(code).not.toBe(0);
      expect(err).toContain("process.cwd");
    }
  });
});

test("a memory limit of 512 KiB lets a static program start", () => {
  const { code, out, err } = bundle.run(["echo", "small"], ({ linux }) => {
    linux.resources.memory = { limit: 524288 };
  });
  expect({ code, out, err }).toEqual({ code: 0, out: "small\n", err: "" });
});

test("descriptors are passed on where asked for", () => {
  bundle.configure(sh("cat <&3"));
  const command = `echo through | { exec 3<&0; exec "$0" "$@"; }`;
  const { code, out } = runCommand([
    "sh",
    "-c",
    command,
    `${import.meta.dir}/../../dist/ctr-bun`,
    "--root",
    bundle.state,
    "run",
    "--preserve-fds",
    "1",
    "--bundle",
    bundle.path,
    freshID(),
  ]);
  expect({ code, out }).toEqual({ code: 0, out: "through\n" });
});
