/** Terminals (ioctl_tty(2), termios(3)): raw mode and window size. */
import { check } from "./check.ts";
import { TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ } from "./constants.ts";
import { viewOf } from "./memory.ts";
import { sys } from "./raw.ts";

/** struct termios of the kernel: four flag words, a line discipline, 19 control characters. */
const TERMIOS = 36;
// asm-generic/termbits.h
const IGNBRK_TO_IXON = 0o2753;
const OPOST = 1;
const CSIZE_PARENB = 0o460;
const CS8 = 0o60;
const LOCAL = 0o100113;

/** Whether a descriptor is a terminal. */
export function isTerminal(fd: number): boolean {
  return sys("ioctl", fd, TCGETS, new Uint8Array(TERMIOS)) === 0;
}

/** Makes a terminal raw (cfmakeraw(3)) and returns what gives it back as it was. */
export function makeRaw(fd: number): () => void {
  const saved = new Uint8Array(TERMIOS);
  check(sys("ioctl", fd, TCGETS, saved), { syscall: "ioctl", message: "standard input is not a terminal" });
  const raw = saved.slice();
  const view = viewOf(raw);
  view.setUint32(0, view.getUint32(0, true) & ~IGNBRK_TO_IXON, true);
  view.setUint32(4, view.getUint32(4, true) & ~OPOST, true);
  view.setUint32(8, (view.getUint32(8, true) & ~CSIZE_PARENB) | CS8, true);
  view.setUint32(12, view.getUint32(12, true) & ~LOCAL, true);
  raw[17 + 6] = 1; // VMIN
  raw[17 + 5] = 0; // VTIME
  check(sys("ioctl", fd, TCSETS, raw), { syscall: "ioctl" });
  return () => {
    sys("ioctl", fd, TCSETS, saved);
  };
}

/** Gives one terminal the window size of another; where `from` is none, nothing changes. */
export function copyWindowSize(from: number, to: number): void {
  const size = new Uint8Array(8);
  if (sys("ioctl", from, TIOCGWINSZ, size) === 0) sys("ioctl", to, TIOCSWINSZ, size);
}
