/**
 * tmpcopyup: what a new tmpfs covers is copied into it, by ctr-bun, through the descriptors that the init has sent. In
 * a user namespace the tmpfs belongs to that: files in it are made under the ID of its root, which alone has a place
 * there, and nothing is copied that this root may not read itself. Not here: copying (copy-tree.ts).
 */
import { callError, check } from "../kernel/check.ts";
import { LINUX_CAPABILITY_VERSION_3, S_IFDIR } from "../kernel/constants.ts";
import { type Stat, shownName } from "../kernel/directory.ts";
import { ERRNO } from "../kernel/errno.ts";
import { readText } from "../kernel/file.ts";
import { viewOf, words32 } from "../kernel/memory.ts";
import { sys } from "../kernel/raw.ts";
import { copyTree } from "./copy-tree.ts";

/** What the kernel shows for an ID that has none in a user namespace (/proc/sys/kernel/overflowuid). */
const OVERFLOW = 65534;

/** Lines of uid_map or gid_map: IDs inside, our IDs, how many. */
type Ranges = readonly (readonly [inside: number, outside: number, size: number])[];

function rangesOf(pid: number, file: "uid_map" | "gid_map"): Ranges {
  return readText(`/proc/${pid}/${file}`)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [inside = 0, outside = 0, size = 0] = line.trim().split(/\s+/).map(Number);
      return [inside, outside, size];
    });
}

/** Our ID of one inside. */
function outsideOf(ranges: Ranges, id: number): number | undefined {
  const range = ranges.find(([inside, , size]) => id >= inside && id < inside + size);
  return range === undefined ? undefined : range[1] + id - range[0];
}

function isMapped(ranges: Ranges, id: number): boolean {
  return ranges.some(([, outside, size]) => id >= outside && id < outside + size);
}

/** Fills the empty tmpfs `to`. `pid`: the init, where it is in a user namespace. */
export function fillTmpfs(from: number, to: number, pid: number | undefined): void {
  if (pid === undefined) {
    for (const _ of copyTree(from, to, { itself: false }));
    return;
  }
  const maps = { uid: rangesOf(pid, "uid_map"), gid: rangesOf(pid, "gid_map") };
  const root = { uid: outsideOf(maps.uid, 0) ?? 0, gid: outsideOf(maps.gid, 0) ?? 0 };
  /** The ID, or what the container sees in its stead. */
  const owner = (ranges: Ranges, id: number, path: string): number => {
    const shown = isMapped(ranges, id) ? id : outsideOf(ranges, OVERFLOW);
    if (shown !== undefined) return shown;
    throw callError(ERRNO.EOVERFLOW, {
      syscall: "chown",
      path: shownName(path),
      hint: `its owner ${id} has no ID in the user namespace: change it, or map it`,
    });
  };
  as(root, () => {
    const copy = copyTree(from, to, {
      itself: false,
      judge: (status, path) => needReadable(status, path, maps, root),
      owner: ({ uid, gid }, path) => ({ uid: owner(maps.uid, uid, path), gid: owner(maps.gid, gid, path) }),
    });
    for (const _ of copy);
  });
}

/** As the kernel has it: root of a user namespace may read all whose owner and group it has, else by the mode alone. */
function needReadable(
  { type, mode, uid, gid }: Stat,
  path: string,
  maps: { readonly uid: Ranges; readonly gid: Ranges },
  root: { readonly uid: number; readonly gid: number },
): void {
  if (isMapped(maps.uid, uid) && isMapped(maps.gid, gid)) return;
  const shift = uid === root.uid ? 6 : gid === root.gid ? 3 : 0;
  const needed = type === S_IFDIR ? 5 : 4;
  if (((mode >> shift) & needed) === needed) return;
  throw callError(ERRNO.EACCES, {
    syscall: "openat",
    path: shownName(path),
    hint: "root of the container's user namespace may not read it: give it to an ID that is mapped",
  });
}

/** Does something under another file system ID, with all capabilities that we have; only this thread changes. */
function as({ uid, gid }: { readonly uid: number; readonly gid: number }, work: () => void): void {
  const previous = { uid: sys("setfsuid", uid), gid: sys("setfsgid", gid) };
  try {
    // Leaving ID 0 took those for files away.
    raiseCapabilities();
    work();
  } finally {
    sys("setfsgid", previous.gid);
    sys("setfsuid", previous.uid);
  }
}

/** Makes all permitted capabilities effective (capset(2)). */
function raiseCapabilities(): void {
  const header = words32(LINUX_CAPABILITY_VERSION_3, 0);
  const sets = new Uint8Array(24);
  check(sys("capget", header, sets), { syscall: "capget" });
  const view = viewOf(sets);
  for (const at of [0, 12]) view.setUint32(at, view.getUint32(at + 4, true), true);
  check(sys("capset", header, sets), { syscall: "capset" });
}
