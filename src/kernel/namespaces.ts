/** Kinds of namespaces by their type in config.json: name of the file in /proc/PID/ns, and flag (namespaces(7)). */
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "./constants.ts";
import { statusOf } from "./file.ts";

export const NAMESPACES = {
  mount: { file: "mnt", flag: CLONE_NEWNS },
  pid: { file: "pid", flag: CLONE_NEWPID },
  network: { file: "net", flag: CLONE_NEWNET },
  uts: { file: "uts", flag: CLONE_NEWUTS },
  ipc: { file: "ipc", flag: CLONE_NEWIPC },
  user: { file: "user", flag: CLONE_NEWUSER },
  cgroup: { file: "cgroup", flag: CLONE_NEWCGROUP },
  time: { file: "time", flag: CLONE_NEWTIME },
} as const;

/** PROC_USER_INIT_INO and PROC_PID_INIT_INO of include/linux/proc_ns.h: their numbers are the same on every host. */
const INITIAL_USER_NAMESPACE = 0xeffffffdn;
const INITIAL_PID_NAMESPACE = 0xeffffffcn;

/** Whether ctr-bun itself is in another user namespace than the host's first. */
export function inUserNamespace(): boolean {
  const inode = statusOf("/proc/self/ns/user", undefined, 0)?.ino;
  return inode !== undefined && inode !== INITIAL_USER_NAMESPACE;
}

/** Whether pids as ctr-bun sees them are those that the kernel itself tells of. */
export function inFirstPidNamespace(): boolean {
  return statusOf("/proc/self/ns/pid", undefined, 0)?.ino === INITIAL_PID_NAMESPACE;
}
