/**
 * Stage 0 of the init, in the host's namespaces: clean descriptors, cgroups, joined namespaces, the user namespace and
 * its maps, the time namespace, and at last clone3 of the child that becomes the container.
 */
import type { CgroupPart, NamespacePart } from "../driver.ts";
import { fail } from "../error.ts";
import {
  CLONE_INTO_CGROUP,
  CLONE_NEWUSER,
  CLONE_PARENT,
  CLOSE_RANGE_CLOEXEC,
  O_CLOEXEC,
  O_WRONLY,
  PR_SET_DUMPABLE,
  PR_SET_NAME,
} from "../kernel/constants.ts";
import { REPORT, REPORT_SIZE, reportBytes } from "../machine/report.ts";
import type { IdMapping, Process } from "../spec/runtime/config.ts";
import { callersUmask } from "./hooks.ts";
import type { PlanInput } from "./input.ts";
import { labelSteps, openProcSteps } from "./labels.ts";
import { openProcFileRow, writeProcFileRows } from "./proc-file.ts";
import { joinsMountNamespace } from "./root.ts";
import { ORPHANED, row, syncStep } from "./rows.ts";
import { outerStdioStep } from "./stdio.ts";
import type { InitStep, Row, Step } from "./step.ts";
import { holdClocksSteps, timeNamespaceSteps } from "./time-offsets.ts";
import { checkIdMap, isOwnAlone } from "./user-maps.ts";

/** Label of the child's first row. */
export const CHILD = "child";

/**
 * The first rows of every program: nothing of ctr-bun's survives an execve, and files get the modes asked for. `umask`:
 * the slot that keeps the caller's, where somebody wants it back.
 */
export function firstStep(umask?: string): InitStep {
  const rows: Row[] = [
    row("prctl", [PR_SET_NAME, "ctr-init", 0, 0, 0]),
    row("close_range", [3, 0xffffffff, CLOSE_RANGE_CLOEXEC]),
    row("umask", [0], umask === undefined ? undefined : { store: umask }),
  ];
  return { on: "init", field: "process", about: "start with a clean process", rows, buffers: { word: 8 } };
}

/** What stage 0 is put together from. */
export interface Stage0 {
  readonly cgroup: CgroupPart | undefined;
  readonly namespaces: readonly { readonly type: string; readonly part: NamespacePart }[];
}

/**
 * How the cgroup is joined. CLONE_INTO_CGROUP asks the rights of whoever calls clone3, and root of a user namespace has
 * none in the host's cgroups: with one (`user`), stage 0 joins by itself while it still is the host's root.
 */
export function joinCgroup(
  part: Pick<CgroupPart, "join" | "cloneInto"> | undefined,
  user: boolean,
): { steps: readonly Step[]; cloneInto: string | undefined } {
  if (part === undefined) return { steps: [], cloneInto: undefined };
  const { join, cloneInto } = part;
  if (!user || cloneInto === undefined) return { steps: join, cloneInto };
  const step: InitStep = {
    on: "init",
    field: "linux.cgroupsPath",
    about: "join the cgroup",
    path: "cgroup.procs",
    rows: [
      row("openat", [{ fd: cloneInto }, "cgroup.procs", O_WRONLY | O_CLOEXEC, 0], { store: "cgroup.procs" }),
      row("write", [{ slot: "cgroup.procs" }, "0", 1]),
      row("close", [{ slot: "cgroup.procs" }]),
    ],
    hints: { EBUSY: INNER_CGROUP },
  };
  return { steps: [...join, step], cloneInto: undefined };
}

/** Waits while the cgroup is made around this process, where the driver wants that. */
export function attachSteps(part: Pick<CgroupPart, "attach"> | undefined): Step[] {
  const { attach = [] } = part ?? {};
  if (attach.length === 0) return [];
  return [syncStep("cgroup", "linux.cgroupsPath", "wait to be put into the cgroup"), ...attach];
}

/** All of stage 0, ending in the row from which the child goes on. */
export function stage0Steps(input: PlanInput, { cgroup, namespaces }: Stage0): Step[] {
  const { config, facts } = input;
  const steps: Step[] = [firstStep(callersUmask(config))];
  steps.push(...oomScoreSteps(config.process));
  const user = namespaces.find((entry) => entry.type === "user");
  steps.push(...attachSteps(cgroup));
  const { steps: joins, cloneInto } = joinCgroup(cgroup, user !== undefined);
  steps.push(...joins);
  const stand: InitStep = {
    on: "init",
    field: "root.path",
    about: `stand in ${facts.rootfs}`,
    path: facts.rootfs,
    rows: [row("chdir", [facts.rootfs])],
  };
  if (!joinsMountNamespace(input)) steps.push(stand);
  if (config.process !== undefined && joinsMountNamespace(input)) {
    // There /proc may be anything; fork and setns keep them until execve.
    steps.push(...openProcSteps(config.process), ...labelSteps(config.process, !input.options.noNewKeyring));
  }
  if (joinsMountNamespace(input)) steps.push(...holdClocksSteps(config));
  const flags = (type: string) => namespaces.find((entry) => entry.type === type)?.part.cloneFlag ?? 0;
  const joined = namespaces.filter(({ type }) => type !== "user");
  for (const { type, part } of joined) if (!facts.afterUser.includes(type)) steps.push(...part.join);
  if (user !== undefined) steps.push(...user.part.join);
  if (flags("user") !== 0) {
    if (config.process !== undefined)
      steps.push(...outerStdioStep(config.process, config.linux?.uidMappings));
    steps.push(...userNamespaceSteps(input));
  }
  for (const { type, part } of joined) if (facts.afterUser.includes(type)) steps.push(...part.join);
  // setns(2) into a mount namespace leads to its root directory, and the path is one of that namespace.
  if (joinsMountNamespace(input)) steps.push(stand);
  if (flags("time") !== 0) steps.push(...timeNamespaceSteps(config, joinsMountNamespace(input)));
  if (user !== undefined) {
    steps.push({
      on: "init",
      field: "linux.namespaces",
      about: "become root of the user namespace",
      rows: [row("setresgid", [0, 0, 0]), row("setresuid", [0, 0, 0])],
      hints: { EINVAL: "map the container's IDs 0 in linux.uidMappings and linux.gidMappings" },
    });
  }
  if (flags("pid") === 0 || user !== undefined) {
    // Others are in the pid namespace: they must not reach our descriptors through /proc (CVE-2016-9962).
    steps.push({
      on: "init",
      field: "linux.namespaces",
      about: "be closed to ptrace",
      rows: [row("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0])],
    });
  }
  let cloneFlags = CLONE_PARENT;
  for (const { type, part } of namespaces)
    if (type !== "user" && type !== "time") cloneFlags += part.cloneFlag;
  steps.push(cloneStep(cloneFlags, cloneInto));
  return steps;
}

const INNER_CGROUP = "a cgroup with controllers for its children can hold no process itself";

/** clone3(2) of the child, the report of its pid, and the end of stage 0. */
export function cloneStep(flags: number, cgroup: string | undefined): InitStep {
  const all = flags + (cgroup === undefined ? 0 : CLONE_INTO_CGROUP);
  const into = cgroup === undefined ? 0 : { fd: cgroup };
  return {
    on: "init",
    field: "linux.namespaces",
    about: "make the container's process and its namespaces",
    sync: "pid",
    buffers: { "pid.report": reportBytes(REPORT.pid) },
    rows: [
      row("clone3", [{ words: [all, 0, 0, 0, 0, 0, 0, 0, 0, 0, into] }, 88], {
        store: { at: "pid.report", offset: 4 },
        onZero: CHILD,
      }),
      row("write", [{ fd: "report" }, { at: "pid.report" }, REPORT_SIZE]),
      row("exit_group", [0]),
      row("exit_group", [1], { label: ORPHANED }),
    ],
    hints: {
      EPERM: "making namespaces takes root, or a user namespace among linux.namespaces",
      ENOSPC: "a limit of /proc/sys/user/max_*_namespaces is reached",
      EAGAIN: "the pids limit of the container's cgroup, or of one above it, or RLIMIT_NPROC, is reached",
      ENOMEM: "the pid namespace to join has lost its init",
      ENOSYS: "ctr-bun needs Linux 5.14 or later",
      EINVAL: "this kernel lacks one of the namespaces in linux.namespaces",
      // Of CLONE_INTO_CGROUP.
      EBUSY: INNER_CGROUP,
      EOPNOTSUPP: "the cgroup can hold threads alone: it is below, or has below it, a threaded one",
      ENODEV: "the cgroup was removed meanwhile",
    },
  };
}

const OOM_SCORE = "/proc/self/oom_score_adj";

/** `process.oomScoreAdj`; inherited from here on. */
export function oomScoreSteps(process: Pick<Process, "oomScoreAdj"> | undefined): InitStep[] {
  const score = process?.oomScoreAdj;
  if (score === undefined) return [];
  const about = `set oom_score_adj to ${score}`;
  return [
    {
      on: "init",
      field: "process.oomScoreAdj",
      about,
      path: OOM_SCORE,
      rows: [openProcFileRow(OOM_SCORE), ...writeProcFileRows(`${score}`)],
      hints: { EACCES: "a lower score than ctr-bun's own may have takes CAP_SYS_RESOURCE: give 0 or more" },
    },
  ];
}

function userNamespaceSteps({ config, host }: PlanInput): Step[] {
  const as = (map: readonly IdMapping[], id: number | undefined) =>
    host.unprivileged === true ? { as: isOwnAlone(map, id) ? ("own" as const) : ("tool" as const) } : {};
  const uid = config.linux?.uidMappings ?? [];
  const gid = config.linux?.gidMappings ?? [];
  for (const [property, map] of [
    ["uidMappings", uid],
    ["gidMappings", gid],
  ] as const) {
    if (map.length > 0) continue;
    throw fail({
      code: "INVALID_CONFIG",
      field: `linux.${property}`,
      message: "a new user namespace needs mappings",
      hint: `give linux.${property}, such as [{"containerID": 0, "hostID": 100000, "size": 65536}]`,
    });
  }
  checkIdMap("linux.uidMappings", uid, host.arch);
  checkIdMap("linux.gidMappings", gid, host.arch);
  return [
    {
      on: "init",
      field: "linux.namespaces",
      about: "make the user namespace",
      rows: [row("unshare", [CLONE_NEWUSER])],
      hints: {
        EPERM: "user namespaces are forbidden here (kernel.unprivileged_userns_clone, or a security module)",
        ENOSPC: "the limit in /proc/sys/user/max_user_namespaces is reached",
      },
    },
    syncStep("maps", "linux.uidMappings", "wait for the ID mappings"),
    {
      on: "host",
      field: "linux.gidMappings",
      about: "map groups",
      action: { do: "id-map", file: "gid_map", map: gid, ...as(gid, host.gid) },
    },
    {
      on: "host",
      field: "linux.uidMappings",
      about: "map users",
      action: { do: "id-map", file: "uid_map", map: uid, ...as(uid, host.uid) },
    },
  ];
}
