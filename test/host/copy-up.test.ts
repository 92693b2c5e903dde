// tmpcopyup: a tmpfs that is filled with what it covers.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, makeBundle, runCommand } from "../support/bundle.ts";
import { makePlaces, makeSource, sh, withCapabilities, withUser } from "../support/mounts.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  chmodSync(bundle.path, 0o755);
  makePlaces(bundle, "bound", "full");
});
afterAll(() => bundle.dispose());

describe("tmpcopyup", () => {
  const tmpfs = (...options: string[]) => ({
    destination: "/full",
    type: "tmpfs",
    source: "tmpfs",
    options: ["tmpcopyup", ...options],
  });
  beforeAll(() => {
    const full = join(bundle.rootfs, "full");
    mkdirSync(join(full, "sub"));
    writeFileSync(join(full, "file"), "content\n");
    linkSync(join(full, "file"), join(full, "sub/again"));
    symlinkSync("file", join(full, "link"));
    runCommand(["mknod", join(full, "device"), "c", "1", "3"]);
    runCommand(["mkfifo", join(full, "fifo")]);
    writeFileSync(join(full, "big"), Buffer.alloc(300_000, 7));
    for (const name of ["", "sub", "file", "link", "device", "fifo", "big"])
      runCommand(["chown", "-h", "100005:100006", join(full, name)]);
    chmodSync(join(full, "file"), 0o4751);
    chmodSync(join(full, "sub"), 0o3710);
    chmodSync(full, 0o1770);
    runCommand(["touch", "-d", "2001-02-03 04:05:06", join(full, "file")]);
    runCommand(["setfattr", "-n", "trusted.note", "-v", "kept", join(full, "file")]);
  });
  const look =
    "cd /full; stat -c '%n %F %a %u:%g %h %t:%T' . device fifo file link sub sub/again; readlink link; cat file; stat -c %Y file; sort -u big | wc -c";
  const expected = (uid: number, gid: number, root: string) => [
    `. directory 1770 ${root} 3 0:0`,
    `device character special file 644 ${uid}:${gid} 1 1:3`,
    `fifo fifo 644 ${uid}:${gid} 1 0:0`,
    `file regular file 4751 ${uid}:${gid} 2 0:0`,
    `link symbolic link 777 ${uid}:${gid} 1 0:0`,
    `sub directory 3710 ${uid}:${gid} 2 0:0`,
    `sub/again regular file 4751 ${uid}:${gid} 2 0:0`,
    "file",
    "content",
    "981173106",
  ];

  test("what is covered is in the tmpfs: modes, owners, links, devices, times, contents", () => {
    const { code, out, err } = bundle.run(sh(look), (config) => {
      config.mounts.push(tmpfs());
      withCapabilities(config, "CAP_DAC_OVERRIDE");
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.split("\n").slice(0, 10)).toEqual(expected(100_005, 100_006, "0:0"));
  });

  test("in a user namespace owners are those that the container sees, and files are its root's to change", () => {
    const { code, out, err } = bundle.run(sh(`${look}; chown 9:9 file && stat -c '%u:%g' file`), (config) => {
      config.mounts.push(tmpfs());
      withUser(config);
      withCapabilities(config, "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER");
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.split("\n").slice(0, 10)).toEqual(expected(5, 6, "0:0"));
    expect(out).toEndWith("9:9\n");
  });

  test("what is changed in it stays in it, and ro comes after the copy", () => {
    const { out, err } = bundle.run(
      sh("rm -f /full/file; ls /full | wc -l; grep -c ' /full ro' /proc/self/mountinfo"),
      (config) => {
        config.mounts.push(tmpfs("ro"));
        withCapabilities(config, "CAP_DAC_OVERRIDE");
        config.root.readonly = false;
      },
    );
    expect(err).toContain("Read-only file system");
    expect(out).toBe("6\n1\n");
    expect(
      bundle.run(sh("rm -f /full/file; ls /full/file 2>&1"), (config) => {
        config.mounts.push(tmpfs());
        withCapabilities(config, "CAP_DAC_OVERRIDE");
        config.root.readonly = false;
      }).out,
    ).toContain("No such file");
    expect(readFileSync(join(bundle.rootfs, "full/file"), "utf8")).toBe("content\n");
  });

  test("a tmpfs that is too small is an error, with the way out", () => {
    const { code, err } = bundle.run(["true"], (config) => {
      config.mounts.push(tmpfs("size=64k"));
    });
    expect(code).toBe(1);
    expect(err).toContain("mounts[7]: cannot copy what is in /full into the tmpfs that covers it");
    expect(err).toContain("ENOSPC");
    expect(err).toContain("raise its option size");
  });

  test("what root of the user namespace may not read is not copied for it", () => {
    const secret = makeSource(bundle, "secret");
    chmodSync(join(secret, "file"), 0o600);
    const attempt = (mode: number) => {
      chmodSync(join(secret, "file"), mode);
      return bundle.run(sh("cat /bound/file; stat -c '%u %a' /bound/file"), (config) => {
        config.mounts.push(
          { destination: "/bound", source: secret, options: ["bind"] },
          { ...tmpfs(), destination: "/bound" },
        );
        withUser(config);
      });
    };
    expect(attempt(0o600).err).toContain('permission denied (openat "file": EACCES)');
    // An owner that has no ID there is nobody, as it looks from inside.
    expect(attempt(0o644)).toMatchObject({ code: 0, out: "content\n65534 644\n" });
  });

  test("a link that is swapped in while it is copied leads nowhere", async () => {
    const other = makeBundle();
    try {
      const full = join(other.rootfs, "full");
      mkdirSync(join(full, "swap"), { recursive: true });
      writeFileSync(join(full, "swap/inner"), "inside\n");
      for (let n = 0; n < 200; n++) writeFileSync(join(full, `filler-${n}`), "x");
      const outside = join(other.path, "outside");
      mkdirSync(outside);
      writeFileSync(join(outside, "inner"), "OUTSIDE\n");
      const swapper = Bun.spawn(
        [
          "sh",
          "-c",
          `cd ${full}; ln -s ${outside} link; while :; do mv -T swap away && mv -T link swap; mv -T swap link && mv -T away swap; done`,
        ],
        { stderr: "ignore" },
      );
      try {
        for (let n = 0; n < 8; n++) {
          const { out, err } = other.run(sh("[ -L /full/swap ] || cat /full/swap/inner"), (config) => {
            config.mounts.push(tmpfs());
          });
          expect(out + err).not.toContain("OUTSIDE");
        }
      } finally {
        swapper.kill();
        await swapper.exited;
      }
    } finally {
      other.dispose();
    }
  });
});
