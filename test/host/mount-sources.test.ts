// Sources of bind mounts that the container's init may not take by itself: ID-mapped ones, and those that a user namespace
// may not reach. Seen from inside, and on the host.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Bundle, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { makePlaces, makeSource, sh, withCapabilities, withUser } from "../support/mounts.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  chmodSync(bundle.path, 0o755);
  makePlaces(bundle, "bound");
});
afterAll(() => bundle.dispose());

describe("ID-mapped mounts", () => {
  const list = "stat -c '%u:%g' /bound/file; touch /bound/new && stat -c '%u:%g' /bound/new";
  const run = (script: string, mount: object, change?: (config: Config) => void) => {
    const source = makeSource(bundle, "mapped");
    const { code, out, err } = bundle.run(sh(script), (config) => {
      config.mounts.push({ destination: "/bound", type: "bind", source, ...mount });
      change?.(config);
    });
    const { uid, gid } = lstatSync(join(source, "new"), { throwIfNoEntry: false }) ?? {};
    rmSync(source, { recursive: true });
    return { code, lines: out.trim().split("\n"), err, made: `${uid}:${gid}` };
  };
  const maps = (uid: number, gid: number, size = 65_536) => ({
    uidMappings: [{ containerID: 0, hostID: uid, size }],
    gidMappings: [{ containerID: 0, hostID: gid, size }],
  });

  test("with the container's own mappings: root's files are root's inside, and stay root's outside", () => {
    expect(run(list, { options: ["bind", "idmap"] }, withUser)).toEqual({
      code: 0,
      lines: ["0:0", "0:0"],
      err: "",
      made: "0:0",
    });
  });

  test("with mappings of the mount, in a user namespace", () => {
    const { lines } = run(
      "stat -c '%u:%g' /bound/file",
      { options: ["bind", "idmap"], ...maps(100_005, 100_006) },
      withUser,
    );
    expect(lines).toEqual(["5:6"]);
  });

  test("with mappings of the mount, without a user namespace, and without the option", () => {
    for (const options of [["bind", "idmap"], ["rbind", "ridmap"], ["bind"]]) {
      const { lines, err } = run("stat -c '%u:%g' /bound/file", { options, ...maps(7, 8) });
      expect({ lines, err }).toEqual({ lines: ["7:8"], err: "" });
    }
  });

  test("in a user namespace that is joined", () => {
    const holder = Bun.spawn(["unshare", "-U", "sleep", "100"]);
    try {
      const file = (name: string) => `/proc/${holder.pid}/${name}`;
      const user = () => runCommand(["readlink", file("ns/user")]).out;
      while (user() === runCommand(["readlink", "/proc/self/ns/user"]).out) Bun.sleepSync(10);
      writeFileSync(file("uid_map"), "0 200000 1000");
      writeFileSync(file("gid_map"), "0 200000 1000");
      const { lines, err } = run(
        "cat /proc/self/uid_map | tr -s ' '; stat -c '%u:%g' /bound/file",
        { options: ["bind", "idmap"] },
        ({ linux }) => {
          linux.namespaces.push({ type: "user", path: file("ns/user") });
        },
      );
      expect({ lines, err }).toEqual({ lines: ["0 200000 1000", "0:0"], err: "" });
    } finally {
      holder.kill();
    }
  });

  test("ridmap maps what is mounted below, idmap does not", () => {
    const source = makeSource(bundle, "mapped");
    mkdirSync(join(source, "below"));
    const mounted = join(source, "below");
    runCommand(["mount", "-t", "tmpfs", "tmpfs", mounted]);
    try {
      for (const [option, owner] of [
        ["idmap", "0:0"],
        ["ridmap", "7:8"],
      ]) {
        const { out, err } = bundle.run(sh("stat -c '%u:%g' /bound/file /bound/below"), (config) => {
          config.mounts.push({
            destination: "/bound",
            source,
            options: ["rbind", option ?? ""],
            ...maps(7, 8),
          });
        });
        expect({ out, err }).toEqual({ out: `7:8\n${owner}\n`, err: "" });
      }
    } finally {
      runCommand(["umount", mounted]);
      rmSync(source, { recursive: true });
    }
  });

  test("a file system that cannot be mapped is named, and nothing is left", () => {
    const before = readFileSync("/proc/self/mountinfo", "utf8");
    const { code, err } = bundle.run(["true"], (config) => {
      config.mounts.push({ destination: "/bound", source: "/proc", options: ["rbind", "idmap"] });
      withUser(config);
    });
    expect(code).toBe(1);
    expect(err).toContain(
      "mounts[7]: cannot map the IDs of /proc: invalid argument (mount_setattr /proc: EINVAL)",
    );
    expect(err).toContain("the file system of the source (proc) does not support ID-mapped mounts");
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before);
  });

  test("maps that the kernel does not take are an error with the property", () => {
    const twice = [
      { containerID: 0, hostID: 7, size: 10 },
      { containerID: 5, hostID: 70, size: 10 },
    ];
    const { code, err } = run("true", { options: ["bind", "idmap"], uidMappings: twice, gidMappings: twice });
    expect(code).toBe(1);
    expect(err).toContain("mounts[7].uidMappings: cannot make a user namespace with the mount's mappings");
  });
});

describe("a source below a closed directory, in a user namespace", () => {
  test("is bound, with its options", () => {
    const source = makeSource(bundle, "closed/source");
    chmodSync(join(bundle.path, "closed"), 0o700);
    const script = "cat /bound/file; touch /bound/x; grep ' /bound ' /proc/self/mountinfo | cut -d ' ' -f 6";
    const { out, err } = bundle.run(sh(script), (config) => {
      config.mounts.push({ destination: "/bound", source, options: ["rbind", "ro", "noexec"] });
      withUser(config);
    });
    expect(err).toBe("touch: /bound/x: Read-only file system\n");
    expect(out).toBe("content\nro,noexec,relatime\n");
  });

  test("keeps what the host holds of it: container root takes no read-only away", () => {
    const source = makeSource(bundle, "closed/source");
    const view = join(bundle.path, "closed/view");
    mkdirSync(view, { recursive: true });
    chmodSync(join(bundle.path, "closed"), 0o700);
    chownSync(source, 100_000, 100_000);
    runCommand(["mount", "--bind", source, view]);
    runCommand(["mount", "-o", "remount,bind,ro", view]);
    try {
      const script = "mount -o remount,bind,rw /bound 2>&1; touch /bound/x 2>&1; ls /bound";
      const { out } = bundle.run(sh(script), (config) => {
        config.mounts.push({ destination: "/bound", source: view, options: ["bind"] });
        withUser(config);
        withCapabilities(config, "CAP_SYS_ADMIN");
      });
      expect(out).toContain("permission denied");
      expect(out).toContain("touch: /bound/x: Read-only file system\nfile\n");
    } finally {
      runCommand(["umount", view]);
    }
  });
});

describe("a source that lies in an earlier mount of the same config", () => {
  const run = (first: object, second: object, script: string, change?: (config: Config) => void) => {
    const { code, out, err } = bundle.run(sh(script), (config) => {
      config.mounts.push({ destination: "/first", ...first }, { destination: "/bound", ...second });
      change?.(config);
    });
    return { code, out, err };
  };
  beforeAll(() => makePlaces(bundle, "first/below"));
  const below = () => join(bundle.rootfs, "first/below");

  test("is what that mount put there, ID-mapped or not, in a user namespace or not", () => {
    const source = makeSource(bundle, "earlier");
    mkdirSync(join(source, "below"), { recursive: true });
    writeFileSync(join(source, "below/file"), "later\n");
    const bind = { source, options: ["bind"] };
    for (const options of [["bind"], ["bind", "idmap"]]) {
      for (const change of [undefined, withUser]) {
        const maps = { uidMappings: [{ containerID: 0, hostID: 0, size: 9 }] };
        const mapped = options.length > 1 ? { ...maps, gidMappings: maps.uidMappings } : {};
        expect(run(bind, { source: below(), options, ...mapped }, "cat /bound/file", change)).toEqual({
          code: 0,
          out: "later\n",
          err: "",
        });
      }
    }
  });

  test("also below a directory that is closed to the user namespace, and only there", () => {
    const source = makeSource(bundle, "earlier");
    mkdirSync(join(source, "made"));
    writeFileSync(join(source, "made/file"), "later\n");
    chmodSync(bundle.path, 0o700);
    try {
      const second = { source: join(bundle.rootfs, "first/made"), options: ["bind"] };
      expect(run({ source, options: ["bind"] }, second, "cat /bound/file", withUser)).toEqual({
        code: 0,
        out: "later\n",
        err: "",
      });
    } finally {
      chmodSync(bundle.path, 0o755);
    }
  });

  test("is a file where that mount has one", () => {
    const source = makeSource(bundle, "earlier");
    const second = {
      destination: "/made-file",
      source: join(bundle.rootfs, "first/file"),
      options: ["bind"],
    };
    expect(run({ source, options: ["bind"] }, second, "cat /made-file")).toEqual({
      code: 0,
      out: "content\n",
      err: "",
    });
  });

  test("also where it asks to be shared, and the config for a shared root", () => {
    const source = makeSource(bundle, "earlier");
    mkdirSync(join(source, "below"), { recursive: true });
    writeFileSync(join(source, "below/file"), "later\n");
    const second = { source: below(), options: ["bind", "shared"] };
    const shared = ({ linux }: Config) => {
      linux.rootfsPropagation = "shared";
    };
    expect(run({ source, options: ["bind"] }, second, "cat /bound/file", shared).out).toBe("later\n");
  });

  test("that is not in there is an error, whatever lies below", () => {
    const source = makeSource(bundle, "nothing");
    const { code, err } = run({ source, options: ["bind"] }, { source: below(), options: ["bind"] }, "true");
    expect(code).toBe(1);
    expect(err).toContain("mounts[8].source: the source of the bind mount does not exist");
    const tmpfs = { type: "tmpfs", source: "tmpfs" };
    const fresh = run(tmpfs, { source: below(), options: ["bind"] }, "true");
    expect(fresh.code).toBe(1);
    expect(fresh.err).toContain(`mounts[8]: cannot bind ${below()} at /bound: no such file or directory`);
  });
});

describe("a mount at /", () => {
  /** A second root file system, with a directory that the first one has not, and other content. */
  const other = (): string => {
    const path = join(bundle.path, "other");
    cpSync(bundle.rootfs, path, { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(path, "x"), { recursive: true });
    writeFileSync(join(path, "x/file"), "of the other\n");
    return path;
  };
  const run = (mounts: (root: string) => object[]) => {
    const path = other();
    const { code, out, err } = bundle.run(sh("cat /bound/*"), (config) => {
      config.mounts = mounts(path) as Config["mounts"];
      config.linux.maskedPaths = [];
      config.linux.readonlyPaths = [];
    });
    rmSync(path, { recursive: true });
    return { code, out, err };
  };
  const x = () => join(bundle.rootfs, "x");

  test("is where a source in the root file system is looked for", () => {
    expect(
      run((path) => [
        { destination: "/", source: path, options: ["rbind"] },
        { destination: "/bound", source: x(), options: ["bind"] },
      ]),
    ).toEqual({ code: 0, out: "of the other\n", err: "" });
  });

  test("hides what was mounted below it before", () => {
    expect(
      run((path) => [
        { destination: "/x", type: "tmpfs", source: "tmpfs" },
        { destination: "/", source: path, options: ["rbind"] },
        { destination: "/bound/one", source: join(x(), "file"), options: ["bind"] },
      ]),
    ).toEqual({ code: 0, out: "of the other\n", err: "" });
  });
});
