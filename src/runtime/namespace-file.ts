/** What a file says of the namespace that it stands for (ioctl_ns(2)). Not here: entering it. */
import { NS_GET_NSTYPE, NSFS_MAGIC } from "../kernel/constants.ts";
import { liesIn } from "../kernel/file-system.ts";
import { sys } from "../kernel/raw.ts";

/** CLONE_NEW* of the namespace that an open file stands for; undefined: it stands for none. */
export function namespaceType(fd: number): number | undefined {
  return liesIn(fd, NSFS_MAGIC) ? sys("ioctl", fd, NS_GET_NSTYPE, 0) : undefined;
}
