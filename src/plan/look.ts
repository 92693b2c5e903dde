/**
 * Program of a helper that looks into a mount namespace that a container is to join: it sends what ctr-bun can look
 * through, and ends. Pure. Not here: what is looked for (runtime/facts.ts).
 */
import {
  AT_FDCWD,
  CLONE_NEWNS,
  CLONE_NEWUSER,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  PR_SET_NAME,
} from "../kernel/constants.ts";
import { descriptorBuffers, descriptorPlace, row, sendDescriptor, slot } from "./rows.ts";
import type { InitStep } from "./step.ts";

/**
 * Sends the namespace's root directory, and its mountinfo, which stays that of the namespace. `user`: a user namespace is
 * entered before, in which an ordinary user has what the other takes.
 */
export const lookSteps = (user: boolean): readonly InitStep[] => [
  {
    on: "init",
    field: "linux.namespaces",
    about: "look into the mount namespace that is joined",
    rows: [
      row("prctl", [PR_SET_NAME, "ctr-helper", 0, 0, 0]),
      // Behind setns(2) there may be any /proc, or none.
      row("openat", [AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { store: "self" }),
      ...(user ? [row("setns", [{ fd: "user" }, CLONE_NEWUSER])] : []),
      row("setns", [{ fd: "namespace" }, CLONE_NEWNS]),
      row("openat", [AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
        store: descriptorPlace("source", " root"),
      }),
      sendDescriptor("source", " root"),
      row("openat", [slot("self"), "mountinfo", O_RDONLY | O_CLOEXEC, 0], {
        store: descriptorPlace("source", " mounts"),
      }),
      sendDescriptor("source", " mounts"),
      row("exit_group", [0]),
    ],
    buffers: { ...descriptorBuffers("source", " root"), ...descriptorBuffers("source", " mounts") },
    hints: { EPERM: "joining it takes CAP_SYS_ADMIN in the user namespace that owns it" },
  },
];
