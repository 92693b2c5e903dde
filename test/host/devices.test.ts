// Device nodes as the container sees them: those of every container, those of linux.devices, and whose they are.
import { afterAll, describe, expect, test } from "bun:test";
import { cpSync, lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshID, makeBundle } from "../support/bundle.ts";
import { sh, withUser } from "../support/mounts.ts";

const bundle = makeBundle();
afterAll(() => bundle.dispose());

const LOOK = "stat -c '%n %F %a %t:%T %u:%g'";
const lines = (text: string) => text.trim().split("\n");

describe("in /dev are", () => {
  test("the devices and links that the specification supplies", () => {
    const { code, out, err } = bundle.run(
      sh(
        `cd /dev; ${LOOK} null zero full random urandom tty; for l in fd stdin stdout stderr ptmx; do readlink $l; done; echo x >null`,
      ),
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(lines(out)).toEqual([
      "null character special file 666 1:3 0:0",
      "zero character special file 666 1:5 0:0",
      "full character special file 666 1:7 0:0",
      "random character special file 666 1:8 0:0",
      "urandom character special file 666 1:9 0:0",
      "tty character special file 666 5:0 0:0",
      "/proc/self/fd",
      "/proc/self/fd/0",
      "/proc/self/fd/1",
      "/proc/self/fd/2",
      "pts/ptmx",
    ]);
  });

  test("those of linux.devices, with their modes and owners, wherever they are", () => {
    const { code, out, err } = bundle.run(sh(`${LOOK} /dev/a /dev/deep/b /c /dev/p`), ({ linux }) => {
      linux.devices = [
        { type: "c", path: "/dev/a", major: 1, minor: 3, fileMode: 0o640, uid: 5, gid: 6 },
        { type: "b", path: "/dev/deep/b", major: 7, minor: 300, fileMode: 0o600 },
        { type: "u", path: "/c", major: 10, minor: 229 },
        { type: "p", path: "/dev/p", fileMode: 0o622 },
      ];
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(lines(out)).toEqual([
      "/dev/a character special file 640 1:3 5:6",
      "/dev/deep/b block special file 600 7:12c 0:0",
      "/c character special file 666 a:e5 0:0",
      "/dev/p fifo 622 0:0 0:0",
    ]);
  });

  test("in a user namespace the host's own nodes", () => {
    const look = `${LOOK} /dev/null; echo x >/dev/null; grep ' /dev/null ' /proc/self/mountinfo | wc -l`;
    const { code, out, err } = bundle.run(sh(look), withUser);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    // Root of the host has no ID in there.
    expect(lines(out)).toEqual(["/dev/null character special file 666 1:3 65534:65534", "1"]);
  });

  test("those that the specification supplies, where what was mounted there lies below a later mount at /", () => {
    const other = join(bundle.path, "other");
    cpSync(join(bundle.rootfs, "bin"), join(other, "bin"), { recursive: true, verbatimSymlinks: true });
    for (const name of ["proc", "dev"]) mkdirSync(join(other, name), { recursive: true });
    const { code, out, err } = bundle.run(
      sh("stat -c '%n %F' /dev/null; grep -c ' /dev ' /proc/self/mountinfo"),
      (config) => {
        config.mounts = [
          { destination: "/dev", type: "tmpfs", source: "tmpfs" },
          { destination: "/", source: other, options: ["rbind"] },
          { destination: "/proc", type: "proc", source: "proc" },
        ];
        config.linux.maskedPaths = [];
        config.linux.readonlyPaths = [];
      },
    );
    expect({ out, err, code }).toEqual({ out: "/dev/null character special file\n0\n", err: "", code: 1 });
    expect(lstatSync(join(other, "dev/null")).isCharacterDevice()).toBe(true);
  });

  test("only what is there, where it is a bind mount", () => {
    const own = join(bundle.path, "dev");
    mkdirSync(own);
    writeFileSync(join(own, "file"), "");
    const { code, out, err } = bundle.run(sh("ls /dev"), (config) => {
      config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith("/dev"));
      // What is masked is covered by /dev/null.
      config.linux.maskedPaths = [];
      config.mounts.push({ destination: "/dev", source: own, options: ["bind"] });
    });
    expect({ code, out, err }).toEqual({ code: 0, out: "file\n", err: "" });
  });
});

test("devices shows what the kernel lets a container use", () => {
  const id = freshID();
  bundle.configure(["sleep", "100"], ({ linux }) => {
    linux.resources.devices = [{ allow: false }, { allow: true, type: "c", major: 10, minor: 229 }];
  });
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  try {
    const { code, out } = bundle.ctr("devices", id);
    expect(code).toBe(0);
    for (const device of ["c 10:229 rwm", "c 1:3 rwm"]) expect(out).toContain(`${device} allow`);
    expect(out).not.toContain("a *:* rwm");
  } finally {
    bundle.ctr("delete", "--force", id);
  }
});
