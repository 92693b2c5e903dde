/**
 * What programs expect, and runc and crun give them without being asked: HOME, from the root file system's own passwd
 * file, where the config names none; and on a tmpfs without a mode that of the directory which it covers. Engines ask
 * for its content to be copied too (tmpcopyup), mostly where there is none: then nothing is to be done.
 */
import { O_DIRECTORY, O_PATH, O_RDONLY } from "../kernel/constants.ts";
import { close, listDirectory, statusOf, tryOpen, tryOpenInRoot } from "../kernel/file.ts";
import type { MountFact, PlanFacts } from "../plan/input.ts";
import { optionsOf } from "../plan/mount-options.ts";
import type { Mount, Process, RuntimeConfig } from "../spec/runtime/config.ts";
import { homeOf, type PasswdPlace, readPasswd } from "./root-file.ts";
import type { View } from "./view.ts";

const PASSWD = "/etc/passwd";

/** Adds HOME where it is missing or empty. */
export function withHome(process: Process, passwd: PasswdPlace | undefined): Process {
  const env = process.env ?? [];
  if (env.some((entry) => entry.startsWith("HOME=") && entry !== "HOME=")) return process;
  const home = passwd === undefined ? "/" : homeOf(process.user.uid, readPasswd(passwd));
  return { ...process, env: [...env.filter((entry) => entry !== "HOME="), `HOME=${home}`] };
}

/** The passwd file in a root that stands already: the host's path to it. */
export function passwdIn(rootfs: string): PasswdPlace {
  return { root: rootfs, path: PASSWD };
}

/** The passwd file that the container will have: the root's, or what is mounted over it. undefined: none. */
function passwdOf({ mounts = [] }: RuntimeConfig, facts: PlanFacts, view: View): PasswdPlace | undefined {
  const last = facts.mounts.findLastIndex(
    ({ destination }, index) =>
      !isRemount(mounts[index]) &&
      (destination === "/" || destination === PASSWD || PASSWD.startsWith(`${destination}/`)),
  );
  const [fact, mount] = [facts.mounts[last], mounts[last]];
  if (fact === undefined || mount === undefined) return passwdIn(view.see(facts.rootfs));
  if (!optionsOf(mount).bind) return undefined;
  const inside = PASSWD.slice(fact.destination === "/" ? 0 : fact.destination.length);
  const root = view.see(fact.source);
  return inside === "" ? { root } : { root, path: inside };
}

function isRemount(mount: Mount | undefined): boolean {
  return mount !== undefined && optionsOf(mount).remount;
}

/** Whether a mount is a file system of its own in memory, made new. */
function isNewTmpfs({ type, options = [] }: Mount): boolean {
  return type === "tmpfs" && !options.some((option) => /^(r?bind|remount)$/.test(option));
}

/** A tmpfs with the mode of the directory that it covers, and without the copy of one in which there is nothing. */
function completeTmpfs(mount: Mount, fact: MountFact, rootfs: string): Mount {
  const given = mount.options ?? [];
  const lacksMode = !given.some((option) => option.startsWith("mode="));
  const copies = given.includes("tmpcopyup");
  if (!lacksMode && !copies) return mount;
  const missing = fact.missing > 0;
  const covered = missing || fact.inside !== -1 ? undefined : lookAtDirectory(rootfs, fact.destination);
  const mode = lacksMode && covered !== undefined ? [`mode=${covered.mode.toString(8)}`] : [];
  const nothing = missing || covered?.empty === true;
  const options = nothing ? given.filter((option) => option !== "tmpcopyup") : given;
  return { ...mount, options: [...options, ...mode] };
}

/** A directory of the root file system; undefined where it cannot be looked at. */
function lookAtDirectory(rootfs: string, path: string): { mode: number; empty: boolean } | undefined {
  const root = tryOpen(rootfs, O_PATH | O_DIRECTORY);
  if (root < 0) return undefined;
  const fd = tryOpenInRoot(root, path, O_RDONLY | O_DIRECTORY);
  close(root);
  if (fd < 0) return undefined;
  try {
    const mode = (statusOf("", fd)?.mode ?? 0o1777) & 0o7777;
    return { mode, empty: listDirectory(fd).length === 0 };
  } finally {
    close(fd);
  }
}

/** The config with all of it. */
export function withCustoms(config: RuntimeConfig, facts: PlanFacts, view: View): RuntimeConfig {
  const { process, mounts } = config;
  const complete = (mount: Mount, index: number): Mount => {
    const fact = facts.mounts[index];
    return fact === undefined || !isNewTmpfs(mount)
      ? mount
      : completeTmpfs(mount, fact, view.see(facts.rootfs));
  };
  return {
    ...config,
    ...(process === undefined ? {} : { process: withHome(process, passwdOf(config, facts, view)) }),
    ...(mounts === undefined ? {} : { mounts: mounts.map(complete) }),
  };
}
