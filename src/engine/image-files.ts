/**
 * Who a user of an image is, by its own files. Not here: reading such files, which are hostile (runtime/root-file.ts);
 * what they say (config/user.ts).
 */
import { CtrError } from "../error.ts";
import { openDirectory, withFd } from "../kernel/file.ts";
import { readRootFile } from "../runtime/root-file.ts";
import { type ResolvedUser, resolveUser, type UserFiles } from "./config/user.ts";

/**
 * The user that `text` means in an image. `UID:GID` needs no file, and works where the image's are unusable.
 * @param field where it was given, for messages.
 */
export function findUser(rootfs: string, text: string, field: string): ResolvedUser {
  try {
    return resolveUser(text, userFiles(rootfs), field);
  } catch (error) {
    if (error instanceof CtrError && error.code === "UNSAFE_FILE" && /^\d+:\d+$/.test(text)) {
      return resolveUser(text, { passwd: undefined, group: undefined }, field);
    }
    throw error;
  }
}

/** Texts of an image's passwd and group files. @throws CtrError UNSAFE_FILE. */
export function userFiles(rootfs: string): UserFiles {
  return withFd(openDirectory(rootfs), (root) => ({
    passwd: readRootFile(root, "/etc/passwd"),
    group: readRootFile(root, "/etc/group"),
  }));
}
