// The same bundle under runc and under ctr-bun: what the container sees must be the same, apart from the differences
// that are listed here with their reasons; so must exit codes and the JSON that engines read.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  // For the root of a user namespace.
  chmodSync(bundle.path, 0o755);
  mkdirSync(join(bundle.path, "data/below"), { recursive: true });
  writeFileSync(join(bundle.path, "data/file"), "content\n");
  writeFileSync(
    join(bundle.rootfs, "etc/passwd"),
    "root:x:0:0::/root:/bin/sh\nuser:x:1000:100::/home/user:/bin/sh\nempty:x:3:3::\n",
  );
  // runc makes the mount points that it needs in the root file system: there are none to make.
  for (const name of ["proc", "sys", "dev", "data", "shared", "scratch"])
    mkdirSync(join(bundle.rootfs, name), { recursive: true });
});
afterAll(() => bundle.dispose());

/** Everything that a container sees of itself, in sections; whatever is random or a matter of time is left out. */
const LOOK = `
echo "== status"; grep -E '^(Name|Umask|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Sig(Q|Blk|Ign)|Cpus_allowed_list)' /proc/self/status | grep -v SigQ
echo "== mounts"; cut -d' ' -f4- /proc/self/mountinfo | sed -E 's/ (shared|master|propagate_from):[0-9]+//g; s/,inode64//; s/(upperdir|lowerdir|workdir)=[^,]*//g' | sort -k2
echo "== devices"; stat -c '%n %F %a %u:%g %t:%T' /dev /dev/* /dev/pts/* /dev/shm /dev/mqueue; for l in fd stdin stdout stderr ptmx core; do readlink /dev/$l; done
echo "== root"; ls -1a / /proc/1/ns; stat -c '%n %a %u:%g' / /tmp /etc
echo "== id"; id
echo "== limits"; cat /proc/self/limits
echo "== cgroup"; cat /proc/self/cgroup | cut -d: -f2- | sort; ls /sys/fs/cgroup
echo "== environment"; env | sort
echo "== names"; hostname; pwd; umask; cat /proc/1/comm /proc/1/cmdline | tr '\\0' ' '; echo; for l in exe cwd root; do readlink /proc/1/$l; done
echo "== session"; set -- $(cat /proc/$$/stat); [ $5 = $6 ] && [ $6 = $1 ] && echo leads its session; echo terminal $7; cat /proc/self/sessionid; echo
echo "== masks"; for f in $MASKED; do stat -c '%n %F %a' $f; [ -d $f ] && ls $f | wc -l || head -c 100 $f | wc -c; done
echo "== read-only"; for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/mm /x /dev/x; do [ -e $f ] && { [ -w $f ] && echo $f writable || echo $f not writable; }; touch $f && rm -f $f; done
echo "== kernel"; for f in oom_score_adj personality timerslack_ns coredump_filter uid_map gid_map setgroups loginuid; do echo $f $(cat /proc/self/$f); done; for f in net/ipv4/ip_unprivileged_port_start kernel/shm_rmid_forced; do cat /proc/sys/$f; done
echo "== descriptors"; ls -1 /proc/$$/fd; for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done
echo "== network"; ip link | grep -o 'lo: <.*>'
`;

interface Both {
  readonly runc: Result;
  readonly ours: Result;
}

function both(args: string[], change: (config: Config) => void = () => undefined): Both {
  const id = freshID();
  bundle.configure(args, (config) => {
    config.linux.cgroupsPath = `/ctr-bun/${id}`;
    change(config);
  });
  const run = (command: string[]) => runCommand([...command, "run", "--bundle", bundle.path, id]);
  return {
    runc: run(["runc", "--root", join(bundle.path, "runc")]),
    ours: run([CTR_BUN, "--root", bundle.state]),
  };
}

/** Lines with their section before them; what the shell complains of belongs to what it does not see. */
function lines({ out, err }: Result): string[] {
  let section = "";
  const all: string[] = [];
  for (const line of out.split("\n")) {
    if (line.startsWith("== ")) section = line.slice(3);
    else if (line !== "") all.push(`${section}: ${line.replace(/[ \t]+/g, " ").trim()}`);
  }
  for (const line of err.split("\n")) if (line !== "") all.push(`error: ${line}`);
  return all;
}

/** Lines that only one of them has, with the marks of diff. */
function difference({ runc, ours }: Both): string[] {
  const [theirs, mine] = [lines(runc), lines(ours)];
  const without = (from: string[], taken: string[]) => {
    const left = [...taken];
    return from.filter((line) => {
      const at = left.indexOf(line);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
  };
  return [
    ...without(theirs, mine).map((line) => `- ${line}`),
    ...without(mine, theirs).map((line) => `+ ${line}`),
  ];
}

/** What may differ, and why. */
const EXPLAINED: readonly (readonly [pattern: RegExp, why: string])[] = [
  [
    /^. mounts: .* (ro|ro,nosuid,nodev,noexec),relatime - tmpfs tmpfs (ro|rw,size=0k,nr_inodes=2,mode=755)(,uid=\d+,gid=\d+)?$/,
    "masked directories are covered by an empty tmpfs: ours takes no file, and has the stricter attributes",
  ],
  [/^. masks: \S+ directory (1777|755)$/, "the mode of that tmpfs"],
  [/^. root: \/etc (1777|755) 0:0$/, "the mode of that tmpfs, where /etc is masked"],
  [
    /^. mounts: \/ \/sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs r[ow]$/,
    "read-only is the mount: the file system is the same for all, and must not be changed for them",
  ],
  [
    /^. mounts: \/ \/sys\/fs\/cgroup r[ow],nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755/,
    "the config says ro for the tmpfs that holds the hierarchies; runc leaves it writable",
  ],
  [
    /^. mounts: \/ \/sys\/fs\/cgroup\/systemd .* - cgroup (systemd|cgroup) rw,name=systemd$/,
    "the source's name, which means nothing",
  ],
  [
    /^. descriptors: (pipe:\[\d+\]|\/dev\/null|\/tmp\/.*\/(out|err))$/,
    "runc copies what the program says through pipes; ctr-bun passes its own descriptors on",
  ],
  [
    /^. mounts: \/ \/tmp rw,noexec,nodiratime,relatime - tmpfs tmpfs rw(,mode=755)?$/,
    "the mode of what a tmpfs covers: runc sets it afterwards, ctr-bun as an option",
  ],
  [/^. environment: HOME=(\/|\/root)$/, "where /etc is masked: runc looks its passwd up behind the mask"],
  [
    /^. devices: \/dev\/mqueue directory 1777 0:(65534|0) 0:0$/,
    "in a user namespace runc makes the IPC namespace before it has become group 0",
  ],
];

function unexplained(seen: Both): string[] {
  return difference(seen).filter((line) => !EXPLAINED.some(([pattern]) => pattern.test(line)));
}

const identity = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const full = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_RAW", "CAP_MKNOD"];

const CASES: Record<string, (config: Config) => void> = {
  "as runc spec writes it": () => undefined,
  "an ordinary user with groups and a umask": ({ process }) => {
    process.user = { uid: 1000, gid: 100, additionalGids: [5, 7], umask: 0o27 } as never;
    process.cwd = "/tmp";
  },
  "capabilities in all five sets": ({ process }) => {
    process.user = { uid: 1000, gid: 1000 };
    process.capabilities = {
      bounding: full,
      permitted: full,
      effective: full,
      inheritable: ["CAP_KILL", "CAP_NET_RAW"],
      ambient: ["CAP_KILL", "CAP_NET_RAW"],
    };
    process.noNewPrivileges = false;
  },
  "no capabilities named, and a writable root": ({ process, root }) => {
    process.capabilities = {};
    root.readonly = false;
  },
  "limits, oom_score_adj, sysctls": ({ process, linux }) => {
    process.rlimits = [
      { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
      { type: "RLIMIT_CORE", soft: 0, hard: 0 },
      { type: "RLIMIT_STACK", soft: 1048576, hard: 2097152 },
    ];
    process.oomScoreAdj = 100;
    linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "7", "kernel.shm_rmid_forced": "1" };
  },
  "mounts with every kind of option": ({ mounts }) => {
    mounts.push(
      {
        destination: "/data",
        type: "bind",
        source: "data",
        options: ["rbind", "ro", "nosuid", "nodev", "noexec"],
      },
      { destination: "/shared", type: "bind", source: "data", options: ["bind", "rshared", "noatime"] },
      {
        destination: "/scratch",
        type: "tmpfs",
        source: "scratch",
        options: ["nosuid", "strictatime", "mode=1770", "size=1m", "nr_inodes=100", "uid=3", "gid=4"],
      },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["relatime", "nodiratime", "noexec"] },
    );
  },
  "devices, allowed and owned": ({ linux }) => {
    linux.devices = [
      { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o640, uid: 3, gid: 4 },
      { path: "/dev/deep/er", type: "b", major: 7, minor: 0, fileMode: 0o600 },
      { path: "/dev/fifo", type: "p", fileMode: 0o622 },
    ];
  },
  "other masked and read-only paths": ({ linux }) => {
    linux.maskedPaths = ["/etc", "/proc/version", "/nowhere"];
    linux.readonlyPaths = ["/tmp", "/proc/sys/kernel", "/nowhere/else"];
  },
  "a user namespace": ({ linux }) => {
    linux.namespaces.push({ type: "user" });
    linux.uidMappings = linux.gidMappings = identity;
  },
  "a user without a home": ({ process }) => {
    process.user = { uid: 4, gid: 4 };
    process.env.push("HOME=");
  },
  "a home of the config's own": ({ process }) => {
    process.env.push("HOME=/elsewhere");
  },
  "a cgroup namespace": ({ linux }) => {
    linux.namespaces.push({ type: "cgroup" });
  },
  "the host's network, processes, names and memory": (config) => {
    config.linux.namespaces = [{ type: "mount" }];
    config.hostname = "";
    config.mounts = config.mounts.filter(({ type }) => type !== "sysfs" && type !== "mqueue");
  },
  "a seccomp filter": ({ linux, process }) => {
    process.noNewPrivileges = false;
    linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [{ names: ["chmod", "fchmodat"], action: "SCMP_ACT_ERRNO" }],
    };
  },
};

describe("what a container sees", () => {
  for (const [name, change] of Object.entries(CASES)) {
    test(name, () => {
      const seen = both(["sh", "-c", LOOK], (config) => {
        change(config);
        config.process.env.push(`MASKED=${config.linux.maskedPaths.join(" ")}`);
      });
      expect(seen.runc.out).toContain("== network");
      expect(unexplained(seen)).toEqual([]);
      expect(seen.ours.code).toBe(seen.runc.code);
    });
  }
});

describe("what engines read", () => {
  const runtimes = () => ({
    runc: ["runc", "--root", join(bundle.path, "runc")],
    ours: [CTR_BUN, "--root", bundle.state],
  });

  test("exit codes are the same", () => {
    const code = (args: string[], change?: (config: Config) => void) => {
      const { runc, ours } = both(args, change);
      return [runc.code, ours.code];
    };
    expect(code(["sh", "-c", "exit 42"])).toEqual([42, 42]);
    const hostPids = ({ linux }: Config) => {
      linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
    };
    expect(code(["sh", "-c", "kill -TERM $$; sleep 9"], hostPids)).toEqual([143, 143]);
    // runc 1.1 ends with 1 here; ctr-bun with what shells and engines give.
    expect(code(["nowhere"])).toEqual([1, 127]);
    expect(code(["/etc"])).toEqual([1, 126]);
    const bad = ({ mounts }: Config) => {
      mounts.push({ destination: "/data", type: "bind", source: "/nowhere", options: ["bind"] });
    };
    expect(code(["true"], bad)).toEqual([1, 1]);
  });

  test("state and list have the same fields with the same meanings", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"], (config) => {
      config.annotations = { key: "value" };
      config.linux.cgroupsPath = `/ctr-bun/${id}`;
    });
    const seen = Object.entries(runtimes()).map(([name, command]) => {
      const ask = (...args: string[]) => runCommand([...command, ...args]);
      const json = (...args: string[]) => JSON.parse(ask(...args).out);
      const empty = ask("list", "--format", "json").out.trim();
      const table = ask("list").out;
      expect(ask("create", "--bundle", bundle.path, id)).toEqual({ code: 0, out: "", err: "" });
      try {
        const created = [json("state", id), ...json("list", "--format", "json")];
        ask("start", id);
        const running = [json("state", id), ...json("list", "-f", "json")];
        ask("kill", id, "KILL");
        for (let tries = 0; tries < 100 && json("state", id).status !== "stopped"; tries++) Bun.sleepSync(20);
        const all = [...created, ...running, json("state", id)];
        for (const { pid, status } of all)
          expect({ name, none: pid === 0 }).toEqual({ name, none: status === "stopped" });
        for (const { created } of all)
          expect(new Date(created).getTime()).toBeGreaterThan(Date.now() - 60_000);
        // runc leaves the owner empty in `state`, and has it in `list`; ctr-bun has it in both.
        for (const each of all) each.owner = each.owner === "" ? "root" : each.owner;
        const shown = all.map((each) => ({ ...each, pid: typeof each.pid, created: "", ociVersion: "" }));
        return { empty, table, shown, keys: all.map((each) => Object.keys(each).sort()) };
      } finally {
        ask("delete", "--force", id);
      }
    });
    expect(seen[1]).toEqual(seen[0] as never);
  });

  test("the words for an unknown container, a second start, a delete of a running one", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    const said = Object.values(runtimes()).map((command) => {
      const ask = (...args: string[]) => {
        const { code, err } = runCommand([...command, "--log-format", "json", ...args]);
        const { level, msg } = JSON.parse(err.trim().split("\n").at(-1) ?? "null");
        return { code, level, msg: msg as string };
      };
      const unknown = ["state", "start", "kill", "delete"].map((verb) => ask(verb, id));
      runCommand([...command, "run", "--detach", "--bundle", bundle.path, id]);
      try {
        const more = [ask("start", id), ask("delete", id), ask("create", "--bundle", bundle.path, id)];
        return [...unknown, ...more];
      } finally {
        runCommand([...command, "delete", "--force", id]);
      }
    });
    const [theirs = [], ours = []] = said;
    ours.forEach(({ code, level, msg }, index) => {
      expect({ code, level }).toEqual({ code: theirs[index]?.code ?? -1, level: "error" });
      // runc's text for these, which engines look for.
      const words =
        /container does not exist|already running container|is not stopped: running|given ID already exists/;
      expect(words.exec(msg)?.[0]).toBe(words.exec(theirs[index]?.msg ?? "")?.[0] as never);
    });
  });
});
