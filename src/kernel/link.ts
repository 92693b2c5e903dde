/**
 * Network devices and their addresses by rtnetlink (rtnetlink(7)), and sockets in another network namespace.
 * Not here: bytes (netlink.ts), which devices a container gets (runtime/net-device.ts).
 */
import { asCtrError, fail } from "../error.ts";
import { check } from "./check.ts";
import {
  CLONE_NEWNET,
  IFA_CACHEINFO,
  IFA_F_CHOSEN,
  IFA_F_PERMANENT,
  IFA_FLAGS,
  IFA_LABEL,
  IFF_UP,
  IFLA_IFNAME,
  IFLA_NET_NS_FD,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  O_RDONLY,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from "./constants.ts";
import { close, open } from "./file.ts";
import { cString, textOf, viewOf, words32 } from "./memory.ts";
import { attribute, decodeAttributes, type NetlinkMessage, openRouteSocket, request } from "./netlink.ts";
import { sys } from "./raw.ts";

/** struct ifinfomsg and struct ifaddrmsg. */
const LINK_HEADER = 16;
const ADDRESS_HEADER = 8;

/** A network device. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
}

/** An address of a device: the struct and the attributes as the kernel gave them. */
export interface LinkAddress {
  readonly family: number;
  readonly prefix: number;
  readonly scope: number;
  /** All 32 bits of IFA_F_*. */
  readonly flags: number;
  readonly attributes: ReadonlyMap<number, Uint8Array>;
}

/**
 * A route socket in the network namespace that `namespace` is open on. The calling thread is in it for the length of one
 * socket(2); no other thread ever is.
 */
export function routeSocketIn(namespace: number): number {
  const own = open("/proc/thread-self/ns/net", O_RDONLY);
  try {
    check(sys("setns", namespace, CLONE_NEWNET), {
      syscall: "setns",
      message: "entering the network namespace",
    });
    try {
      return openRouteSocket();
    } finally {
      // A thread that cannot come back must not go on.
      if (sys("setns", own, CLONE_NEWNET) < 0) process.abort();
    }
  } finally {
    close(own);
  }
}

function linkHeader(index: number, flags = 0, change = 0): Uint8Array {
  return words32(0, index, flags, change);
}

function readLink({ type, body }: NetlinkMessage): Link | undefined {
  if (type !== RTM_NEWLINK || body.byteLength < LINK_HEADER) return undefined;
  const view = viewOf(body);
  const name = decodeAttributes(body.subarray(LINK_HEADER)).get(IFLA_IFNAME);
  if (name === undefined) return undefined;
  return {
    index: view.getInt32(4, true),
    name: textOf(name),
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
  };
}

/** The device of that name; undefined where there is none. An alternative name is none here. */
export function findLink(socket: number, name: string): Link | undefined {
  try {
    const asked = {
      type: RTM_GETLINK,
      header: linkHeader(0),
      attributes: [attribute(IFLA_IFNAME, cString(name))],
    };
    for (const message of request(socket, asked, `looking the network device ${name} up`)) {
      const link = readLink(message);
      if (link?.name === name) return link;
    }
  } catch (error) {
    if (asCtrError(error).errno !== "ENODEV") throw error;
  }
  return undefined;
}

/** The device of that index, which must be there. */
export function linkOf(socket: number, index: number): Link {
  const asked = { type: RTM_GETLINK, header: linkHeader(index) };
  for (const message of request(socket, asked, "looking the network device up")) {
    const link = readLink(message);
    if (link?.index === index) return link;
  }
  throw fail({ code: "NETLINK", message: `the kernel does not answer for the network device ${index}` });
}

/** Moves a device to the network namespace that `namespace` is open on, and gives it a name there, in one request. */
export function moveLink(socket: number, index: number, namespace: number, name: string): void {
  const attributes = [attribute(IFLA_NET_NS_FD, words32(namespace)), attribute(IFLA_IFNAME, cString(name))];
  request(socket, { type: RTM_NEWLINK, header: linkHeader(index), attributes }, "moving it");
}

/** A template (`eth%d`) becomes the first such name that is free. */
export function renameLink(socket: number, index: number, name: string): void {
  const attributes = [attribute(IFLA_IFNAME, cString(name))];
  request(socket, { type: RTM_NEWLINK, header: linkHeader(index), attributes }, `naming it ${name}`);
}

export function setLinkUp(socket: number, index: number): void {
  request(socket, { type: RTM_NEWLINK, header: linkHeader(index, IFF_UP, IFF_UP) }, "bringing it up");
}

/** All addresses of a device, of every family. */
export function addressesOf(socket: number, index: number): LinkAddress[] {
  const header = new Uint8Array(ADDRESS_HEADER);
  viewOf(header).setUint32(4, index, true);
  const asked = { type: RTM_GETADDR, flags: NLM_F_DUMP, header };
  return request(socket, asked, "reading its addresses").flatMap(({ type, body }) => {
    if (type !== RTM_NEWADDR || body.byteLength < ADDRESS_HEADER) return [];
    const view = viewOf(body);
    if (view.getUint32(4, true) !== index) return [];
    const attributes = decodeAttributes(body.subarray(ADDRESS_HEADER));
    const wide = attributes.get(IFA_FLAGS);
    const flags = wide === undefined ? view.getUint8(2) : viewOf(wide).getUint32(0, true);
    return [
      { family: view.getUint8(0), prefix: view.getUint8(1), scope: view.getUint8(3), flags, attributes },
    ];
  });
}

/** Gives a device an address; one that it has already is left as it is asked for. `label`: undefined for none. */
export function addAddress(
  socket: number,
  index: number,
  { family, prefix, scope, flags, attributes }: LinkAddress,
  label: string | undefined,
): void {
  const chosen = flags & IFA_F_CHOSEN;
  const header = new Uint8Array(ADDRESS_HEADER);
  header.set([family, prefix, chosen & 0xff, scope]);
  viewOf(header).setUint32(4, index, true);
  const given = [attribute(IFA_FLAGS, words32(chosen))];
  if (label !== undefined) given.push(attribute(IFA_LABEL, cString(label)));
  for (const [type, contents] of attributes) {
    // The lifetimes of one that is permanent are no lifetimes.
    if (type === IFA_FLAGS || type === IFA_LABEL) continue;
    if (type === IFA_CACHEINFO && (flags & IFA_F_PERMANENT) !== 0) continue;
    given.push(attribute(type, contents));
  }
  const asked = { type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_REPLACE, header, attributes: given };
  request(socket, asked, "giving it an address");
}
