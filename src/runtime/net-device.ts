/**
 * A network device moved into the container's network namespace, and back when the container comes to nothing.
 * Addresses do not survive a move in the kernel: they are read before and given again. Not here: netlink (kernel/link.ts).
 */
import { fail } from "../error.ts";
import {
  IFA_F_PERMANENT,
  IFA_LABEL,
  O_RDONLY,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
} from "../kernel/constants.ts";
import { close, open, statusOf, withFd } from "../kernel/file.ts";
import {
  addAddress,
  addressesOf,
  findLink,
  type Link,
  type LinkAddress,
  linkOf,
  moveLink,
  renameLink,
  routeSocketIn,
  setLinkUp,
} from "../kernel/link.ts";
import { textOf } from "../kernel/memory.ts";
import { openRouteSocket } from "../kernel/netlink.ts";
import type { NetDeviceAction } from "../plan/step.ts";

const LONGEST_NAME = 15;
const AF_INET6 = 10;

/** Of what host steps work on (act.ts): what moving a device needs. */
interface MoveContext {
  readonly pid: number | undefined;
  readonly descriptors: Record<string, number>;
  readonly undo: (() => void)[];
}

/** What is needed to move a device back. */
interface Moved {
  /** Open on the container's network namespace. */
  readonly namespace: number;
  /** There. */
  readonly index: number;
  /** As it was here. */
  readonly link: Link;
  readonly addresses: readonly LinkAddress[];
}

/** Carries the action out; what it did is added to `context.undo`. */
export function moveNetDevice({ device, name }: NetDeviceAction, context: MoveContext): void {
  const { pid } = context;
  if (pid === undefined)
    throw fail({ code: "INTERNAL", message: "a network device before there is a process" });
  const namespace = open(`/proc/${pid}/ns/net`, O_RDONLY);
  // Kept until all is done or undone: it also keeps the namespace, and the device in it, alive.
  context.descriptors[`network of ${device}`] = namespace;
  needAnother(namespace);
  withFd(openRouteSocket(), (here) => {
    withFd(routeSocketIn(namespace), (there) => {
      const link = findLink(here, device);
      if (link === undefined) throw notFound(device);
      if (findLink(there, name) !== undefined) throw isTaken(name);
      const addresses = addressesOf(here, link.index);
      // Under a name of its own it cannot be mistaken for another one there, and what fails later fails with it in hand.
      const passing = passingName();
      moveLink(here, link.index, namespace, passing);
      const index = findLink(there, passing)?.index ?? link.index;
      context.undo.push(() => moveBack({ namespace, index, link, addresses }));
      renameLink(there, index, name);
      const newName = linkOf(there, index).name;
      for (const address of addresses) {
        const stays = (address.flags & IFA_F_PERMANENT) !== 0 && address.scope === RT_SCOPE_UNIVERSE;
        if (stays) addAddress(there, index, address, labelOf(address, device, newName));
      }
      setLinkUp(there, index);
    });
  });
}

/** Moves it back under its own name, with all of its addresses; up if it was. Routes over it are gone. */
function moveBack({ namespace, index, link, addresses }: Moved): void {
  withFd(routeSocketIn(namespace), (there) => {
    const own = open("/proc/thread-self/ns/net", O_RDONLY);
    try {
      moveLink(there, index, own, link.name);
    } finally {
      close(own);
    }
  });
  withFd(openRouteSocket(), (here) => {
    const back = findLink(here, link.name);
    if (back === undefined) throw notFound(link.name);
    for (const address of addresses) {
      // The kernel makes this one by itself.
      if (address.family === AF_INET6 && address.scope === RT_SCOPE_LINK) continue;
      addAddress(here, back.index, address, labelOf(address, link.name, link.name));
    }
    if (link.up) setLinkUp(here, back.index);
  });
}

/** A path that leads to ctr-bun's own namespace may have been given: a device is not renamed on the host. */
function needAnother(namespace: number): void {
  const theirs = statusOf("", namespace);
  const own = statusOf("/proc/thread-self/ns/net", undefined, 0);
  if (theirs !== undefined && theirs.ino !== own?.ino) return;
  throw fail({
    code: "INVALID_CONFIG",
    message: "unable to move network devices without a private NET namespace",
    hint: "the path of linux.namespaces leads to ctr-bun's own network namespace",
  });
}

/** IPv4 addresses have labels, which begin with the device's name (ip-address(8)); undefined: the name itself. */
function labelOf({ attributes }: LinkAddress, name: string, newName: string): string | undefined {
  const bytes = attributes.get(IFA_LABEL);
  const label = bytes === undefined ? "" : textOf(bytes);
  if (!label.startsWith(`${name}:`)) return undefined;
  const renamed = `${newName}${label.slice(name.length)}`;
  return renamed.length > LONGEST_NAME ? undefined : renamed;
}

function passingName(): string {
  return `ctr${Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex")}`;
}

function notFound(device: string): Error {
  return fail({
    code: "NOT_FOUND",
    message: `link not found for interface ${device} on runtime namespace`,
    errno: "ENODEV",
    hint: "`ip link` shows the network devices that there are",
  });
}

function isTaken(name: string): Error {
  return fail({
    code: "NAME_TAKEN",
    message: `the container's network namespace has a device ${name} already`,
    errno: "EEXIST",
    hint: "give another name, or a template such as eth%d",
  });
}
