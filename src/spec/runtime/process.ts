/**
 * `process` of config.json, and the document that `exec --process` reads (config.md, "Process").
 * Not here: scheduling (scheduling.ts); which capabilities exist (kernel).
 */
import * as v from "valibot";
import { defaulted, lazy, object, optional, optionalText, repeatedType, rule } from "../builders.ts";
import {
  AbsolutePath,
  Flag,
  integer,
  oneOf,
  PlainText,
  Text,
  TextList,
  Uint16,
  Uint32,
  Uint64,
  UserId,
} from "../scalars.ts";
import { ExecCpuAffinity, IoPriority, Scheduler } from "./scheduling.ts";

/** Resources that getrlimit(2) knows, in the order of their kernel numbers. */
export const RLIMIT_TYPES = [
  "RLIMIT_CPU",
  "RLIMIT_FSIZE",
  "RLIMIT_DATA",
  "RLIMIT_STACK",
  "RLIMIT_CORE",
  "RLIMIT_RSS",
  "RLIMIT_NPROC",
  "RLIMIT_NOFILE",
  "RLIMIT_MEMLOCK",
  "RLIMIT_AS",
  "RLIMIT_LOCKS",
  "RLIMIT_SIGPENDING",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
] as const;

/** One limit. 18446744073709551615 is RLIM_INFINITY, and arrives as a bigint. */
export const Rlimit = lazy(() =>
  v.pipe(
    object({ type: oneOf(...RLIMIT_TYPES), soft: Uint64, hard: Uint64 }),
    rule(({ soft, hard }, complain) => {
      if (soft > hard) complain(`must not be above the hard limit, ${hard}`, "soft");
    }),
  ),
);
export type Rlimit = v.InferOutput<typeof Rlimit>;

/** IDs in the container's user namespace. Left out, they are 0, as in runc. `umask` in decimal. */
export const User = lazy(() =>
  object({
    uid: defaulted(UserId, 0),
    gid: defaulted(UserId, 0),
    umask: optional(Uint32),
    additionalGids: optional(v.array(UserId)),
    username: optionalText(PlainText),
  }),
);
export type User = v.InferOutput<typeof User>;

/** The five sets; names are not judged here, as an unknown one is only worth a warning (spec: SHOULD). */
export const Capabilities = lazy(() => {
  const set = optional(TextList);
  return object({ bounding: set, effective: set, inheritable: set, permitted: set, ambient: set });
});
export type Capabilities = v.InferOutput<typeof Capabilities>;

/** Characters. The kernel's struct winsize has 16 bits for each. */
const ConsoleSize = lazy(() => object({ height: Uint16, width: Uint16 }));

const Arguments = lazy(() =>
  v.pipe(
    v.array(Text),
    rule((args, complain) => {
      if (args.length === 0) complain("must have at least one entry, the program to run");
      else if (args[0] === "") complain("must name the program to run", 0);
    }),
  ),
);

const Rlimits = lazy(() =>
  v.pipe(
    v.array(Rlimit),
    rule((limits, complain) => {
      const index = repeatedType(limits);
      if (index !== undefined) complain(`must be set once only: ${limits[index]?.type}`, index, "type");
    }),
  ),
);

/** The program of a container. `oomScoreAdj` from -1000 (never killed) to 1000. */
export const Process = lazy(() =>
  object({
    terminal: optional(Flag),
    consoleSize: optional(ConsoleSize),
    user: defaulted(User, { uid: 0, gid: 0 }),
    args: Arguments,
    env: optional(TextList),
    cwd: AbsolutePath,
    capabilities: optional(Capabilities),
    rlimits: optional(Rlimits),
    noNewPrivileges: optional(Flag),
    apparmorProfile: optionalText(Text),
    oomScoreAdj: optional(integer(-1000, 1000)),
    selinuxLabel: optionalText(Text),
    ioPriority: optional(IoPriority),
    scheduler: optional(Scheduler),
    execCPUAffinity: optional(ExecCpuAffinity),
  }),
);
export type Process = v.InferOutput<typeof Process>;
