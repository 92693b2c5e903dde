/**
 * What sh cannot do, as programs of the init machine: sockets that fill, pages that are mapped, realtime scheduling.
 * Each ends with 0 where the kernel let it, and with REFUSED where it did not.
 */
import { row } from "../../../src/plan/rows.ts";
import type { Work } from "./process.ts";

/** Exit code of what the kernel refused. */
export const REFUSED = 42;

const AF_INET = 2;
const SOCK_STREAM = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CHUNK = 1 << 16;

/** Connects to itself over TCP, and sends until the kernel takes no more of what nobody reads. */
export const sendWithoutReader: Work = {
  buffers: {
    // struct sockaddr_in: 127.0.0.1, and a port that the kernel chooses.
    address: Uint8Array.of(AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    length: Uint8Array.of(16, 0, 0, 0, 0, 0, 0, 0),
    data: CHUNK,
  },
  rows: [
    row("socket", [AF_INET, SOCK_STREAM, 0], { store: "listener" }),
    row("bind", [{ slot: "listener" }, { at: "address" }, 16]),
    row("getsockname", [{ slot: "listener" }, { at: "address" }, { at: "length" }]),
    row("listen", [{ slot: "listener" }, 1]),
    row("socket", [AF_INET, SOCK_STREAM, 0], { store: "sender" }),
    row("connect", [{ slot: "sender" }, { at: "address" }, 16]),
    row("sendto", [{ slot: "sender" }, { at: "data" }, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0], {
      label: "send",
      allow: "EAGAIN",
      onError: "full",
    }),
    row("test", [0, 0, 0], { onZero: "send" }),
    row("exit_group", [0], { label: "full" }),
  ],
};

const PROT_READ_WRITE = 3;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MAP_HUGETLB = 0x40000;

/** Maps that many bytes of huge pages, and writes to all of them. Without `reserve` only the writing can be refused. */
export function mapHugePages(bytes: number, reserve: boolean): Work {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (reserve ? 0 : MAP_NORESERVE);
  return {
    rows: [
      row("openat", [-100, "/dev/zero", 0, 0], { store: "zeros" }),
      row("mmap", [0, bytes, PROT_READ_WRITE, flags, -1, 0], {
        store: "pages",
        allow: "ENOMEM",
        onError: "refused",
      }),
      // The kernel writes for us: a page that cannot be had ends it there, and not with SIGBUS.
      row("read", [{ slot: "zeros" }, { slot: "pages" }, bytes], {
        store: "written",
        allow: "EFAULT",
        onError: "refused",
      }),
      row("test", [{ slot: "written" }, -1, bytes], { onZero: "all" }),
      row("exit_group", [REFUSED], { label: "refused" }),
      row("exit_group", [0], { label: "all" }),
    ],
  };
}

/** Asks for SCHED_FIFO with the lowest priority (struct sched_attr of sched_setattr(2)). */
export const becomeRealtime: Work = {
  rows: [
    row(
      "sched_setattr",
      [0, { bytes: new Uint8Array(Uint32Array.of(48, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0).buffer) }, 0],
      {
        allow: "EPERM",
        onError: "refused",
      },
    ),
    row("exit_group", [0]),
    row("exit_group", [REFUSED], { label: "refused" }),
  ],
};
