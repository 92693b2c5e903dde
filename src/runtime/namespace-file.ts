/** What a file says of the namespace that it stands for (ioctl_ns(2)). Not here: entering it. */
import { NS_GET_NSTYPE, NSFS_MAGIC } from "../kernel/constants.ts";
import { viewOf } from "../kernel/memory.ts";
import { sys } from "../kernel/raw.ts";

/** CLONE_NEW* of the namespace that an open file stands for; undefined: it stands for none. */
export function namespaceType(fd: number): number | undefined {
  const status = new Uint8Array(120);
  // f_type is the first word of struct statfs (statfs(2)).
  if (sys("fstatfs", fd, status) < 0) return undefined;
  if (viewOf(status).getBigInt64(0, true) !== BigInt(NSFS_MAGIC)) return undefined;
  return sys("ioctl", fd, NS_GET_NSTYPE, 0);
}
