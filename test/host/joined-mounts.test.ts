// Containers whose mounts are made in a mount namespace that is joined by its path: kept by a process of the test, or by
// nothing but a file. What is in there, what the others in it see, and that the host sees nothing of it.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { builtinRegistry } from "../../src/builtin-drivers.ts";
import { O_RDONLY } from "../../src/kernel/constants.ts";
import { open, withFd } from "../../src/kernel/file.ts";
import { probeHost } from "../../src/runtime/host.ts";
import { joinedMounts, needPlanned } from "../../src/runtime/joined-mounts.ts";
import { runDetached } from "../../src/runtime/run.ts";
import { parseDocument } from "../../src/spec/parse.ts";
import { RuntimeConfig } from "../../src/spec/runtime/config.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { makePlaces, makeSource, sh, withUser } from "../support/mounts.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  makePlaces(bundle, "data");
});
afterAll(() => bundle.dispose());

const mountsOfHost = () => readFileSync("/proc/self/mountinfo", "utf8");
const holders: Bun.Subprocess[] = [];
afterEach(async () => {
  for (const holder of holders.splice(0)) {
    holder.kill("SIGKILL");
    await holder.exited;
  }
});

/** A process in a new mount namespace, in which `script` has been run; everything in it is shared with the host. */
function hold(script = "true"): number {
  const ready = join(bundle.path, `ready-${freshID()}`);
  const command = `${script} && touch ${ready} && exec sleep 600`;
  const holder = Bun.spawn(["unshare", "-m", "--propagation", "shared", "sh", "-c", command], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  holders.push(holder);
  for (let tries = 0; !existsSync(ready) && tries < 500; tries++) Bun.sleepSync(10);
  expect(existsSync(ready)).toBe(true);
  return holder.pid;
}

const joiningFile = (path: string) => (config: Config) => {
  config.linux.namespaces = config.linux.namespaces.map((one) =>
    one.type === "mount" ? { ...one, path } : one,
  );
};
const joining = (pid: number) => joiningFile(`/proc/${pid}/ns/mnt`);

describe("mounts in a mount namespace that is joined", () => {
  const LOOK =
    "ls /; cut -d' ' -f5 /proc/self/mountinfo; test -c /dev/null && echo null; cat /data/file; cat /proc/keys | wc -c; touch /x 2>&1";

  test("are those of one in a namespace of its own", () => {
    const change = (config: Config) => {
      config.mounts.push({
        destination: "/data",
        source: makeSource(bundle, "data"),
        options: ["rbind", "ro"],
      });
    };
    const own = bundle.run(sh(LOOK), change);
    expect(own).toMatchObject({ err: "" });
    const pid = hold();
    expect(
      bundle.run(sh(LOOK), (config) => {
        change(config);
        joining(pid)(config);
      }),
    ).toEqual(own);
  });

  test("are seen by all others in it, and not by the host", () => {
    const before = mountsOfHost();
    const pid = hold();
    const id = freshID();
    bundle.configure(["sleep", "100"], (config) => {
      joining(pid)(config);
      config.linux.rootfsPropagation = "rshared";
    });
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id)).toMatchObject({ code: 0, err: "" });
    expect(mountsOfHost()).toBe(before);
    const { pid: init } = JSON.parse(bundle.ctr("state", id).out);
    expect(readlinkSync(`/proc/${init}/ns/mnt`)).toBe(readlinkSync(`/proc/${pid}/ns/mnt`));
    expect(readFileSync(`/proc/${init}/mountinfo`, "utf8")).toBe(
      readFileSync(`/proc/${pid}/mountinfo`, "utf8"),
    );
    expect(existsSync(`/proc/${pid}/root/bin/busybox`)).toBe(true);
    expect(existsSync(`/proc/${pid}/root/usr`)).toBe(false);
    const { out } = bundle.ctr(
      "exec",
      id,
      "sh",
      "-c",
      "ls -d /bin; ls -d /usr 2>&1; stat -c %i / /proc/1/root/",
    );
    const [bin, usr, root, first] = out.trim().split("\n");
    expect([bin, usr?.includes("No such file"), root]).toEqual(["/bin", true, first ?? ""]);
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
    expect(mountsOfHost()).toBe(before);
  });

  test("with --no-pivot too", () => {
    const before = mountsOfHost();
    const pid = hold();
    bundle.configure(
      sh("ls -d /bin; ls -d /usr 2>&1; cut -d' ' -f5 /proc/self/mountinfo | head -n 1"),
      joining(pid),
    );
    const { code, out } = bundle.ctr("run", "--no-pivot", "--bundle", bundle.path, freshID());
    expect({ code, out }).toEqual({ code: 0, out: "/bin\nls: /usr: No such file or directory\n/\n" });
    expect(mountsOfHost()).toBe(before);
  });

  test("root file system and sources are what there is in the namespace", () => {
    const inside = join(bundle.path, "inside");
    mkdirSync(inside);
    const pid = hold(
      `mount --make-rprivate / && mount -t tmpfs tmpfs ${inside} && cp -a ${bundle.rootfs} ${inside}/ && ` +
        `mkdir ${inside}/rootfs/only ${inside}/source && echo there > ${inside}/source/one && echo 'root:x:0:0::/only:/bin/sh' > ${inside}/rootfs/etc/passwd`,
    );
    const { out, err } = bundle.run(sh("cat /only/file; echo $HOME; stat -c %F /only/file"), (config) => {
      joining(pid)(config);
      config.root.path = `${inside}/rootfs`;
      config.process.env = config.process.env.filter((one) => !one.startsWith("HOME="));
      config.mounts.push({ destination: "/only/file", source: `${inside}/source/one`, options: ["bind"] });
    });
    expect({ out, err }).toEqual({ out: "there\n/only\nregular file\n", err: "" });
  });

  test("of a namespace that only a file keeps", () => {
    const folder = join(bundle.path, "kept");
    mkdirSync(folder);
    const file = join(folder, "mnt");
    runCommand(["mount", "-t", "tmpfs", "tmpfs", folder]);
    runCommand(["mount", "--make-private", folder]);
    writeFileSync(file, "");
    try {
      expect(runCommand(["unshare", `--mount=${file}`, "true"])).toMatchObject({ code: 0, err: "" });
      const { out, err } = bundle.run(
        sh("ls -d /bin; ls -d /usr 2>&1; cat /proc/self/comm"),
        joiningFile(file),
      );
      expect({ out, err }).toEqual({ out: "/bin\nls: /usr: No such file or directory\ncat\n", err: "" });
    } finally {
      runCommand(["umount", file]);
      runCommand(["umount", folder]);
    }
  });

  test("are an error with its reason where the namespace is not the user namespace's", () => {
    const { code, err } = bundle.run(["true"], (config) => {
      joining(hold())(config);
      withUser(config);
    });
    expect(code).toBe(1);
    expect(err).toContain("the mount namespace that is joined belongs to another user namespace");
  });

  test("are refused in ctr-bun's own, and in that of the host", () => {
    const own = bundle.run(["true"], joiningFile("/proc/self/ns/mnt"));
    expect(own.err).toContain("setting it in the mount namespace of ctr-bun would change the host");
    bundle.configure(["true"], joining(process.pid));
    const command = [
      "unshare",
      "-m",
      CTR_BUN,
      "--root",
      bundle.state,
      "run",
      "--bundle",
      bundle.path,
      freshID(),
    ];
    const { code, err } = runCommand(command);
    expect(code).toBe(1);
    expect(err).toContain("setting it in the mount namespace of PID 1 would change the host");
  });
});

describe("the mount namespace that mounts are made in", () => {
  const fileOf = (pid: number) => `/proc/${pid}/ns/mnt`;
  const inodeOf = (pid: number) => statSync(fileOf(pid)).ino;
  /** What the check says of an open namespace. */
  const said = (path: string, inode: number | undefined, first: string, numbered = false) =>
    withFd(open(path, O_RDONLY), (fd) => {
      try {
        needPlanned(fd, path, { inode, numbered }, first);
      } catch (error) {
        return (error as Error).message;
      }
      return "fine";
    });
  const OTHER = "the path leads to another mount namespace than when the container was planned";

  test("must be the one that was planned for, though its path leads elsewhere now", async () => {
    const [one, other] = [hold(), hold()];
    const path = join(bundle.path, "link");
    symlinkSync(fileOf(one), path);
    bundle.configure(["sleep", "100"], joiningFile(path));
    const config = parseDocument(
      RuntimeConfig,
      JSON.parse(readFileSync(join(bundle.path, "config.json"), "utf8")),
      "",
    );
    const before = readFileSync(`/proc/${other}/mountinfo`, "utf8");
    const id = freshID();
    const swap = () => {
      unlinkSync(path);
      symlinkSync(fileOf(other), path);
    };
    const [registry, host] = [builtinRegistry(), probeHost()];
    const run = runDetached({
      root: bundle.state,
      id,
      bundle: bundle.path,
      config,
      registry,
      host,
      onPlan: swap,
    });
    expect(await run.catch((error) => ({ field: error.field, message: error.message }))).toEqual({
      field: "linux.namespaces[4]",
      message: OTHER,
    });
    expect(bundle.ctr("state", id).code).toBe(1);
    expect(readFileSync(`/proc/${other}/mountinfo`, "utf8")).toBe(before);
  });

  test("is refused where it is the host's after all, or was not looked at before", () => {
    const pid = hold();
    const first = fileOf(hold());
    expect(said(fileOf(pid), inodeOf(pid), first)).toBe("fine");
    expect(said(fileOf(pid), inodeOf(pid) + 1, first)).toBe(OTHER);
    expect(said(fileOf(pid), undefined, first)).toBe(OTHER);
    expect(said("/proc/self/ns/mnt", inodeOf(process.pid), first)).toBe(
      "mounts in the mount namespace of ctr-bun would change the host",
    );
    expect(said(fileOf(pid), inodeOf(pid), fileOf(pid))).toBe(
      "mounts in the mount namespace of PID 1 would change the host",
    );
  });

  test("is refused where PID 1 cannot be looked at, unless the kernel numbers the first one", () => {
    const pid = hold();
    const hidden = "/proc/none/ns/mnt";
    expect(said(fileOf(pid), inodeOf(pid), hidden)).toBe(
      "whether the mount namespace is that of PID 1 cannot be seen, and mounts in it would change the host",
    );
    expect(said(fileOf(pid), inodeOf(pid), hidden, true)).toBe("fine");
    withFd(open(fileOf(pid), O_RDONLY), (fd) => {
      const ownerOn = (major: number, minor: number) =>
        joinedMounts(fd, { kernelVersion: [major, minor] }, hidden).owner;
      expect([ownerOn(6, 1), ownerOn(6, 17), ownerOn(6, 18), ownerOn(7, 0)]).toEqual([
        "unknown",
        "unknown",
        "other",
        "other",
      ]);
    });
  });
});
