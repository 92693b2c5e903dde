/** Carries out host steps, and remembers what they made so that it can be undone. */
import type { ActContext } from "../driver.ts";
import { asCtrError, errorLine, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { AT_REMOVEDIR } from "../kernel/constants.ts";
import { ERRNO, errnoName } from "../kernel/errno.ts";
import {
  close,
  open,
  openBeneath,
  readTextIfAny,
  statusOf,
  tryMkdir,
  tryUnlink,
  tryWriteFile,
} from "../kernel/file.ts";
import { printError } from "../kernel/output.ts";
import { trySetIoPriority, trySetLimit, trySetScheduler } from "../kernel/process.ts";
import type { HostAction, HostStep } from "../plan/step.ts";
import { hostFailure } from "./failure.ts";
import { type HostContext, writeIdMap } from "./host-context.ts";
import { namespaceType } from "./namespace-file.ts";

/** Carries out steps in order; the error of one has its field and hint. */
export function actAll(steps: readonly HostStep[], context: HostContext): void {
  for (const step of steps) {
    const begin = context.onTime === undefined ? 0 : Bun.nanoseconds();
    try {
      act(step.action, context);
      context.onTime?.(step, Bun.nanoseconds() - begin);
    } catch (error) {
      throw hostFailure(step, asCtrError(error));
    }
  }
}

function act(action: HostAction, context: HostContext): void {
  switch (action.do) {
    case "mkdir": {
      const result = tryMkdir(action.path, action.mode);
      if (result === 0) noteMade(action.path, context);
      else if (result !== -ERRNO.EEXIST) check(result, { syscall: "mkdir", path: action.path });
      return;
    }
    case "write": {
      const result = tryWriteFile(action.path, action.data);
      if (result < 0 && action.allow?.includes(errnoName(-result)) === true) return;
      checkWrite(result, action);
      return;
    }
    case "write-pid":
      checkWrite(tryWriteFile(action.path, `${context.pid ?? ""}`), action);
      return;
    case "open":
      context.descriptors[action.as] =
        action.below === undefined
          ? open(action.path, action.flags)
          : openBeneath(action.path, action.below, action.flags);
      if (action.namespace !== undefined)
        needNamespace(context.descriptors[action.as] ?? -1, action.path, action.namespace);
      if (action.mountsIn !== undefined)
        joinedMounts().needPlanned(context.descriptors[action.as] ?? -1, action.path, action.mountsIn);
      return;
    case "id-map":
      writeIdMap(action, context.stage0 ?? 0);
      return;
    case "open-init":
      context.descriptors[action.as] = open(`/proc/${context.pid ?? 0}/${action.file}`, action.flags);
      return;
    case "user-namespace":
      context.descriptors[action.as] = helpers().makeUserNamespace(action, context);
      return;
    case "helper":
      helpers().runHelper(action.steps, context);
      return;
    case "copy-up":
      copyUp(action.user, context);
      return;
    case "hooks":
      context.runHooks(action.name, action.hooks);
      return;
    case "tell-pid":
      context.word = new TextEncoder().encode(innermostPid(context.pid ?? 0));
      return;
    case "prlimit":
      check(trySetLimit(context.pid ?? -1, action.resource, action.soft, action.hard), {
        syscall: "prlimit64",
      });
      return;
    case "scheduler":
      check(trySetScheduler(context.pid ?? -1, action), { syscall: "sched_setattr" });
      return;
    case "io-priority":
      check(trySetIoPriority(context.pid ?? -1, action.priority), { syscall: "ioprio_set" });
      return;
    case "net-device":
      netDevices().moveNetDevice(action, context);
      return;
    case "driver": {
      const kind = action.kind === "cgroup" || action.kind === "seccomp" ? action.kind : "namespace";
      const actContext: ActContext = {
        pid: context.pid,
        stage0: context.stage0,
        made: (path) => {
          noteMade(path, context);
        },
      };
      context.registry.get(kind, action.name).act?.(action.call, action.args, actContext);
    }
  }
}

/** The error of a write has what the kernel says about it, where it says anything. */
function checkWrite(result: number, { path, why }: { readonly path: string; readonly why?: string }): void {
  if (result >= 0) return;
  const words = why === undefined ? "" : (readTextIfAny(why)?.trim() ?? "");
  const message = words === "" || words === "ok" ? undefined : `last_cmd_status: ${words}`;
  check(result, { syscall: "write", path, message });
}

/** Loaded only where a config has network devices. */
function netDevices(): typeof import("./net-device.ts") {
  return require("./net-device.ts") as typeof import("./net-device.ts");
}

/** Loaded only where a mount namespace is joined. */
function joinedMounts(): typeof import("./joined-mounts.ts") {
  return require("./joined-mounts.ts") as typeof import("./joined-mounts.ts");
}

/** The pid of a process in the pid namespace that it lives in (proc_pid_status(5), NSpid). */
function innermostPid(pid: number): string {
  const line = /^NSpid:\s*(.*)$/m.exec(readTextIfAny(`/proc/${pid}/status`) ?? "");
  return line?.[1]?.split(/\s+/).at(-1) ?? `${pid}`;
}

/** Loaded only where a plan asks for it. */
function helpers(): typeof import("./helper.ts") {
  return require("./helper.ts") as typeof import("./helper.ts");
}

/** The init sent the new tmpfs, and then the directory that it covers. */
function copyUp(user: boolean, context: HostContext): void {
  const { fillTmpfs } = require("./copy-up.ts") as typeof import("./copy-up.ts");
  const [to, from] = context.received.splice(0);
  if (to === undefined || from === undefined || context.pid === undefined) {
    throw fail({ code: "INTERNAL", message: "the init sent no directories to copy" });
  }
  try {
    fillTmpfs(from, to, user ? context.pid : undefined);
  } finally {
    close(to);
    close(from);
  }
}

/** Refuses what is no file of such a namespace; setns(2) would only say EINVAL, which has other reasons too. */
function needNamespace(fd: number, path: string, flag: number): void {
  const type = namespaceType(fd);
  if (type === flag) return;
  throw fail({
    code: "INVALID_CONFIG",
    message: type !== undefined ? "the file of a namespace of another type" : "not the file of a namespace",
    path,
    hint: "give a path like /proc/PID/ns/net, or one that such a file is bind-mounted on",
  });
}

function noteMade(path: string, { made, inodes }: HostContext): void {
  made.push(path);
  inodes.set(path, statusOf(path)?.ino);
}

/** The directories that were made and are still there: one that others have made anew since is theirs. */
export function stillOurs({ made, inodes }: HostContext): string[] {
  return made.filter((path) => {
    const inode = statusOf(path)?.ino;
    return inode !== undefined && inode === inodes.get(path);
  });
}

/** Those of a container's cgroups that were made for it: one that was there before is somebody else's. */
export function madeCgroups(
  cgroupPaths: Readonly<Record<string, string>>,
  made: readonly string[],
): Record<string, string> {
  return Object.fromEntries(Object.entries(cgroupPaths).filter(([, path]) => made.includes(path)));
}

/** Closes what was opened for the init, and what it sent and nobody took. */
export function closeAll(context: HostContext): void {
  for (const fd of Object.values(context.descriptors)) close(fd);
  if (context.listener !== undefined) close(context.listener);
}

/** Takes back what was done, and made directories away, the last one first; what others have put there stays. */
export function removeMade(context: HostContext): void {
  for (const takeBack of context.undo.toReversed()) {
    try {
      takeBack();
    } catch (error) {
      // The error that is told is the one that made this necessary.
      printError(`ctr-bun: warning: ${errorLine(asCtrError(error))}\n`);
    }
  }
  for (const path of stillOurs(context).toReversed()) tryUnlink(path, AT_REMOVEDIR);
}
