/** The terminal of a container: a pseudo terminal of its own devpts, sent to ctr-bun, and made /dev/console. */
import {
  AT_EMPTY_PATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_PATH,
  O_RDWR,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFREG,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
  TIOCSWINSZ,
} from "../kernel/constants.ts";
import type { Process } from "../spec/runtime/config.ts";

import { openRow } from "./paths.ts";
import { descriptorBuffers, descriptorPlace, descriptorSlot, row, sendDescriptor, slot } from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

/**
 * Opens the terminal inside the container's root, after pivot_root (or setns). `console` says whether /dev/console is
 * to be bound: for the container itself, not for exec.
 */
export function consoleSteps(process: Process, console: boolean): InitStep[] {
  if (process.terminal !== true) return [];
  const rows: Row[] = [
    openRow("/dev/pts/ptmx", O_RDWR | O_NOCTTY, { store: descriptorPlace("console") }),
    row("ioctl", [descriptorSlot("console"), TIOCSPTLCK, { words: [0] }]),
    // The peer by descriptor, never by its path: /dev/pts/N could be anything (CVE-2025-52565).
    row("ioctl", [descriptorSlot("console"), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], { store: "tty" }),
  ];
  const { consoleSize } = process;
  if (consoleSize !== undefined) {
    const size = new Uint8Array(Uint16Array.of(consoleSize.height, consoleSize.width, 0, 0).buffer);
    rows.push(row("ioctl", [slot("tty"), TIOCSWINSZ, { bytes: size }]));
  }
  // Its group stays the one that the devpts mount gives terminals.
  const { uid } = process.user;
  if (uid !== 0) rows.push(row("fchown", [slot("tty"), uid, -1], { allow: "EPERM" }));
  rows.push(sendDescriptor("console"));
  if (console) {
    rows.push(
      openRow("/dev", O_PATH | O_DIRECTORY, { store: "dev" }, true),
      row("mknodat", [slot("dev"), "console", S_IFREG | 0o600, 0], { allow: "EEXIST" }),
      row("open_tree", [slot("tty"), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], {
        store: "cover",
      }),
      row("move_mount", [slot("cover"), "", slot("dev"), "console", MOVE_MOUNT_F_EMPTY_PATH]),
    );
  }
  rows.push(
    row("dup3", [slot("tty"), 0, 0]),
    row("dup3", [slot("tty"), 1, 0]),
    row("dup3", [slot("tty"), 2, 0]),
    row("ioctl", [0, TIOCSCTTY, 0]),
  );
  return [
    {
      on: "init",
      field: "process.terminal",
      about: "open a terminal",
      path: "/dev/pts/ptmx",
      rows,
      buffers: descriptorBuffers("console"),
      hints: {
        ENOENT: "a terminal needs a mount of type devpts at /dev/pts",
        ENOSPC: "the limit of terminals is reached (kernel.pty.max)",
      },
    },
  ];
}
