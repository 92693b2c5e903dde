/** Unix sockets: pairs, listening and connecting by path, messages with descriptors. */
import { fail } from "../error.ts";
import { check } from "./check.ts";
import {
  AF_UNIX,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  O_NONBLOCK,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { viewOf, words32 } from "./memory.ts";
import { addressOf, sys } from "./raw.ts";

/** Two connected SOCK_SEQPACKET sockets. */
export function socketPair(): [number, number] {
  const pair = new Uint8Array(8);
  check(sys("socketpair", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), { syscall: "socketpair" });
  const view = viewOf(pair);
  return [view.getInt32(0, true), view.getInt32(4, true)];
}

/** Bytes that a path in struct sockaddr_un may have, without its NUL (unix(7)). */
export const UNIX_PATH_MAX = 107;

/** struct sockaddr_un (unix(7)): at most 107 bytes of path. */
function unixAddress(path: string): Uint8Array {
  const bytes = new TextEncoder().encode(path);
  if (path.startsWith("@")) {
    // Abstract: a NUL in the first place, and no end but the length (as systemd and Go write it).
    bytes[0] = 0;
    return Uint8Array.from([AF_UNIX, 0, ...bytes.subarray(0, UNIX_PATH_MAX)]);
  }
  if (bytes.byteLength > UNIX_PATH_MAX) {
    throw fail({ code: "INVALID_ARGUMENT", message: `socket path longer than ${UNIX_PATH_MAX} bytes`, path });
  }
  const address = new Uint8Array(2 + bytes.byteLength + 1);
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  return address;
}

/** A listening socket at `path`, for its owner alone whatever the umask. For a path that is too long, give `/proc/self/fd/DIRFD/name`. */
export function listenUnix(path: string, backlog = 1): number {
  const address = unixAddress(path);
  const fd = check(sys("socket", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), { syscall: "socket" });
  // The socket's mode becomes that of its name (unix_bind_bsd() in net/unix/af_unix.c), without a moment in between.
  check(sys("fchmod", fd, 0o600), { syscall: "fchmod" });
  const bound = sys("bind", fd, address, address.byteLength);
  const listening = bound < 0 ? bound : sys("listen", fd, backlog);
  if (listening < 0) sys("close", fd);
  check(bound, { syscall: "bind", path });
  check(listening, { syscall: "listen", path });
  return fd;
}

/** A SOCK_DGRAM socket at `path`. */
export function bindDatagram(path: string): number {
  return datagramSocket("bind", path);
}

/** A SOCK_DGRAM socket that sends to `path`, abstract with a leading `@`. */
export function connectDatagram(path: string): number {
  return datagramSocket("connect", path);
}

function datagramSocket(syscall: "bind" | "connect", path: string): number {
  const address = unixAddress(path);
  const fd = check(sys("socket", AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), { syscall: "socket" });
  const result = sys(syscall, fd, address, address.byteLength);
  if (result < 0) sys("close", fd);
  check(result, { syscall, path });
  return fd;
}

/** Connects to a unix socket; the descriptor or -errno. */
export function tryConnectUnix(path: string, stream = false): number {
  return tryConnect(path, stream ? SOCK_STREAM : SOCK_SEQPACKET);
}

/**
 * Connects to a SOCK_STREAM socket, of which nothing blocks afterwards; the descriptor or -errno. EAGAIN: as many as the
 * other side lets wait are waiting already.
 */
export function tryConnectStream(path: string): number {
  return tryConnect(path, SOCK_STREAM | O_NONBLOCK);
}

function tryConnect(path: string, type: number): number {
  const address = unixAddress(path);
  const fd = check(sys("socket", AF_UNIX, type | SOCK_CLOEXEC, 0), { syscall: "socket" });
  let result: number;
  do result = sys("connect", fd, address, address.byteLength);
  while (result === -ERRNO.EINTR);
  if (result < 0) {
    sys("close", fd);
    return result;
  }
  return fd;
}

/** A message, and a descriptor that came with it. `length` 0: the other side is gone. */
export interface Message {
  readonly length: number;
  readonly fd: number | undefined;
}

/** A cmsghdr with one descriptor: its length, and with the padding that CMSG_SPACE(3) adds. */
const ONE_DESCRIPTOR = 20;
const CONTROL = 24;

/** Mentions memory after a call in which the kernel used its address, so that it is not collected before. */
function keepAlive(..._memory: readonly unknown[]): void {}

/** struct msghdr, with its iovec and control buffer (recvmsg(2), cmsg(3)). Kept by the caller during the call. */
function messageHeader(data: Uint8Array, control: Uint8Array | undefined) {
  const iovec = new Uint8Array(16);
  const iov = viewOf(iovec);
  iov.setBigUint64(0, BigInt(addressOf(data)), true);
  iov.setBigUint64(8, BigInt(data.byteLength), true);
  const header = new Uint8Array(56);
  const view = viewOf(header);
  view.setBigUint64(16, BigInt(addressOf(iovec)), true);
  view.setBigUint64(24, 1n, true);
  if (control !== undefined) {
    view.setBigUint64(32, BigInt(addressOf(control)), true);
    view.setBigUint64(40, BigInt(control.byteLength), true);
  }
  return { header, iovec, view };
}

/** recvmsg(2) with room for one descriptor; a negative `length` is -errno. Restarted on EINTR. */
export function receive(fd: number, data: Uint8Array, flags = 0): Message {
  const control = new Uint8Array(CONTROL);
  const memory = messageHeader(data, control);
  const { header, view } = memory;
  let length: number;
  do {
    // Room for exactly one descriptor: the kernel closes what does not fit.
    view.setBigUint64(40, BigInt(ONE_DESCRIPTOR), true);
    length = sys("recvmsg", fd, header, MSG_CMSG_CLOEXEC | flags);
  } while (length === -ERRNO.EINTR);
  keepAlive(memory, control);
  if (length < 0 || view.getBigUint64(40, true) < BigInt(ONE_DESCRIPTOR)) return { length, fd: undefined };
  const rights = viewOf(control);
  const isRights = rights.getInt32(8, true) === SOL_SOCKET && rights.getInt32(12, true) === SCM_RIGHTS;
  return { length, fd: isRights ? rights.getInt32(16, true) : undefined };
}

/** Sends bytes and a descriptor (SCM_RIGHTS). */
export function sendDescriptor(socket: number, data: Uint8Array, fd: number): void {
  check(trySendDescriptor(socket, data, fd), { syscall: "sendmsg" });
}

/** As {@link sendDescriptor}; how many bytes went, the descriptor with them, or -errno. */
export function trySendDescriptor(socket: number, data: Uint8Array, fd: number): number {
  const control = new Uint8Array(CONTROL);
  control.set(words32(ONE_DESCRIPTOR, 0, SOL_SOCKET, SCM_RIGHTS, fd));
  const memory = messageHeader(data, control);
  let result: number;
  do result = sys("sendmsg", socket, memory.header, MSG_NOSIGNAL);
  while (result === -ERRNO.EINTR);
  keepAlive(memory, control);
  return result;
}
