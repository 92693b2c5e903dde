/**
 * Who the program is: limits, keyring, groups and user, no_new_privs, and the rest of
 * `process` that concerns one task. Pure.
 */
import {
  KEYCTL_JOIN_SESSION_KEYRING,
  KEYCTL_SETPERM,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
} from "../kernel/constants.ts";
import type { Process, Rlimit } from "../spec/runtime/config.ts";
import { RLIMIT_TYPES } from "../spec/runtime/process.ts";
import { boundingSteps, capabilitySteps, type Grantable, grantedSets } from "./capabilities.ts";
import type { PlanFacts } from "./input.ts";
import { row, slot } from "./rows.ts";
import { refuseGroups, type Setgroups } from "./setgroups.ts";
import type { BytesArg, HostStep, InitStep, Row, Step } from "./step.ts";

/**
 * A resource limit, set by the process itself; in a user namespace by ctr-bun, from outside. `soft`: another one for the
 * time being.
 */
export function limitStep(limit: Rlimit, index: number, userNamespace: boolean, soft = limit.soft): Step {
  const { type, hard } = limit;
  const resource = RLIMIT_TYPES.indexOf(type);
  const parts = {
    field: `process.rlimits[${index}]`,
    about: `set ${type} to ${limit.soft}, at most ${hard}`,
    hints: {
      EPERM:
        type === "RLIMIT_NOFILE"
          ? "raising a hard limit takes CAP_SYS_RESOURCE, and none may be above fs.nr_open: stay below the host's own hard limit"
          : "raising a hard limit takes CAP_SYS_RESOURCE: stay below the host's own hard limit",
    },
  };
  if (userNamespace) {
    const action = { do: "prlimit" as const, resource, soft: BigInt(soft), hard: BigInt(hard) };
    return { on: "host", ...parts, action };
  }
  return { on: "init", ...parts, rows: [row("prlimit64", [0, resource, { words: [soft, hard] }, 0])] };
}

/** Gives a process the limit of descriptors that ctr-bun's caller has. */
export function nofileRow({ soft, hard }: NonNullable<PlanFacts["nofile"]>): Row {
  return row("prlimit64", [0, RLIMIT_TYPES.indexOf("RLIMIT_NOFILE"), { words: [soft, hard] }, 0]);
}

/** Limits by when they are set. */
export interface Limits {
  /** By the init, while it still may raise them. */
  readonly early: readonly InitStep[];
  /** By ctr-bun, at the last wait. */
  readonly host: readonly HostStep[];
  /** By the init, right before the program, and by hooks: so little that the init could not go on with it. */
  readonly last: readonly InitStep[];
}

/** Descriptors that the init needs for itself once it has closed what it does not need any more. */
const OWN_DESCRIPTORS = 64;
/** The largest file that it writes: the state that a hook gets, in which a config's annotations are (spec/parse.ts). */
const OWN_FILE = 8 << 20;

/**
 * All limits; `nofile` is the caller's own, which is given back where the config sets none. `hooks`: the init has some to
 * run when the limits are set.
 */
export function limitSteps(
  process: Process,
  userNamespace: boolean,
  nofile: PlanFacts["nofile"],
  hooks: boolean,
): Limits {
  const early: InitStep[] = [];
  const host: HostStep[] = [];
  const last: InitStep[] = [];
  const rlimits = process.rlimits ?? [];
  if (nofile !== undefined && !rlimits.some(({ type }) => type === "RLIMIT_NOFILE")) {
    early.push({
      on: "init",
      field: "process.rlimits",
      // JavaScript engines raise the soft limit of their own process.
      about: "give back the caller's limit of descriptors",
      rows: [nofileRow(nofile)],
    });
  }
  const add = (step: Step, to: InitStep[]) => {
    if (step.on === "host") host.push(step);
    else to.push(step);
  };
  rlimits.forEach((limit, index) => {
    const { type, soft, hard } = limit;
    const needed =
      type === "RLIMIT_NOFILE" ? OWN_DESCRIPTORS : type === "RLIMIT_FSIZE" && hooks ? OWN_FILE : 0;
    if (soft >= needed) add(limitStep(limit, index, userNamespace), early);
    else {
      // Lowering it takes no rights, in a user namespace either.
      add(limitStep(limit, index, false), last);
      // Whether it may be raised shows now, where create still hears of it.
      if (hard > needed) add(limitStep(limit, index, userNamespace, needed), early);
    }
  });
  return { early, host, last };
}

/**
 * What a session keyring allows from the start (all to who possesses it; view, read and link to its user), and search
 * for its user: without it, what `exec` runs would get another keyring of the same name (keyctl_setperm(3)).
 */
const KEYRING_PERMISSIONS = 0x3f1b0000;

/**
 * A session keyring of the container's own, so that the host's keys are out of reach (keyrings(7)). `again`: what exec
 * runs joins it; it is the container's by then, which may have allowed less to itself.
 */
export function keyringStep(id: string, again = false): InitStep {
  return {
    on: "init",
    field: "process",
    about: "join a session keyring of its own",
    rows: [
      row("keyctl", [KEYCTL_JOIN_SESSION_KEYRING, `_ses.${id}`, 0, 0, 0], {
        store: "keyring",
        allow: "ENOSYS",
        onError: "keyring.none",
      }),
      ...(again ? [] : [row("keyctl", [KEYCTL_SETPERM, slot("keyring"), KEYRING_PERMISSIONS])]),
      row("getpid", [], { label: "keyring.none" }),
    ],
    hints: {
      EDQUOT: "the user's key quota is used up (kernel.keys.maxkeys): give --no-new-keyring, or raise it",
    },
  };
}

function groupList(groups: readonly number[]): BytesArg {
  return { bytes: new Uint8Array(Uint32Array.from(groups).buffer) };
}

/**
 * Groups, user and capabilities, in the one order in which the kernel lets all of them be set.
 * @param keepGroups the supplementary groups stay those of ctr-bun's caller
 * @param setgroups denied: they stay those, since nobody can set them
 */
export function identitySteps(
  process: Process,
  grantable: Grantable,
  warnings: string[],
  keepGroups = false,
  setgroups: Setgroups = "allowed",
): InitStep[] {
  const { user, capabilities } = process;
  refuseGroups(process, setgroups);
  const sets = grantedSets(capabilities, grantable, warnings);
  const groups = user.additionalGids ?? [];
  const keeps = keepGroups || setgroups === "denied";
  // Root of a joined user namespace is only ever refused where the namespace denies setgroups.
  const mayBeDenied =
    setgroups === "unknown" && groups.length === 0 ? { allow: "EPERM" as const } : undefined;
  return [
    ...boundingSteps(sets, grantable.last),
    {
      on: "init",
      field: "process.user",
      about: `become ${user.uid}:${user.gid}${keeps ? ", in the caller's groups" : groups.length > 0 ? ` with groups ${groups.join(", ")}` : ""}`,
      rows: [
        ...(keeps ? [] : [row("setgroups", [groups.length, groupList(groups)], mayBeDenied)]),
        row("prctl", [PR_SET_KEEPCAPS, 1, 0, 0, 0]),
        row("setresgid", [user.gid, user.gid, user.gid]),
        row("setresuid", [user.uid, user.uid, user.uid]),
        row("prctl", [PR_SET_KEEPCAPS, 0, 0, 0, 0]),
      ],
      hints: {
        EINVAL:
          "the user or group is not mapped in the user namespace: extend linux.uidMappings or linux.gidMappings",
        EPERM: "groups cannot be set in this user namespace (setgroups is denied)",
      },
    },
    ...capabilitySteps(sets, grantable.last),
  ];
}

/** prctl(PR_SET_NO_NEW_PRIVS). */
export function noNewPrivilegesSteps(process: Process): InitStep[] {
  if (process.noNewPrivileges !== true) return [];
  return [
    {
      on: "init",
      field: "process.noNewPrivileges",
      about: "give up gaining privileges by execve",
      rows: [row("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0])],
    },
  ];
}
