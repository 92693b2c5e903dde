/**
 * Netlink (netlink(7)): messages and attributes as bytes, both ways, and one request with its answers. Every length is
 * checked where it is written and where it is read: a length that wraps around would turn one attribute's contents into
 * the next ones (CVE-2021-43784). Not here: what rtnetlink's messages mean (link.ts).
 */
import { fail } from "../error.ts";
import { callError, check } from "./check.ts";
import {
  AF_NETLINK,
  MSG_TRUNC,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGERR_ATTR_MSG,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { textOf, viewOf, words32 } from "./memory.ts";
import { sys } from "./raw.ts";

/** struct nlmsghdr, and struct nlattr's head. */
const HEADER = 16;
const ATTRIBUTE_HEADER = 4;
/** nla_len is a u16 and counts the head. */
const LONGEST_ATTRIBUTE = 0xffff - ATTRIBUTE_HEADER;
/** The kernel answers a dump in pieces of at most 32 KiB; one device with many functions may take more. */
const ANSWER = 256 << 10;
/** How often a dump is asked for again that something changed under. */
const TRIES = 16;

/** A message without its head. */
export interface NetlinkMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/** What is asked: `header` is the family's own struct, `attributes` come from {@link attribute}. */
export interface NetlinkRequest {
  readonly type: number;
  /** Besides NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags?: number;
  readonly header: Uint8Array;
  readonly attributes?: readonly Uint8Array[];
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** One attribute, padded. Contents that its length cannot tell are refused. */
export function attribute(type: number, contents: Uint8Array): Uint8Array {
  const length = contents.byteLength;
  if (length > LONGEST_ATTRIBUTE || type < 0 || type > 0xffff) {
    throw fail({
      code: "INVALID_ARGUMENT",
      message: `netlink attribute ${type} of ${length} bytes: at most ${LONGEST_ATTRIBUTE} can be sent`,
    });
  }
  const bytes = new Uint8Array(ATTRIBUTE_HEADER + aligned(length));
  const view = viewOf(bytes);
  view.setUint16(0, ATTRIBUTE_HEADER + length, true);
  view.setUint16(2, type, true);
  bytes.set(contents, ATTRIBUTE_HEADER);
  return bytes;
}

/** A whole message. */
export function encodeRequest(
  { type, flags = 0, header, attributes = [] }: NetlinkRequest,
  sequence: number,
) {
  const head = aligned(header.byteLength);
  const length = attributes.reduce((sum, { byteLength }) => sum + byteLength, HEADER + head);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags | NLM_F_REQUEST | NLM_F_ACK, true);
  view.setUint32(8, sequence, true);
  bytes.set(header, HEADER);
  let at = HEADER + head;
  for (const each of attributes) {
    bytes.set(each, at);
    at += each.byteLength;
  }
  return bytes;
}

function malformed(what: string): Error {
  return fail({ code: "NETLINK", message: `the kernel's answer has ${what} whose length is wrong` });
}

/** Attributes by type, the last of each; the two flags in the type (NLA_TYPE_MASK) are taken off. */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const view = viewOf(bytes);
  for (let at = 0; at + ATTRIBUTE_HEADER <= bytes.byteLength; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER || at + length > bytes.byteLength) throw malformed("an attribute");
    found.set(view.getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + ATTRIBUTE_HEADER, at + length));
    at += aligned(length);
  }
  return found;
}

interface Decoded extends NetlinkMessage {
  readonly flags: number;
  readonly sequence: number;
}

/** All messages of one datagram. */
export function decodeMessages(bytes: Uint8Array): Decoded[] {
  const messages: Decoded[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at + HEADER <= bytes.byteLength; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > bytes.byteLength) throw malformed("a message");
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.subarray(at + HEADER, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** struct nlmsgerr: 0 or -errno, and the kernel's own words (NETLINK_EXT_ACK) where it has any. */
export function decodeError({ body, flags }: Pick<Decoded, "body" | "flags">): {
  errno: number;
  words: string | undefined;
} {
  if (body.byteLength < 4 + HEADER) throw malformed("an error");
  const view = viewOf(body);
  const errno = -view.getInt32(0, true);
  const echoed = (flags & NLM_F_CAPPED) !== 0 ? HEADER : view.getUint32(4, true);
  const at = 4 + aligned(echoed);
  const words =
    at >= body.byteLength ? undefined : decodeAttributes(body.subarray(at)).get(NLMSGERR_ATTR_MSG);
  return { errno, words: words === undefined ? undefined : textOf(words) };
}

/** A socket to rtnetlink in the network namespace of the calling thread. */
export function openRouteSocket(): number {
  const fd = check(sys("socket", AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), { syscall: "socket" });
  const on = words32(1);
  for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
    check(sys("setsockopt", fd, SOL_NETLINK, option, on, 4), { syscall: "setsockopt" });
  return fd;
}

let lastSequence = 0;

/** One datagram from the kernel itself: what another process has sent is passed over. */
function receiveFromKernel(fd: number, buffer: Uint8Array): Uint8Array {
  for (;;) {
    const sender = new Uint8Array(12);
    const length = sys("recvfrom", fd, buffer, buffer.byteLength, MSG_TRUNC, sender, words32(12));
    if (length === -ERRNO.EINTR) continue;
    check(length, { syscall: "recvfrom" });
    if (length > buffer.byteLength) throw malformed("a datagram");
    if (viewOf(sender).getUint32(4, true) === 0) return buffer.subarray(0, length);
  }
}

/** Answers of one try; undefined where they changed while they were being written. */
function exchange(fd: number, request: NetlinkRequest, what: string): NetlinkMessage[] | undefined {
  lastSequence = (lastSequence + 1) >>> 0;
  const bytes = encodeRequest(request, lastSequence);
  check(sys("sendto", fd, bytes, bytes.byteLength), { syscall: "sendto", message: what });
  const answers: NetlinkMessage[] = [];
  const isDump = ((request.flags ?? 0) & NLM_F_DUMP) === NLM_F_DUMP;
  let changed = false;
  for (;;) {
    const buffer = new Uint8Array(ANSWER);
    for (const message of decodeMessages(receiveFromKernel(fd, buffer))) {
      if (message.sequence !== lastSequence) continue;
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) changed = true;
      if (message.type === NLMSG_DONE) {
        // What kept a dump from ending well (a device that is gone, say) stands in its last message.
        const errno = message.body.byteLength < 4 ? 0 : -viewOf(message.body).getInt32(0, true);
        if (errno > 0) throw callError(errno, { syscall: "netlink", message: what });
        return changed ? undefined : answers;
      }
      if (message.type !== NLMSG_ERROR) {
        answers.push(message);
        continue;
      }
      const { errno, words } = decodeError(message);
      if (errno !== 0)
        throw callError(errno, {
          syscall: "netlink",
          message: words === undefined ? what : `${what}: ${words}`,
        });
      if (!isDump) return answers;
    }
  }
}

/** Sends a request and returns what the kernel answers; `what` begins the message of an error. */
export function request(fd: number, asked: NetlinkRequest, what: string): NetlinkMessage[] {
  for (let tries = 0; tries < TRIES; tries++) {
    const answers = exchange(fd, asked, what);
    if (answers !== undefined) return answers;
  }
  throw callError(ERRNO.EAGAIN, { syscall: "netlink", message: what });
}
