/** The end of what a hook says: it may write without limit, so that only the last of it is kept. */
import { POLLIN } from "../kernel/constants.ts";
import { close, tryRead } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";

/** How much is kept, in bytes. */
const KEPT = 4096;
/** What a pipe holds: read once more after the hook's end, that is all that it can have left in it. */
const PIPE = 65536;

/** What is read of a hook's pipe. */
export interface Said {
  /** To wait for: the pipe, or -1 at its end. */
  fd(): number;
  /** Reads once; there must be something to read, or the end. */
  read(): void;
  /** All that was said until now, its end; closes the pipe. */
  end(): string;
}

/** Listens to a pipe, which is closed at the end. */
export function listenTo(pipe: number): Said {
  const buffer = new Uint8Array(PIPE);
  let kept = new Uint8Array(0);
  let open = pipe;
  const read = () => {
    const n = tryRead(open, buffer);
    if (n > 0) {
      kept = Buffer.concat([kept, buffer.subarray(0, n)]).slice(-KEPT);
      return;
    }
    close(open);
    open = -1;
  };
  return {
    fd: () => open,
    read,
    end() {
      if (open >= 0 && poll([{ fd: open, events: POLLIN }], 0)[0] !== 0) read();
      if (open >= 0) close(open);
      open = -1;
      return new TextDecoder().decode(kept);
    },
  };
}
