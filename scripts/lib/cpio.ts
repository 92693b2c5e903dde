// Writes cpio archives in the "newc" format, which the kernel unpacks as its initramfs: several behind one another are
// one tree (kernel: Documentation/driver-api/early-userspace/buffer-format.rst). What goes into one is the caller's.

import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

/** A file of an archive: its text, or a file or folder of this host that is taken with its owners and modes. */
export type CpioFile = { text: string; mode?: number } | { from: string };

type Entry = {
  mode: number;
  uid: number;
  gid: number;
  major: number;
  minor: number;
  data: string | Uint8Array;
};

const type = { mask: 0o170000, directory: 0o040000, regular: 0o100000, link: 0o120000 };
const plain = (mode: number, data: string | Uint8Array): Entry => ({
  mode,
  uid: 0,
  gid: 0,
  major: 0,
  minor: 0,
  data,
});

/** What the file of this host is; its major and minor number where it is a device (makedev(3)). */
function entryOf(path: string): Entry {
  const { mode, uid, gid, rdev } = lstatSync(path);
  const kind = mode & type.mask;
  const data =
    kind === type.regular ? readFileSync(path) : kind === type.link ? readlinkSync(path) : new Uint8Array();
  return {
    mode,
    uid,
    gid,
    major: (rdev >> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00),
    data,
  };
}

/**
 * Writes the files, by their absolute paths in the tree, to the new archive `out`, in this order. Directories above
 * them that are not named are made with mode 0755. Times are left out.
 */
export function writeCpio(out: string, files: Readonly<Record<string, CpioFile>>): void {
  const target = openSync(out, "wx", 0o644);
  let inode = 0;
  const named = new Set<string>();

  const put = (name: string, { mode, uid, gid, major, minor, data }: Entry): void => {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const path = new TextEncoder().encode(`${name}\0`);
    inode += 1;
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    const fields = [inode, mode, uid, gid, 1, 0, bytes.length, 0, 0, major, minor, path.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    const whole = new Uint8Array(Math.ceil((header.length + path.length) / 4) * 4);
    whole.set(new TextEncoder().encode(header));
    whole.set(path, header.length);
    for (const part of [whole, bytes, new Uint8Array(-bytes.length & 3)]) {
      for (let done = 0; done < part.length; ) done += writeSync(target, part, done);
    }
  };
  const parents = (name: string): void => {
    for (let at = name.indexOf("/"); at !== -1; at = name.indexOf("/", at + 1)) {
      const parent = name.slice(0, at);
      if (!named.has(parent)) put(parent, plain(type.directory | 0o755, ""));
      named.add(parent);
    }
  };
  const tree = (name: string, from: string): void => {
    const entry = entryOf(from);
    if (name !== "") put(name, entry);
    named.add(name);
    if ((entry.mode & type.mask) !== type.directory) return;
    for (const child of readdirSync(from).sort())
      tree(name === "" ? child : `${name}/${child}`, join(from, child));
  };

  try {
    for (const [path, file] of Object.entries(files)) {
      const name = path.replace(/^\/+/, "");
      parents(name);
      if ("from" in file) tree(name, file.from);
      else put(name, plain(type.regular | (file.mode ?? 0o644), file.text));
    }
    put("TRAILER!!!", plain(0, ""));
  } finally {
    closeSync(target);
  }
}
