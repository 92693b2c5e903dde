/**
 * Short programs of the init machine beside the container's init, with ctr-bun's own rights: a namespace is entered by
 * them, never by JavaScript. What they send goes on to the init. Not here: their rows (plan/).
 */
import { fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_RDONLY } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close, open, readAll } from "../kernel/file.ts";
import { executableMemfd } from "../kernel/memfd.ts";
import { viewOf } from "../kernel/memory.ts";
import { spawn, waitPid } from "../kernel/process.ts";
import { receive, sendDescriptor, socketPair } from "../kernel/socket.ts";
import { type MachineProgram, writeProgram } from "../machine/program.ts";
import { REPORT, REPORT_SIZE } from "../machine/report.ts";
import { USER_NAMESPACE_STEPS } from "../plan/idmap.ts";
import { lookSteps } from "../plan/look.ts";
import type { InitStep, UserNamespaceAction } from "../plan/step.ts";
import { initFailure } from "./failure.ts";
import { type HostContext, writeIdMap } from "./host-context.ts";

interface Helper {
  readonly program: MachineProgram;
  readonly steps: readonly InitStep[];
  readonly channel: number;
  readonly pid: number;
}

/** Starts a program that inherits all that was opened; `use` listens to it, and it has ended when that returns. */
function withHelper<T>(
  steps: readonly InitStep[],
  context: Pick<HostContext, "arch" | "descriptors">,
  use: (helper: Helper) => T,
): T {
  const [channel, report] = socketPair();
  let pid: number | undefined;
  try {
    const descriptors = { ...context.descriptors, report };
    const program = writeProgram({ steps, arch: context.arch, descriptors });
    const memfd = executableMemfd("helper", program.elf);
    try {
      const inherit = Object.values(descriptors);
      pid = spawn({ program: memfd, argv: ["helper"], env: [], stdio: [report, report, report], inherit });
    } finally {
      close(memfd);
      close(report);
    }
    return use({ program, steps, channel, pid });
  } finally {
    close(channel);
    if (pid !== undefined) waitPid(pid);
  }
}

/** The next message: a descriptor, word that it is there (`sync`), or nothing any more. Its failure is thrown. */
function listen({ channel, program, steps }: Helper): { kind: number; fd: number | undefined } | undefined {
  const data = new Uint8Array(REPORT_SIZE);
  const view = viewOf(data);
  const { length, fd } = receive(channel, data);
  if (length <= 0) return undefined;
  const kind = view.getUint32(0, true);
  if (kind === REPORT.failure) {
    throw initFailure(program, steps, view.getUint32(4, true), view.getUint32(8, true));
  }
  return { kind, fd };
}

const WORD = new Uint8Array(8);

/** Runs a helper to its end, and sends the init what the helper sends. */
export function runHelper(steps: readonly InitStep[], context: HostContext): void {
  withHelper(steps, context, (helper) => {
    for (let message = listen(helper); message !== undefined; message = listen(helper)) {
      const { kind, fd } = message;
      if (kind === REPORT.executing) return;
      if (fd === undefined) continue;
      try {
        sendDescriptor(context.channel ?? -1, WORD, fd);
      } finally {
        close(fd);
      }
    }
    throw fail({
      code: "INIT",
      message: "the helper that takes the mounts' sources ended before it was done",
    });
  });
}

/** A user namespace with these maps that nobody is in; the descriptor keeps it. */
export function makeUserNamespace({ uid, gid }: UserNamespaceAction, context: HostContext): number {
  return withHelper(USER_NAMESPACE_STEPS, { ...context, descriptors: {} }, (helper) => {
    check(listen(helper) === undefined ? -ERRNO.ESRCH : 0, {
      syscall: "unshare",
      message: "the helper is gone",
    });
    writeIdMap({ file: "gid_map", map: gid }, helper.pid);
    writeIdMap({ file: "uid_map", map: uid }, helper.pid);
    return open(`/proc/${helper.pid}/ns/user`, O_RDONLY);
  });
}

/**
 * Looks into a mount namespace, whose file is open: a descriptor of its root directory, and its mountinfo. `user`: the open
 * file of a user namespace that is entered before.
 */
export function lookInto(
  namespace: number,
  arch: HostContext["arch"],
  user?: number,
): { root: number; mountinfo: string } {
  const sent: number[] = [];
  try {
    const descriptors = { namespace, ...(user === undefined ? {} : { user }) };
    withHelper(lookSteps(user !== undefined), { arch, descriptors }, (helper) => {
      for (let message = listen(helper); message !== undefined; message = listen(helper))
        if (message.fd !== undefined) sent.push(message.fd);
    });
    const [root, mounts] = sent;
    if (root === undefined || mounts === undefined) {
      throw fail({
        code: "INIT",
        field: "linux.namespaces",
        message: "the helper that looks into the mount namespace ended before it was done",
      });
    }
    const mountinfo = new TextDecoder().decode(readAll(mounts, "mountinfo"));
    sent.shift();
    return { root, mountinfo };
  } finally {
    for (const fd of sent) close(fd);
  }
}
