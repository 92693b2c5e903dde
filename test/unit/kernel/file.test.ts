/** Files and directories by descriptor, in a directory of the test's own; everything here works without root. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
} from "../../../src/kernel/constants.ts";
import { ERRNO } from "../../../src/kernel/errno.ts";
import {
  close,
  listDirectory,
  mkdirAll,
  open,
  openDirectory,
  openInRoot,
  readAll,
  readlink,
  readText,
  readTextIfAny,
  removeTree,
  replaceFile,
  statusOf,
  tryOpen,
  tryOpenat2,
  tryOpenInRoot,
  tryWriteFile,
  withFd,
  writeAll,
} from "../../../src/kernel/file.ts";
import { sys } from "../../../src/kernel/raw.ts";

let work = "";
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "file-"));
});
afterEach(() => {
  Bun.spawnSync(["chmod", "-R", "u+rwX", work]);
  rmSync(work, { recursive: true, force: true });
});
const at = (...names: string[]) => join(work, ...names);
const descriptors = () => readdirSync("/proc/self/fd").length;
/** `stat -c` of coreutils: another reader of the same facts. */
const stat = (path: string, format: string, ...flags: string[]) =>
  Bun.spawnSync(["stat", ...flags, "-c", format, path])
    .stdout.toString()
    .trim();

describe("openInRoot", () => {
  /** A root with `inside` in it, and beside it what no path in the root may reach. */
  let root = -1;
  beforeEach(() => {
    mkdirSync(at("root/etc"), { recursive: true });
    mkdirSync(at("root/dir/deep"), { recursive: true });
    writeFileSync(at("root/etc/passwd"), "inside");
    writeFileSync(at("secret"), "outside");
    mkdirSync(at("etc"));
    writeFileSync(at("etc/passwd"), "outside");
    root = openDirectory(at("root"));
  });
  afterEach(() => close(root));
  const read = (path: string) =>
    withFd(openInRoot(root, path, O_RDONLY), (fd) => Buffer.from(readAll(fd)).toString());

  test.each([
    ["an absolute link", "dir/link", "/etc/passwd"],
    ["a relative link", "dir/link", "../etc/passwd"],
    ["a link with more .. than there are directories", "dir/link", "../../../../../etc/passwd"],
    ["a link through an absolute link", "dir/link", "deep/up/etc/passwd"],
  ])("%s leads to the file inside", (_about, link, target) => {
    symlinkSync("/", at("root/dir/deep/up"));
    symlinkSync(target, at("root", link));
    expect(read(link)).toBe("inside");
  });

  test.each(["/etc/passwd", "etc/passwd", "../etc/passwd", "/../../etc/passwd", "dir/../../../etc/passwd"])(
    "%s is the file inside",
    (path) => {
      expect(read(path)).toBe("inside");
    },
  );

  test("a link to what is only outside leads nowhere", () => {
    symlinkSync(at("secret"), at("root/absolute"));
    symlinkSync("../secret", at("root/relative"));
    expect(tryOpenInRoot(root, "absolute", O_RDONLY)).toBe(-ERRNO.ENOENT);
    expect(tryOpenInRoot(root, "relative", O_RDONLY)).toBe(-ERRNO.ENOENT);
    expect(tryOpenInRoot(root, "../secret", O_RDONLY)).toBe(-ERRNO.ENOENT);
  });

  test("a dangling link makes its target inside the root, not outside", () => {
    symlinkSync(at("made"), at("root/link"));
    mkdirSync(at("root", work), { recursive: true });
    close(openInRoot(root, "link", O_WRONLY | O_CREAT, 0o600));
    expect(existsSync(at("made"))).toBe(false);
    expect(existsSync(join(at("root"), at("made")))).toBe(true);
  });

  test("magic links are refused", () => {
    withFd(openDirectory("/"), (host) => {
      for (const path of ["proc/self/exe", "proc/self/cwd", "proc/self/root/etc", `proc/self/fd/${root}`]) {
        expect([path, tryOpenInRoot(host, path, O_RDONLY)]).toEqual([path, -ERRNO.ELOOP]);
      }
    });
  });

  test("throws with the path and the errno", () => {
    expect(() => openInRoot(root, "no/such", O_RDONLY)).toThrow(
      expect.objectContaining({ code: "SYSCALL", syscall: "openat2", path: "no/such", errno: "ENOENT" }),
    );
  });

  test("descriptors are close-on-exec", () => {
    withFd(openInRoot(root, "etc", O_PATH | O_DIRECTORY), (fd) => expect(sys("fcntl", fd, 1)).toBe(1));
  });

  test("EAGAIN is tried again: paths with .. open while directories are renamed", () => {
    mkdirSync(at("root/a/b"), { recursive: true });
    const path = "dir/../dir/../dir/../dir/../etc/passwd";
    const renaming = Bun.spawn(
      [
        process.execPath,
        "-e",
        `const { renameSync } = require("node:fs"); for (;;) { renameSync("a", "c"); renameSync("c", "a"); }`,
      ],
      { cwd: at("root"), stdio: ["ignore", "ignore", "ignore"] },
    );
    try {
      const how = new Uint8Array(24);
      const view = new DataView(how.buffer);
      view.setBigUint64(0, BigInt(O_RDONLY), true);
      view.setBigUint64(16, 0x10n, true);
      const name = new TextEncoder().encode(`${path}\0`);
      // Once tells that the kernel gives it here, and that the wrapper has something to do.
      let seen = 0;
      let refused = 0;
      const end = performance.now() + 15_000;
      for (let i = 0; (seen < 3 || i < 5_000) && performance.now() < end; i++) {
        const raw = sys("openat2", root, name, how, 24);
        if (raw >= 0) close(raw);
        else if (raw === -ERRNO.EAGAIN) seen++;
        const fd = tryOpenInRoot(root, path, O_RDONLY);
        if (fd >= 0) close(fd);
        else refused++;
      }
      expect(seen).toBeGreaterThan(0);
      expect(refused).toBe(0);
    } finally {
      renaming.kill(9);
    }
  }, 30_000);

  test("EAGAIN without end is given back, not tried for ever", () => {
    // RESOLVE_CACHED (0x20) and O_CREAT: always EAGAIN, or EINVAL where the kernel refuses the two together.
    expect([-ERRNO.EAGAIN, -ERRNO.EINVAL]).toContain(
      tryOpenat2(root, "new", O_WRONLY | O_CREAT, 0o600, 0x20),
    );
    const never = tryOpenat2(root, `never-looked-up-${Math.random()}`, O_RDONLY, 0, 0x20);
    expect([-ERRNO.EAGAIN, -ERRNO.ENOENT]).toContain(never);
  });
});

describe("removeTree", () => {
  test("removes everything below, and does not follow links out of it", () => {
    mkdirSync(at("tree/a/b/c"), { recursive: true });
    mkdirSync(at("kept/inner"), { recursive: true });
    writeFileSync(at("kept/file"), "kept");
    writeFileSync(at("tree/a/file"), "x");
    symlinkSync(at("kept"), at("tree/a/absolute"));
    symlinkSync("../../kept", at("tree/a/relative"));
    symlinkSync("nowhere", at("tree/dangling"));
    linkSync(at("kept/file"), at("tree/hard"));
    Bun.spawnSync(["mkfifo", at("tree/fifo")]);
    const before = descriptors();
    removeTree(at("tree"));
    expect(existsSync(at("tree"))).toBe(false);
    expect(readFileSync(at("kept/file"), "utf8")).toBe("kept");
    expect(existsSync(at("kept/inner"))).toBe(true);
    expect(descriptors()).toBe(before);
  });

  test("of a link removes the link", () => {
    mkdirSync(at("kept"));
    writeFileSync(at("kept/file"), "kept");
    symlinkSync("kept", at("link"));
    removeTree(at("link"));
    expect(readdirSync(work)).toEqual(["kept"]);
    expect(readdirSync(at("kept"))).toEqual(["file"]);
  });

  test("of a file removes the file; of what is missing does nothing", () => {
    writeFileSync(at("file"), "");
    removeTree(at("file"));
    removeTree(at("file"));
    expect(readdirSync(work)).toEqual([]);
  });

  test("removes a name relative to a directory, and many entries", () => {
    mkdirSync(at("many"));
    for (let i = 0; i < 3000; i++) writeFileSync(at("many", `${"long name ".repeat(8)}${i}`), "");
    withFd(openDirectory(work), (fd) => removeTree("many", fd));
    expect(readdirSync(work)).toEqual([]);
  });

  // Names are read as UTF-8 text.
  test("removes names that are not UTF-8", () => {
    mkdirSync(at("tree"));
    Bun.spawnSync(["sh", "-c", `cd ${at("tree")} && : > "$(printf '\\377\\376')"`]);
    expect(readdirSync(at("tree"))).toHaveLength(1);
    removeTree(at("tree"));
    expect(existsSync(at("tree"))).toBe(false);
  });
});

describe("replaceFile", () => {
  test("writes the file with its mode, also over another", () => {
    replaceFile(at("f"), Buffer.from("one"), 0o600);
    expect(lstatSync(at("f")).mode & 0o777).toBe(0o600);
    replaceFile(at("f"), Buffer.from("two"), 0o640, false);
    expect(readFileSync(at("f"), "utf8")).toBe("two");
    expect(readdirSync(work)).toEqual(["f"]);
  });

  test("leaves the old file to those who have it open", () => {
    replaceFile(at("f"), Buffer.from("old"), 0o600);
    withFd(open(at("f"), O_RDONLY), (fd) => {
      replaceFile(at("f"), Buffer.from("new and longer"), 0o600);
      expect(Buffer.from(readAll(fd)).toString()).toBe("old");
    });
  });

  test("is never seen half written by a reader", async () => {
    const contents = [Buffer.alloc(200_000, "a"), Buffer.alloc(10, "b")];
    for (const content of contents) replaceFile(at("f"), content, 0o600, false);
    const reader = Bun.spawn(
      [
        process.execPath,
        "-e",
        `const { readFileSync } = require("node:fs"); const end = Date.now() + 500; const seen = new Set();
         while (Date.now() < end) { try { seen.add(readFileSync("f").length); } catch (e) { seen.add(e.code); } }
         console.log(JSON.stringify([...seen]));`,
      ],
      { cwd: work, stdio: ["ignore", "pipe", "inherit"] },
    );
    const end = performance.now() + 1000;
    while (performance.now() < end) {
      for (const content of contents) replaceFile(at("f"), content, 0o600, false);
    }
    const seen: unknown = await new Response(reader.stdout).json();
    expect(Array.isArray(seen) ? seen.sort() : seen).toEqual([10, 200_000]);
  }, 20_000);

  test("that fails leaves the old file, no temporary one and no descriptor", () => {
    mkdirSync(at("d/full"), { recursive: true });
    const before = descriptors();
    // A directory that is not empty is in the way of the rename.
    expect(() => replaceFile(at("d"), Buffer.from("x"), 0o600)).toThrow(
      expect.objectContaining({ code: "SYSCALL", syscall: "rename", path: at("d") }),
    );
    expect(readdirSync(work)).toEqual(["d"]);
    expect(readdirSync(at("d"))).toEqual(["full"]);
    expect(() => replaceFile(at("none/f"), Buffer.from("x"), 0o600)).toThrow(
      expect.objectContaining({ errno: "ENOENT" }),
    );
    expect(descriptors()).toBe(before);
  });
});

describe("reading and writing", () => {
  test("readAll gives all bytes up to its limit, and refuses one more", () => {
    const bytes = Buffer.alloc(20_000, "abc");
    writeFileSync(at("f"), bytes);
    const read = (limit?: number) => withFd(open(at("f"), O_RDONLY), (fd) => readAll(fd, at("f"), limit));
    expect(Buffer.from(read()).equals(bytes)).toBe(true);
    expect(read(20_000)).toHaveLength(20_000);
    expect(() => read(19_999)).toThrow(
      expect.objectContaining({ errno: "EFBIG", message: "more than 19999 bytes: file too large" }),
    );
  });

  test("readAll reads what tells no size, and stops at a limit where there is no end", () => {
    expect(readText("/proc/self/status")).toContain("Name:");
    withFd(open("/dev/zero", O_RDONLY), (fd) => expect(() => readAll(fd, "/dev/zero", 100_000)).toThrow());
  });

  test("readTextIfAny is undefined for what is not there, and throws for what cannot be read", () => {
    writeFileSync(at("f"), "text");
    expect(readTextIfAny(at("f"))).toBe("text");
    expect(readTextIfAny(at("g"))).toBeUndefined();
    expect(readTextIfAny(at("f/g"))).toBeUndefined();
    expect(() => readTextIfAny(work)).toThrow(expect.objectContaining({ errno: "EISDIR" }));
  });

  test("writeAll goes on after a short write", () => {
    const bytes = Buffer.alloc(300_000, "xyz");
    withFd(open(at("f"), O_WRONLY | O_CREAT | O_EXCL, 0o600), (fd) => writeAll(fd, bytes));
    expect(readFileSync(at("f")).equals(bytes)).toBe(true);
    withFd(open("/dev/full", O_WRONLY), (fd) =>
      expect(() => writeAll(fd, bytes)).toThrow(expect.objectContaining({ errno: "ENOSPC" })),
    );
  });

  test("tryWriteFile writes to what is there, makes nothing, and gives -errno", () => {
    writeFileSync(at("f"), "----");
    expect(tryWriteFile(at("f"), "ab")).toBe(0);
    expect(tryWriteFile(at("f"), "")).toBe(0);
    expect(readFileSync(at("f"), "utf8")).toBe("ab--");
    expect(tryWriteFile(at("g"), "x")).toBe(-ERRNO.ENOENT);
    expect(tryWriteFile("/dev/full", "x")).toBe(-ERRNO.ENOSPC);
    expect(existsSync(at("g"))).toBe(false);
  });

  test("withFd closes also when its use throws", () => {
    const before = descriptors();
    expect(() =>
      withFd(open("/dev/null", O_RDONLY), () => {
        throw new Error("use");
      }),
    ).toThrow("use");
    expect(descriptors()).toBe(before);
  });

  test("what is opened is close-on-exec", () => {
    withFd(tryOpen("/dev/null", O_RDONLY), (fd) => expect(sys("fcntl", fd, 1)).toBe(1));
    withFd(openDirectory("/"), (fd) => expect(sys("fcntl", fd, 1)).toBe(1));
  });
});

describe("directories and links", () => {
  test("mkdirAll makes what is missing, and takes what is there", () => {
    mkdirAll(at("a/b/c"), 0o700);
    mkdirAll(at("a/b/c"), 0o755);
    mkdirAll(at("a/b/d"), 0o755);
    expect(readdirSync(at("a/b")).sort()).toEqual(["c", "d"]);
    expect(lstatSync(at("a/b/c")).mode & 0o777).toBe(0o700);
    writeFileSync(at("f"), "");
    expect(() => mkdirAll(at("f/x"), 0o700)).toThrow(expect.objectContaining({ errno: "ENOTDIR" }));
  });

  test("readlink gives the target, however long, and undefined for what is no link", () => {
    const target = "t/".repeat(1500);
    symlinkSync(target, at("l"));
    writeFileSync(at("f"), "");
    expect(readlink(at("l"))).toBe(target);
    expect(readlink(at("f"))).toBeUndefined();
    expect(readlink(at("none"))).toBeUndefined();
  });

  test("listDirectory gives names and types", () => {
    mkdirSync(at("d"));
    writeFileSync(at("é €"), "");
    symlinkSync("x", at("l"));
    const entries = withFd(open(work, O_RDONLY | O_DIRECTORY), listDirectory);
    expect(entries.sort((a, b) => a.name.localeCompare(b.name))).toEqual(
      [
        { name: "d", type: S_IFDIR >> 12 },
        { name: "é €", type: S_IFREG >> 12 },
        { name: "l", type: S_IFLNK >> 12 },
      ].sort((a, b) => a.name.localeCompare(b.name)),
    );
  });
});

describe("statusOf", () => {
  /** The fields that `stat` can tell as well. */
  function compare(path: string, follow = false): void {
    const status = follow ? statusOf(path, undefined, 0) : statusOf(path);
    const format = "%f %u %g %s %i %h %b %Hr %Lr %Hd %Ld %.9Y";
    const told = stat(path, format, ...(follow ? ["-L"] : []));
    const hex = (status?.mode ?? 0).toString(16);
    const seconds = (status?.mtime ?? 0n) / 1_000_000_000n;
    const nanoseconds = ((status?.mtime ?? 0n) % 1_000_000_000n).toString().padStart(9, "0");
    expect(
      [
        hex,
        status?.uid,
        status?.gid,
        status?.size,
        status?.ino,
        status?.nlink,
        status?.blocks,
        status?.rdevMajor,
        status?.rdevMinor,
        status?.devMajor,
        status?.devMinor,
        `${seconds}.${nanoseconds}`,
      ].join(" "),
    ).toBe(told);
  }

  test("tells what stat tells, of files, directories, devices, links and pipes", () => {
    writeFileSync(at("f"), Buffer.alloc(12_345));
    linkSync(at("f"), at("hard"));
    chmodSync(at("f"), 0o4751);
    utimesSync(at("f"), 1_000_000_000.5, 1_234_567_890.123);
    symlinkSync("f", at("l"));
    Bun.spawnSync(["mkfifo", "-m", "622", at("p")]);
    for (const path of [at("f"), at("l"), at("p"), work, "/dev/null", "/dev/full", "/"]) {
      compare(path);
    }
    compare(at("l"), true);
    expect(statusOf(at("p"))?.type).toBe(S_IFIFO);
    expect(statusOf(at("l"))?.type).toBe(S_IFLNK);
    expect(statusOf(at("f"))?.type).toBe(S_IFREG);
  });

  test("tells the mount, as mountinfo numbers it", () => {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n");
    const [id] =
      mounts
        .filter((line) => line.split(" ")[4] === "/proc")
        .at(-1)
        ?.split(" ") ?? [];
    expect(statusOf("/proc/version")?.mountID.toString()).toBe(id ?? "");
  });

  test("of an empty path is that of the descriptor, also O_PATH", () => {
    writeFileSync(at("f"), "abc");
    withFd(open(at("f"), O_PATH), (fd) => {
      expect(statusOf("", fd)).toEqual(statusOf(at("f")) ?? ({} as never));
    });
  });

  test("is undefined for what is not there, and throws where it may not look", () => {
    writeFileSync(at("f"), "");
    expect(statusOf(at("none"))).toBeUndefined();
    expect(statusOf(at("f/none"))).toBeUndefined();
    expect(() => statusOf("", 9999)).toThrow(
      expect.objectContaining({ errno: "EBADF", path: "descriptor 9999" }),
    );
  });

  test("tells times before 1970", () => {
    writeFileSync(at("f"), "");
    Bun.spawnSync(["touch", "-d", "1960-01-01T00:00:00.25Z", at("f")]);
    expect(statusOf(at("f"))?.mtime).toBe(-315_619_199_750_000_000n);
  });
});
