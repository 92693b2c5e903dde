/** Arguments that create and run share, as runc has them, and the request that comes of them. */
import { fail } from "../../error.ts";
import { O_CREAT, O_TRUNC, O_WRONLY } from "../../kernel/constants.ts";
import { close, open, readlink, writeAll } from "../../kernel/file.ts";
import { isTerminal } from "../../kernel/terminal.ts";
import { RECEIVER_VARIABLE } from "../../plan/seccomp-listener.ts";
import type { ContainerRequest } from "../../runtime/prepare.ts";
import type { StepTime } from "../../runtime/trace.ts";
import type { Values } from "../argv.ts";
import { bundlePath, type OciContext, readBundle } from "./context.ts";
import { logDebug, logWarning } from "./log.ts";
import { planLines } from "./plan-lines.ts";
import { listenDescriptors, notifySocket } from "./service-manager.ts";

export const CREATE_ARGS = {
  bundle: {
    type: "string",
    alias: "b",
    description: "directory of the bundle (default: the working directory)",
  },
  "console-socket": { type: "string", description: "unix socket that receives the terminal's other side" },
  "pid-file": { type: "string", description: "file to write the process id to" },
  "pidfd-socket": { type: "string", description: "unix socket that receives a pidfd of the process" },
  config: { type: "string", alias: "f", description: "file to take for the bundle's config.json" },
  "no-pivot": { type: "boolean", description: "move the root over / instead of pivot_root" },
  "no-new-keyring": { type: "boolean", description: "stay in the caller's session keyring" },
  trace: { type: "string", description: "file to write the time of every step to" },
  "preserve-fds": { type: "string", description: "pass this many descriptors from 3 up to the program" },
} as const;

/**
 * A count of descriptors, from --preserve-fds. To be read before anything is opened: a gap among those that the caller
 * passes would be filled with a descriptor of ctr-bun's own.
 */
export function descriptorCount(text: string | undefined, passed = 0): number {
  if (text === undefined && passed === 0) return 0;
  if (!/^\d{1,5}$/.test(text ?? "0"))
    throw fail({ code: "USAGE", field: "--preserve-fds", message: `not a count: ${JSON.stringify(text)}` });
  const count = passed + Number(text ?? "0");
  for (let fd = 3; fd < 3 + count; fd++) needInherited(fd);
  return count;
}

/** Refuses a descriptor that is not there, and one of the JavaScript engine's (epoll, eventfd), which filled a gap. */
function needInherited(fd: number): void {
  const target = readlink(`/proc/self/fd/${fd}`);
  if (target !== undefined && !target.startsWith("anon_inode:")) return;
  throw fail({
    code: "USAGE",
    field: "--preserve-fds",
    // runc's words.
    message: `unable to stat preserved-fd ${fd}: ${target === undefined ? "it is not open" : `it is ctr-bun's own (${target})`}`,
    hint: "pass every descriptor from 3 on without a gap, or give a smaller count",
  });
}

/** Writes the times to a file, which is made now: a path that cannot be written is an error before anything is made. */
function writeTrace(path: string): (times: StepTime[]) => void {
  const fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  const { traceText } = require("../../runtime/trace.ts") as typeof import("../../runtime/trace.ts");
  return (times) => {
    writeAll(fd, new TextEncoder().encode(traceText(times)), path);
    close(fd);
  };
}

/** Socket of a seccomp agent for configs that name none, as in crun. */
export function seccompReceiver(): { seccompReceiver?: string } {
  const { [RECEIVER_VARIABLE]: path } = process.env;
  return path === undefined || path === "" ? {} : { seccompReceiver: path };
}

/** The request; `foreground` lets the container's terminal be ctr-bun's own. */
export function createRequest(
  context: OciContext,
  id: string,
  values: Values<typeof CREATE_ARGS>,
  foreground: boolean,
): ContainerRequest {
  const listen = listenDescriptors();
  const preserveFds = descriptorCount(values["preserve-fds"], listen.count);
  const bundle = bundlePath(values.bundle);
  const config = readBundle(bundle, values.config);
  const notify = notifySocket();
  const socket = values["console-socket"];
  const pidFile = values["pid-file"];
  const pidfdSocket = values["pidfd-socket"];
  if (socket !== undefined && config.process?.terminal !== true) {
    throw fail({
      code: "USAGE",
      field: "--console-socket",
      message: "cannot use a console socket where the container has no terminal",
      hint: "set process.terminal to true, or leave --console-socket out",
    });
  }
  const terminal =
    socket !== undefined ? { consoleSocket: socket } : foreground ? ("pass-through" as const) : undefined;
  if (terminal === "pass-through" && config.process?.terminal === true && !isTerminal(0)) {
    throw fail({
      code: "USAGE",
      field: "process.terminal",
      message: "the container wants a terminal, and standard input is none",
      hint: "run it on a terminal, give --console-socket, or set process.terminal to false",
    });
  }
  return {
    root: context.root,
    id,
    bundle,
    config,
    ...(listen.count === 0 ? {} : { env: listen.env }),
    ...(notify === undefined ? {} : { notifySocket: notify }),
    registry: context.registry,
    host: context.host,
    preserveFds,
    noPivot: values["no-pivot"],
    noNewKeyring: values["no-new-keyring"],
    noCgroup: context.noCgroup,
    cgroupDriver: context.cgroupDriver,
    onWarning: (message) => logWarning(message, context.log),
    onPlan: (plan) => logDebug(() => planLines(plan), context.log),
    ...seccompReceiver(),
    ...(terminal === undefined ? {} : { terminal }),
    ...(pidFile === undefined ? {} : { pidFile }),
    ...(pidfdSocket === undefined ? {} : { pidfdReceiver: { path: pidfdSocket, field: "--pidfd-socket" } }),
    ...(values.trace === undefined ? {} : { onTrace: writeTrace(values.trace) }),
  };
}
