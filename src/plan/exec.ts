/**
 * A further program in a running container: the same machine with a shorter program. It joins the namespaces of the
 * container's init by pidfd, and its cgroup, and becomes what its `process` says. Pure.
 */
import type { CgroupJoin, DriverRegistry, Host } from "../driver.ts";
import {
  AT_FDCWD,
  CLONE_NEWUSER,
  CLONE_PARENT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  PR_SET_DUMPABLE,
} from "../kernel/constants.ts";
import type { Linux, LinuxSeccomp, Process } from "../spec/runtime/config.ts";
import { affinitySteps, wholeCpusetSteps } from "./affinity.ts";
import type { Wishes } from "./annotations.ts";
import { grantable } from "./capabilities.ts";
import { closeStep } from "./close.ts";
import { consoleSteps } from "./console.ts";
import { checkDirectoryStep, enterDirectoryStep } from "./directory.ts";
import { executeStep, lookupStep } from "./execute.ts";
import { identitySteps, keyringStep, limitSteps, noNewPrivilegesSteps } from "./identity.ts";
import type { PlanFacts } from "./input.ts";
import { labelSteps, openProcSteps, refuseLabels } from "./labels.ts";
import { memoryPolicySteps } from "./memory-policy.ts";
import { ROOT } from "./paths.ts";
import { personalitySteps } from "./personality.ts";
import { CALLERS_UMASK, executingStep, lastStep } from "./program.ts";
import { joinResctrlSteps } from "./resctrl.ts";
import { row, slot, syncStep } from "./rows.ts";
import { schedulingSteps } from "./scheduling.ts";
import { checkSeccomp, letsThrough } from "./seccomp.ts";
import { agentOf } from "./seccomp-listener.ts";
import { seccompStep } from "./seccomp-load.ts";
import { setgroupsOf } from "./setgroups.ts";
import { attachSteps, CHILD, cloneStep, firstStep, joinCgroup, oomScoreSteps } from "./stage0.ts";
import { outerStdioStep, stdioStep } from "./stdio.ts";
import type { InitStep, Plan, ResctrlGroup, Step } from "./step.ts";

/** What a plan for exec is made from. */
export interface ExecInput {
  readonly id: string;
  readonly process: Process;
  /** Of the container: memory policy, personality, cpuset. */
  readonly linux: Linux | undefined;
  readonly seccomp: LinuxSeccomp | undefined;
  readonly host: Host;
  readonly registry: DriverRegistry;
  /** CLONE_NEW* of the container's namespaces that ctr-bun is not in. The descriptor `init` is the init's pidfd. */
  readonly namespaces: number;
  readonly cgroup: CgroupJoin | undefined;
  readonly resctrl?: ResctrlGroup | undefined;
  readonly facts: Pick<PlanFacts, "nofile" | "lastCapability" | "seccomp">;
  readonly preserveFds: number;
  readonly noNewKeyring: boolean;
  /** Of the container's annotations. */
  readonly wishes?: Wishes;
  /** Of the variable RUN_OCI_SECCOMP_RECEIVER, where it is set. */
  readonly seccompReceiver?: string | undefined;
  /** Path to the root of the container's init (/proc/PID/root), where it is not that of its mount namespace. */
  readonly root: string | undefined;
}

const JOIN_HINTS = {
  ESRCH: "the container has ended meanwhile",
  EPERM: "joining the container takes the rights that made it",
};

/** Makes the plan. */
export function makeExecPlan(input: ExecInput): Plan {
  const { process, linux, cgroup, facts, namespaces } = input;
  refuseLabels(process, input.host);
  const warnings: string[] = [];
  const user = (namespaces & CLONE_NEWUSER) !== 0;
  const affinity = affinitySteps(process.execCPUAffinity);
  // As the specification and runc have it: without one of its own, the program has that of exec's caller.
  const umask = process.user.umask === undefined ? CALLERS_UMASK : undefined;
  const steps: Step[] = [...(cgroup?.before ?? []), firstStep(umask), ...affinity.initial];
  if (user) steps.push(...outerStdioStep(process, linux?.uidMappings));
  steps.push(...oomScoreSteps(process));
  // Before the container is entered, where /proc may be anything; fork and setns keep them until execve.
  steps.push(...openProcSteps(process), ...labelSteps(process, !input.noNewKeyring));
  steps.push(...attachSteps(cgroup));
  const { steps: joins, cloneInto } = joinCgroup(cgroup, user);
  steps.push(...joins);
  const join = [
    // Others live where this goes: nothing of ours may be reached through /proc (CVE-2016-9962).
    row("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0]),
    // A container that is in all of ctr-bun's own namespaces: setns(2) of none is EINVAL.
    ...(namespaces === 0 ? [] : [row("setns", [{ fd: "init" }, namespaces])]),
  ];
  if (input.root !== undefined) {
    // No pivot_root made this root the namespace's own: it is entered as the container's init did.
    join.push(row("fchdir", [{ fd: "root" }]), row("chroot", ["."]));
    steps.unshift({
      on: "host",
      field: "process",
      about: "open the container's root",
      action: { do: "open", as: "root", path: input.root, flags: O_PATH | O_DIRECTORY },
    });
  }
  if (user) join.push(row("setresgid", [0, 0, 0]), row("setresuid", [0, 0, 0]));
  steps.push({ on: "init", field: "process", about: "join the container", rows: join, hints: JOIN_HINTS });
  steps.push(cloneStep(CLONE_PARENT, cloneInto), ...joinResctrlSteps(input.resctrl));
  // Others can look at this process from its first moment on: nothing of the host's may be open in it.
  const closed = row("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: CHILD });
  const about = "be closed to ptrace";
  steps.push({ on: "init", field: "process", about, rows: [closed] }, ...(cgroup?.inside ?? []));
  steps.push(closeStep(input.preserveFds, false));
  steps.push({
    on: "init",
    field: "process",
    about: "begin the process in a session of its own",
    rows: [
      row("setsid", []),
      row("openat", [AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { store: ROOT }),
    ],
  });
  steps.push(...affinity.final);
  if (process.execCPUAffinity === undefined) steps.push(...wholeCpusetSteps(linux));
  steps.push(...consoleSteps(process, false), ...(input.noNewKeyring ? [] : [keyringStep(input.id, true)]));
  const limits = limitSteps(process, user, facts.nofile, false);
  steps.push(...limits.early);
  steps.push(...memoryPolicySteps(linux), ...personalitySteps(linux, []));
  steps.push(enterDirectoryStep(process), ...stdioStep(process));
  const seccomp =
    input.seccomp === undefined
      ? undefined
      : (facts.seccomp ??
        input.registry
          .choose("seccomp", input.host)
          .compile(input.seccomp, input.host.arch, input.host.kernelVersion));
  const { seccompReceiver: receiver, wishes = {} } = input;
  const agent =
    input.seccomp === undefined || seccomp === undefined
      ? undefined
      : agentOf(input.seccomp, seccomp, { wishes, receiver, own: false });
  const load = seccomp === undefined ? [] : [seccompStep(seccomp, agent !== undefined)];
  const late = process.noNewPrivileges === true;
  const looks = seccomp === undefined || letsThrough(input, seccomp, [lookupStep(process)]);
  const after: InitStep[] = [
    ...identitySteps(
      process,
      grantable(input.host, facts.lastCapability, user),
      warnings,
      wishes.keepGroups,
      user ? "unknown" : setgroupsOf(undefined, input.host),
    ),
    checkDirectoryStep(process),
    ...noNewPrivilegesSteps(process),
  ];
  const end: InitStep[] = [
    syncStep("created", "process", "wait until ctr-bun has everything in place"),
    ...limits.last,
    lastStep(process, input.preserveFds, slot(CALLERS_UMASK)),
    executingStep(),
    ...(late ? load : []),
    executeStep(process, looks),
  ];
  if (seccomp !== undefined && !late) {
    checkSeccomp(input, seccomp, [...after, ...end]);
    steps.push(...load);
  }
  steps.push(...after);
  const [wait, ...rest] = end;
  if (wait !== undefined) steps.push(wait);
  steps.push(...limits.host, ...schedulingSteps(process), ...rest);
  return { steps, cgroupPaths: {}, cgroupDriver: undefined, seccompAgent: agent, warnings };
}
