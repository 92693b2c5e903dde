/** `exec ID CMD [ARGS]`: a further program in a running container, as runc takes it. */
import { fail } from "../../error.ts";
import { readText } from "../../kernel/file.ts";
import { isTerminal } from "../../kernel/terminal.ts";
import { lastValues } from "../../plan/execute.ts";
import { execInContainer } from "../../runtime/exec.ts";
import { needRecord } from "../../runtime/state.ts";
import { parseSubCgroups } from "../../runtime/sub-cgroup.ts";
import { parseJson } from "../../spec/parse.ts";
import { Process } from "../../spec/runtime/process.ts";
import type { Values } from "../argv.ts";
import { descriptorCount, seccompReceiver } from "./create-args.ts";
import { logDebug, logWarning } from "./log.ts";
import { planLines } from "./plan-lines.ts";
import { defineVerb } from "./verb.ts";

const ARGS = {
  process: { type: "string", alias: "p", description: "file with the whole process as JSON" },
  detach: { type: "boolean", alias: "d", description: "return once the program runs" },
  tty: { type: "boolean", alias: "t", description: "give it a terminal" },
  "console-socket": { type: "string", description: "unix socket that receives the terminal's other side" },
  "pid-file": { type: "string", description: "file to write the process id to" },
  "pidfd-socket": { type: "string", description: "unix socket that receives a pidfd of the process" },
  user: { type: "string", alias: "u", description: "UID[:GID]" },
  "additional-gids": { type: "string", alias: "g", repeatable: true, description: "a further group" },
  cwd: { type: "string", description: "working directory" },
  env: { type: "string", alias: "e", repeatable: true, description: "NAME=VALUE" },
  cap: { type: "string", alias: "c", repeatable: true, description: "a capability to add" },
  "no-new-privs": { type: "boolean", description: "set no_new_privs" },
  apparmor: { type: "string", description: "AppArmor profile of the program" },
  "process-label": { type: "string", description: "SELinux label of the program" },
  "preserve-fds": { type: "string", description: "pass this many descriptors from 3 up to the program" },
  cgroup: {
    type: "string",
    repeatable: true,
    description: "[CONTROLLER[,CONTROLLER...]:]PATH of a cgroup below the container's, to run in",
  },
  "ignore-paused": { type: "boolean", description: "also in a paused container" },
  id: { type: "positional", description: "the container's ID" },
  command: { type: "positional", required: false, rest: true, description: "the program and its arguments" },
} as const;

/** `UID[:GID]`, nothing before, between or behind (CVE-2026-30892). */
function parseUser(text: string): { uid: number; gid: number } {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  const uid = Number(match?.[1] ?? Number.NaN);
  const gid = Number(match?.[2] ?? 0);
  if (uid <= 0xfffffffe && gid <= 0xfffffffe) return { uid, gid };
  throw fail({
    code: "USAGE",
    field: "--user",
    message: `not a user: ${JSON.stringify(text)}`,
    hint: "give UID or UID:GID, numbers from 0 to 4294967294",
  });
}

/** The container's own process, changed by the flags. */
function processFromFlags(base: Process, values: Values<typeof ARGS>): Process {
  if (values.command.length === 0) {
    throw fail({
      code: "USAGE",
      message: "exec: no program given",
      hint: "ctr-bun exec ID PROGRAM [ARGS], or --process FILE",
    });
  }
  const { user: given, cwd, env, cap } = values;
  const gids = values["additional-gids"].map((gid) => parseUser(gid).uid);
  const user = given === undefined ? base.user : { ...base.user, ...parseUser(given) };
  const add = (set: readonly string[] | undefined) => [...new Set([...(set ?? []), ...cap])];
  const { bounding, effective, permitted, inheritable, ambient } = base.capabilities ?? {};
  const capabilities =
    cap.length === 0
      ? base.capabilities
      : {
          bounding: add(bounding),
          effective: add(effective),
          permitted: add(permitted),
          inheritable,
          ambient,
        };
  return {
    ...base,
    args: [...values.command],
    env: lastValues([...(base.env ?? []), ...env]),
    terminal: values.tty,
    user: gids.length === 0 ? user : { ...user, additionalGids: [...(user.additionalGids ?? []), ...gids] },
    cwd: cwd ?? base.cwd,
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(values["no-new-privs"] ? { noNewPrivileges: true } : {}),
    ...(values.apparmor === undefined ? {} : { apparmorProfile: values.apparmor }),
    ...(values["process-label"] === undefined ? {} : { selinuxLabel: values["process-label"] }),
  };
}

export default defineVerb({
  name: "exec",
  about: "run a further program in a container",
  args: ARGS,
  stopAtPositional: true,
  // As runc's: to be told from most codes of programs.
  errorCode: 255,
  async run(values, { root, registry, host, log }) {
    const preserveFds = descriptorCount(values["preserve-fds"]);
    const record = needRecord(root, values.id);
    const file = values.process;
    const base = record.config.process;
    if (base === undefined)
      throw fail({ code: "INVALID_CONFIG", field: "process", message: "the container has none" });
    const process =
      file === undefined ? processFromFlags(base, values) : parseJson(Process, readText(file), file);
    const cgroup = parseSubCgroups(values.cgroup);
    const pidfdSocket = values["pidfd-socket"];
    const socket = values["console-socket"];
    const pidFile = values["pid-file"];
    const terminal =
      socket !== undefined
        ? { consoleSocket: socket }
        : values.detach
          ? undefined
          : ("pass-through" as const);
    if (terminal === "pass-through" && process.terminal === true && !isTerminal(0)) {
      throw fail({
        code: "USAGE",
        field: "--tty",
        message: "standard input is not a terminal",
        hint: "leave --tty out",
      });
    }
    const { code } = await execInContainer({
      root,
      id: values.id,
      process,
      registry,
      host,
      detach: values.detach,
      preserveFds,
      ignorePaused: values["ignore-paused"],
      onWarning: (message) => logWarning(message, log),
      onPlan: (plan) => logDebug(() => planLines(plan), log),
      ...(cgroup === undefined ? {} : { cgroup }),
      ...(pidfdSocket === undefined ? {} : { pidfdReceiver: { path: pidfdSocket, field: "--pidfd-socket" } }),
      ...seccompReceiver(),
      ...(terminal === undefined ? {} : { terminal }),
      ...(pidFile === undefined ? {} : { pidFile }),
    });
    return code;
  },
});
