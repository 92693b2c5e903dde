/**
 * Text to standard output and standard error by write(2). JavaScript's own streams cost more to set up than a whole
 * container (some 600 page faults), so nothing on the way of a start touches them.
 */
import { callError } from "./check.ts";
import { POLLOUT } from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { poll } from "./poll.ts";
import { sys } from "./raw.ts";

function put(fd: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.byteLength; ) {
    const n = sys("write", fd, bytes.subarray(done), bytes.byteLength - done);
    if (n === -ERRNO.EAGAIN) poll([{ fd, events: POLLOUT }]);
    // A reader that has gone wants no more, and is no error.
    else if (n === -ERRNO.EPIPE) return;
    else if (n < 0 && n !== -ERRNO.EINTR) {
      if (fd === 1) throw callError(-n, { syscall: "write", message: "cannot write to standard output" });
      return;
    } else if (n > 0) done += n;
  }
}

/** Writes to standard output. Throws where it cannot take it (a full disk, a closed descriptor). */
export function print(text: string): void {
  put(1, text);
}

/** Writes to standard error. */
export function printError(text: string): void {
  put(2, text);
}
