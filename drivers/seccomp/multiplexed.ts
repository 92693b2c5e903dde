/**
 * i386's two calls that are many: socketcall(2) and ipc(2), whose first argument says which one is meant.
 * A rule on `bind` has to hold for socketcall's bind as well, or a 32-bit program walks around it.
 * Numbers: include/uapi/linux/net.h (SYS_*), include/uapi/linux/ipc.h.
 */

/** In the order of their numbers, from 1. */
const socketcall = [
  "socket",
  "bind",
  "connect",
  "listen",
  "accept",
  "getsockname",
  "getpeername",
  "socketpair",
  "send",
  "recv",
  "sendto",
  "recvfrom",
  "shutdown",
  "setsockopt",
  "getsockopt",
  "sendmsg",
  "recvmsg",
  "accept4",
  "recvmmsg",
  "sendmmsg",
];

const ipc: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

/** Which call is meant, and its number there. */
interface Multiplexed {
  readonly call: "socketcall" | "ipc";
  readonly first: number;
}

let known: Map<string, Multiplexed> | undefined;

/** The call that a name goes through on i386 besides its own number, and its first argument there. */
export function multiplexed(name: string): Multiplexed | undefined {
  if (known === undefined) {
    known = new Map();
    for (const [index, each] of socketcall.entries())
      known.set(each, { call: "socketcall", first: index + 1 });
    for (const [each, first] of Object.entries(ipc)) known.set(each, { call: "ipc", first });
  }
  return known.get(name);
}

/** The other way round: what one of the two calls does with that first argument. */
export function hiddenCall(call: string, first: number): string | undefined {
  if (call === "socketcall") return socketcall[first - 1];
  // The upper half of ipc's is a version (include/uapi/linux/ipc.h).
  return call === "ipc" ? Object.keys(ipc).find((name) => ipc[name] === (first & 0xffff)) : undefined;
}
