/**
 * Reading files of an image's root file system, which is hostile: links that lead anywhere, devices and pipes that
 * never end, files of any size (rules R1 and R5). Not here: what the files say.
 */
import { CtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY, S_IFREG } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { openDirectory, readAll, statusOf, tryOpenInRoot, withFd } from "../kernel/file.ts";
import { type ResolvedUser, resolveUser, type UserFiles } from "./config/user.ts";

/** What passwd and group files of any sense stay far below. */
const MAX_BYTES = 1024 * 1024;

/**
 * The user that `text` means in an image. `UID:GID` needs no file, and works where the image's are unusable.
 * @param field where it was given, for messages.
 */
export function findUser(rootfs: string, text: string, field: string): ResolvedUser {
  try {
    return resolveUser(text, readUserFiles(rootfs), field);
  } catch (error) {
    if (error instanceof CtrError && error.code === "UNSAFE_FILE" && /^\d+:\d+$/.test(text)) {
      return resolveUser(text, { passwd: undefined, group: undefined }, field);
    }
    throw error;
  }
}

function readUserFiles(rootfs: string): UserFiles {
  return withFd(openDirectory(rootfs), (root) => ({
    passwd: readImageFile(root, "/etc/passwd"),
    group: readImageFile(root, "/etc/group"),
  }));
}

/**
 * Text of a regular file of at most 1 MiB inside a root; undefined where there is none.
 * @throws CtrError UNSAFE_FILE for anything else at that path.
 */
export function readImageFile(root: number, path: string): string | undefined {
  const place = tryOpenInRoot(root, path, O_PATH);
  if (place === -ERRNO.ENOENT || place === -ERRNO.ENOTDIR) return undefined;
  if (place === -ERRNO.ELOOP) throw unsafeFile(path, "leads through too many links");
  withFd(check(place, { syscall: "openat2", path }), (fd) => judge(fd, path));
  // O_NONBLOCK: should the file have changed meanwhile, opening a pipe would wait for ever.
  const fd = check(tryOpenInRoot(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY), { syscall: "openat2", path });
  return withFd(fd, (file) => {
    judge(file, path);
    return new TextDecoder().decode(readAll(file, path, MAX_BYTES));
  });
}

function judge(fd: number, path: string): void {
  const { type, size } = statusOf("", fd) ?? { type: 0, size: 0 };
  const why = type !== S_IFREG ? "is not a regular file" : size > MAX_BYTES ? "is above 1 MiB" : undefined;
  if (why === undefined) return;
  throw unsafeFile(path, why);
}

function unsafeFile(path: string, why: string): CtrError {
  return fail({
    code: "UNSAFE_FILE",
    message: `${path} of the image ${why}`,
    path,
    hint: "a user given as UID:GID needs no such file: -u 1000:1000",
  });
}
