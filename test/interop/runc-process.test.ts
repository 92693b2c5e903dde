// What a process has that is the container's own and one that exec adds, under runc and under ctr-bun: identity, rights,
// limits, session, descriptors, environment, mounts with their propagation, devices, masks. Both run the same bundles,
// and lines that only one of them shows are explained below, or an error. What more configs come to for the container's
// own process is in runc.test.ts.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { runOnTerminal } from "../support/terminal.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  chmodSync(bundle.path, 0o755);
  writeFileSync(
    join(bundle.rootfs, "etc/passwd"),
    "root:x:0:0::/root:/bin/sh\nuser:x:1000:100::/home/user:/bin/sh\n",
  );
  for (const name of ["proc", "sys", "dev", "home"])
    mkdirSync(join(bundle.rootfs, name), { recursive: true });
  writeFileSync(join(bundle.rootfs, "bin/look"), LOOK, { mode: 0o755 });
});
afterAll(() => bundle.dispose());

/** Says everything in lines of `subject: what`. */
const LOOK = `#!/bin/sh
say() { while read -r line; do echo "$1: $line"; done; }
grep -E '^(Umask|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig(Blk|Ign|Cgt)|Cpus_allowed_list)' /proc/self/status | tr '\\t' ' ' | say status
id | say id; umask | say umask; tail -n +2 /proc/self/limits | say limits
for file in oom_score_adj personality timerslack_ns coredump_filter uid_map gid_map setgroups loginuid attr/current; do cat /proc/self/$file 2>&1 | tr -d '\\0' | say $file; done
tail -n +1 /proc/self/cgroup | cut -d: -f2- | say cgroup
read -r pid name state parent group session terminal rest </proc/$$/stat
[ $session = $pid ] && [ $group = $pid ] && echo "session: its own"; echo "terminal: $terminal"; echo "nice: $(echo $rest | cut -d' ' -f12)"
ls /proc/$$/fd >/dev/shm/$$; grep -v '^10$' /dev/shm/$$ | say descriptors
for fd in 0 1 2; do stat -L -c "$fd %F %u:%g" /proc/1/fd/$fd; done 2>&1 | say "streams of PID 1"
env | grep -v '^_=' | sort | say environment; pwd | say cwd; hostname | say hostname
for link in cwd root; do readlink /proc/$$/$link; done | say links
for name in user mnt pid net uts ipc cgroup time; do [ $(readlink /proc/self/ns/$name) = $(readlink /proc/1/ns/$name) ] && echo $name; done 2>&1 | say namespaces
cut -d' ' -f4- /proc/self/mountinfo | sed -E 's/:[0-9]+ / /g; s/,inode64//' | say mounts
stat -c '%n %F %a %u:%g %t:%T' /dev /dev/* /dev/pts/* /dev/shm | grep -v /dev/shm/ | say devices; for l in fd stdin stdout stderr ptmx core; do readlink /dev/$l; done | say devices
for file in /proc/acpi /proc/kcore /proc/keys /proc/timer_list /proc/scsi /sys/firmware; do [ -e $file ] && stat -c '%n %F' $file && { [ -d $file ] && ls $file || head -c 9 $file; } | wc -c; done 2>&1 | say masks
for file in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq /proc/bus /proc/fs /sys/kernel; do [ -w $file ] && echo "$file is writable"; done | say writable
for file in /new /dev/new /tmp/new /dev/shm/new; do touch $file 2>&1 && rm $file && echo "$file can be made"; done | say writable
ls -a / | say root
`;

interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
}

/** Lines that the container's own process and two of exec have shown: by flags, and of a whole process. */
function look({ name, command }: Runtime, change: (config: Config) => void): Record<string, string[]> {
  const id = freshID();
  bundle.configure(["sh", "-c", "look >/dev/shm/looked 2>&1; touch /dev/shm/done; sleep 100"], (config) => {
    config.linux.cgroupsPath = `/ctr-bun/${id}`;
    change(config);
  });
  const file = join(bundle.path, "process.json");
  const whole = {
    user: { uid: 1000, gid: 100, additionalGids: [7] },
    args: ["look"],
    env: ["PATH=/bin", "A=b", "A=c"],
    cwd: "/home",
    noNewPrivileges: true,
    capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 64, hard: 65 }],
    oomScoreAdj: 500,
  };
  writeFileSync(file, JSON.stringify(whole));
  const ask = (...args: string[]) => runCommand([...command, ...args]);
  const lines = (text: string) =>
    text
      .replaceAll(id, "ID")
      .split("\n")
      .map((line) => line.replace(/ +/g, " ").trim());
  const pidFile = join(bundle.path, "pid");
  const ran = ask("run", "--detach", "--pid-file", pidFile, "--bundle", bundle.path, id);
  expect({ name, ...ran }).toEqual({ name, code: 0, out: "", err: "" });
  try {
    const shm = `/proc/${readFileSync(pidFile, "utf8")}/root/dev/shm`;
    for (let tries = 0; tries < 500 && !existsSync(`${shm}/done`); tries++) Bun.sleepSync(20);
    const seen = {
      run: readFileSync(`${shm}/looked`, "utf8"),
      exec: ask("exec", "--user", "1000:100", "--env", "MORE=more", "--cwd", "/home", id, "look").out,
      whole: ask("exec", "--process", file, id).out,
    };
    return Object.fromEntries(Object.entries(seen).map(([who, text]) => [who, lines(text)]));
  } finally {
    ask("delete", "--force", id);
  }
}

/** What may differ, and why. */
const EXPLAINED: readonly (readonly [pattern: RegExp, why: string])[] = [
  [
    /^. mounts: \/ \S+ ro(,nosuid,nodev,noexec)?,relatime - tmpfs tmpfs (ro|rw,size=0k,nr_inodes=2,mode=755)(,uid=\d+,gid=\d+)?$/,
    "masked directories are covered by an empty tmpfs: ours takes no file, and has the stricter attributes",
  ],
  [
    /^. mounts: \/ \/sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs r[ow]$/,
    "read-only is the mount: the file system is the same for all, and must not be changed for them",
  ],
  [
    /^. mounts: \/ \/sys\/fs\/cgroup r[ow],nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755/,
    "the config says ro for the tmpfs that holds the hierarchies; runc leaves it writable",
  ],
  [
    /^. devices: \/dev\/mqueue directory 1777 0:(65534|0) 0:0$/,
    "in a user namespace runc makes the IPC namespace before it has become group 0",
  ],
  [
    /^(- limits: Max open files (\d+) \2|\+ limits: Max open files (64|100) (65|200)) files$/,
    "runc 1.1 lets Go raise the soft limit of what exec runs to the hard one",
  ],
  [/^(- oom_score_adj: (0|300)|\+ oom_score_adj: 500)$/, "runc 1.1 ignores oomScoreAdj in what exec runs"],
  [
    /^(- (status: Umask|umask): 0022|\+ (status: Umask|umask): 0027)$/,
    "runc gives what exec runs the container's umask since 1.2; 1.1 that of its caller",
  ],
];

/** Lines that only one has, with the marks of diff. */
function difference(theirs: readonly string[], ours: readonly string[]): string[] {
  const without = (from: readonly string[], taken: readonly string[]) => {
    const left = [...taken];
    return from.filter((line) => {
      const at = left.indexOf(line);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
  };
  const all = [
    ...without(theirs, ours).map((line) => `- ${line}`),
    ...without(ours, theirs).map((line) => `+ ${line}`),
  ];
  return all.filter((line) => !EXPLAINED.some(([pattern]) => pattern.test(line)));
}

const CASES: Record<string, (config: Config) => void> = {
  "as runc spec writes it, with a read-only root": () => undefined,
  "a user namespace, a writable root": ({ linux, root }) => {
    root.readonly = false;
    linux.namespaces.push({ type: "user" });
    linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  },
  "an ordinary user with everything set": ({ process, root }) => {
    root.readonly = false;
    process.user = { uid: 1000, gid: 100, additionalGids: [5, 7], umask: 0o27 } as never;
    process.cwd = "/home";
    process.oomScoreAdj = 300;
    process.env.push("HOME=/elsewhere");
    process.noNewPrivileges = false;
    process.rlimits = [
      { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
      { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    ];
  },
};

describe("processes have under ctr-bun what they have under runc", () => {
  for (const [name, change] of Object.entries(CASES)) {
    test(name, () => {
      const theirs = look({ name: "runc", command: ["runc", "--root", join(bundle.path, "runc")] }, change);
      const ours = look({ name: "ctr-bun", command: [CTR_BUN, "--root", bundle.state] }, change);
      for (const who of ["run", "exec", "whole"]) {
        // The last thing that is looked at was seen.
        expect(theirs[who]).toContain("root: proc");
        expect({ who, lines: difference(theirs[who] ?? [], ours[who] ?? []) }).toEqual({ who, lines: [] });
      }
    });
  }
});

describe("standard streams that are passed on to a container's user are handed over as by runc", () => {
  const show = 'for fd in 0 1 2; do stat -L -c "$fd %F %u" /proc/self/fd/$fd; done; echo shown';
  const asUser = ({ process }: Config) => {
    process.user = { uid: 1000, gid: 1000 };
  };
  const inUserNamespace = (config: Config) => {
    asUser(config);
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = config.linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  };
  const streams: Record<string, (command: string[]) => Promise<string>> = {
    // What Bun calls a pipe is a pair of unix sockets.
    sockets: async (command) => {
      const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
      return await new Response(child.stdout).text();
    },
    "a terminal": async (command) => {
      const terminal = runOnTerminal(command);
      try {
        await terminal.until("shown");
        return terminal.shown().replaceAll("\r", "");
      } finally {
        terminal.close();
      }
    },
  };
  for (const [kind, use] of Object.entries(streams)) {
    for (const change of [asUser, inUserNamespace]) {
      test(`${kind}, ${change.name}`, async () => {
        const seen: string[] = [];
        for (const command of [
          ["runc", "--root", join(bundle.path, "runc")],
          [CTR_BUN, "--root", bundle.state],
        ]) {
          const id = freshID();
          bundle.configure(["sh", "-c", show], change);
          seen.push(await use([...command, "run", "--detach", "--bundle", bundle.path, id]));
          runCommand([...command, "delete", "--force", id]);
        }
        expect(seen[0]).toMatch(/^0 (socket|character special file) \d+\n1 .*\n2 .*\nshown\n$/);
        expect(seen[1]).toBe(seen[0] ?? "");
      });
    }
  }
});
