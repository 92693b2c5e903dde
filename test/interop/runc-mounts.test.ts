// Hard cases of mounts, devices and masks: the same bundle under Debian's runc and under ctr-bun. Whether it runs, what
// the container sees, and what is left in the root file system must be the same, but for what is explained here.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
let template: string;
beforeAll(() => {
  bundle = makeBundle();
  template = join(bundle.path, "template");
  for (const name of ["proc", "sys", "dev", "real", "real/below"]) mkdirSync(join(bundle.rootfs, name));
  writeFileSync(join(bundle.rootfs, "real/file"), "of the root\n");
  writeFileSync(join(bundle.rootfs, "plain"), "plain\n");
  mkdirSync(join(bundle.path, "data/below"), { recursive: true });
  writeFileSync(join(bundle.path, "data/file"), "bound\n");
  runCommand(["mv", bundle.rootfs, template]);
});
afterAll(() => bundle.dispose());

type Links = Readonly<Record<string, string>>;

interface Case {
  /** Symbolic links to make in the root file system. */
  readonly links?: Links;
  /** Anything else to make there. */
  prepare?(rootfs: string): void;
  change?(config: Config): void;
  /** Paths to look at inside. */
  readonly look?: string;
  readonly script?: string;
  readonly flags?: string[];
}

const bind = (destination: string, source = "data", ...options: string[]) => ({
  destination,
  type: "bind",
  source,
  options: ["rbind", ...options],
});
const tmpfs = (destination: string, ...options: string[]) => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options: ["mode=755", "nr_inodes=50", ...options],
});
const mounts =
  (...list: Config["mounts"]) =>
  ({ mounts }: Config) => {
    mounts.push(...list);
  };
const devices =
  (...list: object[]) =>
  ({ linux }: Config) => {
    linux.devices = list;
  };

/** What there is below a directory: type, mode, and where links lead. */
function listing(directory: string, prefix = ""): string[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const path = join(directory, name);
      const status = lstatSync(path);
      const shown = `${prefix}/${name}`;
      if (shown === "/bin") return [];
      if (status.isSymbolicLink()) return [`${shown} -> ${readlinkSync(path)}`];
      const line = `${shown} ${(status.mode >>> 0).toString(8)} ${status.uid}:${status.gid} ${status.rdev}`;
      return status.isDirectory() ? [line, ...listing(path, shown)] : [line];
    });
}

interface Seen {
  readonly fails: boolean;
  readonly inside: string[];
  readonly made: string[];
  readonly err: string;
}

function look(command: string[], { links = {}, prepare, flags = [] }: Case): Seen {
  runCommand(["rm", "-rf", bundle.rootfs]);
  runCommand(["cp", "-al", template, bundle.rootfs]);
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(join(bundle.rootfs, dirname(path)), { recursive: true });
    symlinkSync(target, join(bundle.rootfs, path));
  }
  prepare?.(bundle.rootfs);
  const { code, out, err }: Result = runCommand([
    ...command,
    "run",
    ...flags,
    "--bundle",
    bundle.path,
    freshID(),
  ]);
  return { fails: code !== 0, inside: out.split("\n"), made: listing(bundle.rootfs), err };
}

function both(one: Case): { runc: Seen; ours: Seen } {
  const show = `
    cut -d' ' -f4- /proc/self/mountinfo | sed -E 's/ (shared|master|propagate_from):[0-9]+/ \\1/g; s/,inode64//'
    for path in ${one.look ?? ""}; do stat -c '%n %F %a %u:%g %t:%T' $path; cat $path/file 2>/dev/null || head -c 100 $path 2>/dev/null; done
    ${one.script ?? ""}
    true`;
  bundle.configure(["sh", "-c", show], (config) => {
    config.root.readonly = false;
    config.mounts = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=64k"] },
    ];
    Object.assign(config.linux, { maskedPaths: [], readonlyPaths: [], cgroupsPath: `/ctr-bun/${freshID()}` });
    one.change?.(config);
  });
  return {
    runc: look(["runc", "--root", join(bundle.path, "runc")], one),
    ours: look([CTR_BUN, "--root", bundle.state], one),
  };
}

const CASES: Record<string, Case> = {
  "a relative dangling link": { links: { a: "made/here" }, change: mounts(bind("/a")), look: "/made/here" },
  "an absolute dangling link": { links: { a: "/made/here" }, change: mounts(bind("/a")), look: "/made/here" },
  "a chain of dangling links": {
    links: { a: "b", b: "/c", c: "real/../made/d" },
    change: mounts(bind("/a/e")),
    look: "/made/d/e",
  },
  "a dangling link that leads up out of the root": {
    links: { a: "../../../made" },
    change: mounts(bind("/a")),
    look: "/made",
  },
  "a dangling link on the way": {
    links: { "real/on": "../made" },
    change: mounts(bind("/real/on/way")),
    look: "/made/way",
  },
  "a file at a dangling link": {
    links: { a: "made/file" },
    change: mounts(bind("/a", "data/file")),
    look: "/made/file",
  },
  "a link to a directory, and one to a file": {
    links: { a: "real", b: "/plain" },
    change: mounts(bind("/a"), bind("/b", "data/file")),
    look: "/real /plain",
  },
  "a link in a link's way up": {
    links: { a: "real/below/../../made" },
    change: mounts(bind("/a")),
    look: "/made",
  },
  "a loop of links": { links: { a: "b", b: "a" }, change: mounts(bind("/a")) },
  "`..` in destinations": {
    change: mounts(bind("/real/../made/x"), bind("/../../up"), tmpfs("/real/below/..")),
    look: "/made/x /up /real",
  },
  "`..` behind what is missing": { change: mounts(bind("/no/../made")), look: "/made" },
  "a destination without a slash": { change: mounts(bind("made/relative")), look: "/made/relative" },
  "dots and slashes": { change: mounts(bind("//real/.//below/")), look: "/real/below" },
  "a file on a file, one on a missing file": {
    change: mounts(bind("/plain", "data/file"), bind("/made/deep/file", "data/file")),
    look: "/plain /made/deep/file",
  },
  "a file on a directory": { change: mounts(bind("/real", "data/file")) },
  "a directory on a file": { change: mounts(bind("/plain")) },
  "a path through a file": { change: mounts(bind("/plain/below")) },
  "a device file on a missing file": { change: mounts(bind("/made/null", "/dev/null")), look: "/made/null" },
  "below an earlier mount": {
    change: mounts(bind("/real"), tmpfs("/real/below"), bind("/real/below/new"), bind("/real/made")),
    look: "/real /real/below /real/below/new /real/made",
  },
  "below a tmpfs whose directories are missing": {
    change: mounts(tmpfs("/run"), bind("/run/a/b"), bind("/run/a/c", "data/file")),
    look: "/run /run/a /run/a/b /run/a/c",
  },
  "over an earlier mount": { change: mounts(bind("/real"), tmpfs("/real"), bind("/real")), look: "/real" },
  "covered by a later mount above it": {
    change: mounts(bind("/real/below"), tmpfs("/real")),
    look: "/real /real/below",
  },
  "a link in an earlier mount": {
    prepare: () => {
      runCommand(["ln", "-sfn", "/made/by-link", join(bundle.path, "data/link")]);
    },
    change: mounts(bind("/real"), tmpfs("/real/link")),
    look: "/made/by-link",
  },
  "below a read-only bind mount": {
    change: mounts(bind("/real", "data", "ro"), tmpfs("/real/below"), tmpfs("/real/no")),
  },
  "on a directory that is there in a read-only bind mount": {
    change: mounts(bind("/real", "data", "ro"), tmpfs("/real/below")),
    look: "/real/below",
  },
  "below a read-only tmpfs": {
    change: mounts(tmpfs("/real", "ro"), bind("/real/x")),
    look: "/real/x",
    script: "touch /real/y",
  },
  "a source in an earlier mount": {
    change: (config) => mounts(bind("/real"), bind("/other", join(bundle.rootfs, "real/below")))(config),
    look: "/other",
  },
  "over what was mounted before, the root itself": {
    prepare: (rootfs) => {
      runCommand(["rm", "-rf", `${rootfs}/../other`]);
      runCommand(["cp", "-al", rootfs, `${rootfs}/../other`]);
      writeFileSync(join(rootfs, "../other/here"), "the other root\n");
    },
    change: (config) => {
      config.mounts.unshift(bind("/", "other", "nosuid"));
      mounts(bind("/made/it"), tmpfs("/tmp"))(config);
      config.root.readonly = true;
      config.linux.maskedPaths = ["/plain"];
    },
    look: "/ /made/it /plain /here",
    script: "touch /x || echo read-only",
  },
  "the root itself, with --no-pivot": {
    flags: ["--no-pivot"],
    prepare: (rootfs) => {
      runCommand(["rm", "-rf", `${rootfs}/../other`]);
      runCommand(["cp", "-al", rootfs, `${rootfs}/../other`]);
      writeFileSync(join(rootfs, "../other/here"), "the other root\n");
    },
    change: ({ mounts }) => {
      mounts.unshift(bind("/", "other"));
    },
    look: "/ /here",
  },
  "options of a bind mount, remounted": {
    change: mounts(bind("/real", "data", "ro", "nosuid", "nodev", "noexec", "noatime")),
    look: "/real",
    script: "touch /real/x",
  },
  "propagation of mounts": {
    change: mounts(
      bind("/a", "data", "shared"),
      bind("/b", "data", "rslave"),
      bind("/c", "data", "unbindable"),
      bind("/d", "data", "rprivate"),
      tmpfs("/e", "rshared"),
      tmpfs("/f"),
    ),
  },
  ...Object.fromEntries(
    ["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"].map(
      (propagation) => [
        `rootfsPropagation ${propagation}`,
        {
          change: (config: Config) => {
            config.linux.rootfsPropagation = propagation;
            mounts(bind("/a"), tmpfs("/b"))(config);
          },
        },
      ],
    ),
  ),
  "a read-only root with mounts below": {
    change: (config) => {
      config.root.readonly = true;
      mounts(bind("/made/a"), tmpfs("/b"), bind("/real", "data", "ro"))(config);
    },
    look: "/made/a /b /real",
    script: "for d in / /made /b /dev /real; do touch $d/x && echo $d writable; done",
  },
  "--no-pivot": {
    flags: ["--no-pivot"],
    change: mounts(bind("/real"), tmpfs("/made")),
    look: "/real /made / /..",
  },
  "devices of all types": {
    change: devices(
      { type: "c", path: "/dev/c", major: 1, minor: 3, fileMode: 0o640, uid: 3, gid: 4 },
      { type: "u", path: "/dev/u", major: 1, minor: 5 },
      { type: "b", path: "/dev/b", major: 7, minor: 300, fileMode: 0o4777 },
      { type: "p", path: "/dev/p", fileMode: 0o600, uid: 5 },
      { type: "c", path: "/elsewhere/deep/c", major: 1, minor: 7, fileMode: 0o666 },
    ),
    look: "/dev/c /dev/u /dev/b /elsewhere/deep/c",
    script: "stat -c '%n %F %a %u:%g' /dev/p",
  },
  "a default device with another owner and mode": {
    change: devices({ type: "c", path: "/dev/null", major: 1, minor: 3, fileMode: 0o600, uid: 3, gid: 4 }),
    script: "stat -c '%n %F %a %u:%g %t:%T' /dev/null",
  },
  "a default device's name with other numbers": {
    change: devices({ type: "c", path: "/dev/zero", major: 1, minor: 7, fileMode: 0o666 }),
    script: "stat -c '%n %F %a %u:%g %t:%T' /dev/zero",
  },
  "a device twice": {
    change: devices(
      { type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 0o600 },
      { type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 0o644, uid: 7 },
    ),
    script: "stat -c '%n %F %a %u:%g %t:%T' /dev/x",
  },
  "a device twice, with other numbers": {
    change: devices(
      { type: "c", path: "/dev/x", major: 1, minor: 3 },
      { type: "c", path: "/dev/x", major: 1, minor: 5 },
    ),
  },
  ...Object.fromEntries(
    (
      [
        ["the same device", "mknod x c 1 3"],
        ["the same device of another owner and mode", "mknod -m 600 x c 1 3; chown 5:6 x"],
        ["another device", "mknod x c 1 5"],
        ["a block device of those numbers", "mknod x b 1 3"],
        ["a regular file", "echo text > x"],
        ["a directory", "mkdir x"],
        ["a link to the same device", "mknod y c 1 3; ln -s y x"],
        ["a dangling link", "ln -s y x"],
        ["a fifo", "mkfifo x"],
      ] as const
    ).map(([name, script]) => [
      `a device where there is ${name}`,
      {
        prepare: (rootfs: string) => {
          runCommand(["sh", "-c", `cd ${rootfs}/dev; ${script}`]);
        },
        change: (config: Config) => {
          config.mounts.pop();
          devices({ type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 0o640, uid: 1, gid: 2 })(config);
        },
        script: "stat -c '%n %F %a %u:%g %t:%T' /dev/x",
      },
    ]),
  ),
  "/dev is the root's own, with nodes": {
    prepare: (rootfs) => {
      runCommand([
        "sh",
        "-c",
        `cd ${rootfs}/dev; mknod -m 600 null c 1 3; mknod zero c 1 5; ln -s else fd; echo > ptmx`,
      ]);
    },
    change: ({ mounts }) => {
      mounts.pop();
    },
    script: "stat -c '%n %F %a %u:%g %t:%T' /dev/*",
  },
  "a device in a directory of the host's keeps its owner": {
    prepare: (rootfs) => {
      runCommand(["sh", "-c", `cd ${rootfs}/..; mkdir -p nodes; rm -f nodes/*; mknod -m 640 nodes/x c 1 3`]);
    },
    change: (config) => {
      mounts(bind("/nodes", "nodes"))(config);
      devices({ type: "c", path: "/nodes/x", major: 1, minor: 3, fileMode: 0o666, uid: 7, gid: 8 })(config);
    },
    script: "stat -c '%n %F %a %u:%g %t:%T' /nodes/x",
  },
  "/dev is the root's own, with other files": {
    prepare: (rootfs) => {
      runCommand([
        "sh",
        "-c",
        `cd ${rootfs}/dev; mknod -m 600 null c 1 3; mknod zero c 1 5; echo > full; ln -s else fd; touch ptmx`,
      ]);
    },
    change: ({ mounts }) => {
      mounts.pop();
    },
    script: "stat -c '%n %F %a %u:%g %t:%T' /dev/*",
  },
  "/dev is a bind mount": {
    change: (config) => {
      config.mounts.pop();
      mounts(bind("/dev", "/dev"))(config);
      devices({ type: "c", path: "/dev/ctr-bun-test", major: 1, minor: 3 })(config);
    },
    script: "stat -c '%n %F %a %u:%g %t:%T' /dev/null /dev/ctr-bun-test",
  },
  "/dev is a link": {
    prepare: (rootfs) => {
      runCommand(["sh", "-c", `cd ${rootfs}; rmdir dev; ln -s made dev`]);
    },
    change: ({ mounts }) => {
      mounts.pop();
    },
  },
  "masked paths of every kind": {
    links: { "to-file": "plain", "to-directory": "/real/below", dangling: "nowhere", loop: "loop" },
    change: (config) => {
      config.linux.maskedPaths = ["/plain", "/real", "/real/below", "/missing", "/proc/sys", "/proc/kcore"];
    },
    look: "/plain /real /proc/sys",
    script: "ls -A /real /proc/sys; cat /plain | wc -c",
  },
  "masked links": {
    links: { "to-file": "plain", "to-directory": "/real/below", dangling: "nowhere" },
    change: (config) => {
      config.linux.maskedPaths = ["/to-file", "/to-directory", "/dangling"];
    },
    script: "ls -A /real/below; cat /plain | wc -c; readlink /to-file /to-directory /dangling",
  },
  "a masked loop of links": {
    links: { loop: "loop" },
    change: (config) => {
      config.linux.maskedPaths = ["/loop"];
    },
  },
  "a masked path through a file": {
    change: (config) => {
      config.linux.maskedPaths = ["/plain/below"];
    },
  },
  "read-only paths of every kind": {
    links: { "to-file": "plain", "to-directory": "/real/below", dangling: "nowhere" },
    change: (config) => {
      mounts(bind("/bound"), tmpfs("/bound/below"))(config);
      config.linux.readonlyPaths = [
        "/plain",
        "/real",
        "/real/below",
        "/missing",
        "/to-file",
        "/to-directory",
        "/dangling",
        "/bound",
        "/proc/sys",
      ];
    },
    script:
      "for f in /plain /real/x /real/below/x /bound/x /bound/below/x; do touch $f 2>/dev/null && echo $f writable; done; [ -w /proc/sys/kernel/hostname ] && echo sys",
  },
  "a read-only path through a file": {
    change: (config) => {
      config.linux.readonlyPaths = ["/plain/below"];
    },
  },
  "a read-only loop of links": {
    links: { loop: "loop" },
    change: (config) => {
      config.linux.readonlyPaths = ["/loop"];
    },
  },
  "masked and read-only at once": {
    change: (config) => {
      config.linux.maskedPaths = ["/real/below"];
      config.linux.readonlyPaths = ["/real", "/real/below"];
    },
    script: "ls -A /real/below; touch /real/x /real/below/x",
  },
  "masked and read-only mounts": {
    change: (config) => {
      mounts(bind("/a", "data"), tmpfs("/b"), bind("/c", "data/file"))(config);
      config.linux.maskedPaths = ["/a", "/c"];
      config.linux.readonlyPaths = ["/b"];
    },
    script: "ls -A /a; cat /c; touch /b/x",
  },
};

/** Why ctr-bun is another than runc, by the case; what is listed is what differs (- runc, + ours). */
const EXPLAINED: readonly (readonly [why: string, difference: RegExp, name?: RegExp])[] = [
  ["a file that is made to be covered need not be executable", /^[-+] made: \S+ 100(755|644) 0:0 0$/],
  [
    "masked directories are covered by an empty tmpfs: ours takes no file, and has the stricter attributes",
    /^[-+] \S+ \S+ ro,\S+ - tmpfs tmpfs r[ow]\S*$|^[-+] \S+ directory (1777|755) 0:0 0:0$/,
    /^masked/,
  ],
  [
    "runc makes paths read-only first: its mask covers a read-only mount, ours a mask",
    /^- \S+\/rootfs\/real\/below \/real\/below ro,/,
    /^masked and read-only at once$/,
  ],
  [
    "the root is what the property says; in runc it is private wherever the host's mount is",
    /^[-+] \S+\/rootfs \/ rw,\S+ (shared )?- /,
    /^rootfsPropagation r?shared$/,
  ],
  ["runc cannot bind a root that it has made unbindable", /./, /^rootfsPropagation r?unbindable$/],
  [
    "fileMode is taken whole: on a device the set-user-ID bit means nothing",
    /special file 4?777 0:0 7:12c$/,
    /^devices of all types$/,
  ],
  [
    "runc 1.1 must open the program's /dev/null itself",
    /./,
    /^a default device with another owner and mode$/,
  ],
  [
    "config-linux.md: a file that does not match the requested device is an error; runc leaves it as it is",
    /./,
    /^a device twice, with other numbers$|^a device where there is (another|a block|a regular|a directory|a link|a dangling|a fifo)|^\/dev is the root's own, with other files$/,
  ],
  [
    "/dev must be a directory of the root's: the image's link would lead device nodes elsewhere",
    /./,
    /^\/dev is a link$/,
  ],
  [
    "runc forgets the other options of what is mounted at / when it makes the root read-only",
    /\/other \/ ro,(nosuid,)?relatime - /,
    /^over what was mounted before, the root itself$/,
  ],
];

/** Lines that only one has, with the marks of diff; without what is explained. */
function unexplained(name: string, runc: Seen, ours: Seen): string[] {
  const lines = ({ fails, inside, made }: Seen) => [
    `fails: ${fails}`,
    ...inside,
    ...made.map((line) => `made: ${line}`),
  ];
  const only = (mark: string, some: string[], others: string[]) => {
    const left = [...others];
    return some.flatMap((line) => {
      const at = left.indexOf(line);
      if (at >= 0) left.splice(at, 1);
      return at >= 0 ? [] : [`${mark} ${line}`];
    });
  };
  const [theirs, mine] = [lines(runc), lines(ours)];
  return [...only("-", theirs, mine), ...only("+", mine, theirs)].filter(
    (line) => !EXPLAINED.some(([, what, where]) => what.test(line) && (where?.test(name) ?? true)),
  );
}

describe("as with runc", () => {
  for (const [name, one] of Object.entries(CASES)) {
    test(name, () => {
      const { runc, ours } = both(one);
      const left = unexplained(name, runc, ours);
      expect({ left, runc: left.length > 0 ? runc.err : "", ours: left.length > 0 ? ours.err : "" }).toEqual({
        left: [],
        runc: "",
        ours: "",
      });
    });
  }
});
