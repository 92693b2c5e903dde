/**
 * From config.json to a plan: the order of everything that makes a container. Pure: the host, the drivers and what was
 * looked up come as values. Not here: any section's steps (one file each), what is refused beforehand (refuse.ts),
 * carrying the plan out (runtime/).
 */
import type { NamespacePart, SeccompProgram } from "../driver.ts";
import { fail } from "../error.ts";
import type { Process } from "../spec/runtime/config.ts";
import { wholeCpusetSteps } from "./affinity.ts";
import { readAnnotations, type Wishes } from "./annotations.ts";
import { grantable } from "./capabilities.ts";
import { cgroupDriver, cgroupPart } from "./cgroup.ts";
import { closeStep } from "./close.ts";
import { consoleSteps } from "./console.ts";
import { deviceSteps } from "./devices.ts";
import { checkDirectoryStep, enterDirectoryStep, makeDirectorySteps } from "./directory.ts";
import { executeStep, lookupStep } from "./execute.ts";
import { createHookSteps, startHookSteps } from "./hooks.ts";
import { identitySteps, keyringStep, limitSteps, noNewPrivilegesSteps } from "./identity.ts";
import { makesNamespace, type PlanInput } from "./input.ts";
import { labelSteps, openProcSteps } from "./labels.ts";
import { maskSteps, readonlyPathSteps } from "./masks.ts";
import { memoryPolicySteps } from "./memory-policy.ts";
import { lateReadonlySteps, mountSteps } from "./mounts.ts";
import { netDeviceSteps } from "./net-devices.ts";
import { personalitySteps } from "./personality.ts";
import { executingStep, initStep, lastStep, waitForStartStep } from "./program.ts";
import { refuse } from "./refuse.ts";
import { resctrlPart } from "./resctrl.ts";
import {
  bindRootSteps,
  boundPart,
  enterRootSteps,
  hasMountNamespace,
  joinsMountNamespace,
  readonlyRootSteps,
} from "./root.ts";
import { row, syncStep } from "./rows.ts";
import { schedulingSteps } from "./scheduling.ts";
import { checkSeccomp, letsThrough, refuseUnknown } from "./seccomp.ts";
import { agentOf } from "./seccomp-listener.ts";
import { seccompStep } from "./seccomp-load.ts";
import { setgroupsOf } from "./setgroups.ts";
import { earlySourceSteps, helperSourceSteps } from "./sources.ts";
import { CHILD, stage0Steps } from "./stage0.ts";
import { stdioStep } from "./stdio.ts";
import type { InitStep, Plan, SeccompAgent, Step } from "./step.ts";
import { sysctlSteps } from "./sysctl.ts";

/** Makes the plan. Throws INVALID_CONFIG or UNSUPPORTED with the field. */
export function makePlan(input: PlanInput): Plan {
  const { config, options, facts } = input;
  const process = config.process;
  if (process === undefined) {
    throw fail({ code: "INVALID_CONFIG", field: "process", message: "missing: there is nothing to run" });
  }
  refuse(input, process);
  const wishes = readAnnotations(config);
  const warnings: string[] = [];
  const cgroup = cgroupPart(input);
  warnings.push(...cgroup.warnings);
  const namespaces = namespaceParts(input);
  const user = namespaces.some(({ type }) => type === "user");
  const { seccomp, agent } = seccompPart(input, wishes);
  const resctrl = resctrlPart(input);
  const steps: Step[] = [
    ...cgroup.before,
    ...resctrl.before,
    ...namespaces.flatMap(({ part }) => part.before),
  ];

  steps.push(...stage0Steps(input, { cgroup, namespaces }));
  const close = closeStep(options.preserveFds, options.start === "wait");
  // Where others' mount namespace is joined, stage 0 has written them already.
  const labelled = joinsMountNamespace(input) ? {} : process;
  steps.push(
    ...cgroup.atPid,
    ...resctrl.atPid,
    childStep(),
    close,
    ...openProcSteps(labelled),
    ...wholeCpusetSteps(config.linux),
    ...netDeviceSteps(input),
  );
  for (const { part } of namespaces) steps.push(...part.child);
  if (hasMountNamespace(input)) steps.push(...earlySourceSteps(input));
  steps.push(...bindRootSteps(input));
  if (hasMountNamespace(input)) {
    steps.push(...helperSourceSteps(input));
    steps.push(...mountSteps(input, cgroup.paths, warnings), ...deviceSteps(input));
  }
  steps.push(...makeDirectorySteps(process, facts), ...lateReadonlySteps(input), ...createHookSteps(input));
  // Behind these hooks: what they execute is the host's.
  steps.push(...labelSteps(labelled, !options.noNewKeyring));
  steps.push(...enterRootSteps(input));
  steps.push(...consoleSteps(process, hasMountNamespace(input)), ...readonlyRootSteps(input));
  steps.push(...sysctlSteps(input), ...maskSteps(input), ...readonlyPathSteps(input));
  steps.push(close);
  if (!options.noNewKeyring) steps.push(keyringStep(options.id));
  const limits = limitSteps(process, user, facts.nofile, (config.hooks?.startContainer ?? []).length > 0);
  steps.push(...limits.early);
  steps.push(...memoryPolicySteps(config.linux), ...personalitySteps(config.linux, warnings));
  steps.push(enterDirectoryStep(process), ...stdioStep(process));
  // Without no_new_privs a filter can be loaded only while there still is CAP_SYS_ADMIN.
  const late = process.noNewPrivileges === true;
  const hooks = startHookSteps(input, limits.last);
  const after: InitStep[] = [
    ...identitySteps(
      process,
      grantable(input.host, facts.lastCapability, user),
      warnings,
      wishes.keepGroups,
      setgroupsOf(config.linux, input.host),
    ),
    checkDirectoryStep(process),
    ...noNewPrivilegesSteps(process),
  ];
  const created = syncStep("created", "process", "wait until ctr-bun has everything in place");
  // Profiles older than faccessat2 forbid it: then only execve can tell whether the program is there.
  const looks = seccomp === undefined || letsThrough(input, seccomp, [lookupStep(process)]);
  const load = seccomp === undefined ? [] : [seccompStep(seccomp, agent !== undefined)];
  // Create sends the listener, as in runc: an agent that is not there is its error, and not that of start.
  const loadsBeforeWait = late && agent !== undefined && options.start === "wait";
  const loadsLast = late && !loadsBeforeWait ? load : [];
  const end = endSteps(input, process, { limits: limits.last, hooks, load: loadsLast, looks });
  const lookup = options.start === "wait" && (late || looks) ? [lookupStep(process)] : [];
  if (seccomp !== undefined && loadsBeforeWait) {
    const hint =
      "with SCMP_ACT_NOTIFY the filter is loaded before the container waits for start: allow these calls";
    checkSeccomp(input, seccomp, [created, ...end], hint);
  } else if (seccomp !== undefined && late && (hooks.length > 0 || options.init)) {
    const under = end.slice(end.findIndex(({ field }) => field === "linux.seccomp") + 1);
    const who = hooks.length > 0 ? "startContainer hooks run" : "the init that stays PID 1 runs";
    checkSeccomp(input, seccomp, under, `${who} under the filter: allow these calls`);
  }
  if (seccomp !== undefined && !late) {
    checkSeccomp(input, seccomp, [...after, created, ...end]);
    steps.push(...load);
  }
  steps.push(...after, ...lookup, ...(loadsBeforeWait ? load : []), created);
  steps.push(...limits.host, ...schedulingSteps(process), ...end);
  return {
    steps,
    cgroupPaths: cgroup.paths,
    cgroupDriver: Object.keys(cgroup.paths).length === 0 ? undefined : cgroupDriver(input).name,
    resctrl: resctrl.group,
    seccompAgent: agent,
    warnings,
  };
}

/** What the end of the init is put together from; `load`: the filter, where it is loaded here. */
interface End {
  readonly limits: readonly InitStep[];
  readonly hooks: readonly InitStep[];
  readonly load: readonly InitStep[];
  readonly looks: boolean;
}

function endSteps({ config, host, options }: PlanInput, process: Process, end: End): InitStep[] {
  const { limits, hooks, load, looks } = end;
  // A startContainer hook is a file of the container's root: it gets no further than the program itself. And an init that
  // stays must not do what the program may not: root of the container can make it do so by ptrace(2).
  const [first, last] = hooks.length > 0 || options.init ? [load, []] : [[], load];
  const open = host.unprivileged === true && load.length === 0 && makesNamespace(config, "user");
  return [
    ...(options.start === "wait" ? [waitForStartStep(open)] : []),
    ...first,
    ...hooks,
    ...(options.init ? [initStep()] : []),
    ...limits,
    lastStep(process, options.preserveFds),
    executingStep(),
    ...last,
    executeStep(process, looks),
  ];
}

/** The child of clone3 begins here: a session of its own, always. */
function childStep(): InitStep {
  return {
    on: "init",
    field: "process",
    about: "begin the container's process in a session of its own",
    rows: [row("setsid", [], { label: CHILD })],
  };
}

function namespaceParts(input: PlanInput): { type: string; part: NamespacePart }[] {
  const { config, registry } = input;
  return (config.linux?.namespaces ?? []).map((namespace, index) => {
    const part = registry.get("namespace", namespace.type).plan(namespace, {
      field: `linux.namespaces[${index}]`,
      hostname: config.hostname,
      domainname: config.domainname,
    });
    return { type: namespace.type, part: namespace.type === "mount" ? boundPart(input, part) : part };
  });
}

/** The filter, and who answers for it. */
interface SeccompPart {
  readonly seccomp?: SeccompProgram;
  readonly agent?: SeccompAgent | undefined;
}

function seccompPart({ config, host, registry, facts, options }: PlanInput, wishes: Wishes): SeccompPart {
  const profile = config.linux?.seccomp;
  if (profile === undefined) return {};
  const seccomp =
    facts.seccomp ?? registry.choose("seccomp", host).compile(profile, host.arch, host.kernelVersion);
  if (wishes.failUnknownSyscalls === true) refuseUnknown(seccomp);
  const { seccompReceiver: receiver, seccompAgent: own = false } = options;
  return { seccomp, agent: agentOf(profile, seccomp, { wishes, receiver, own }) };
}
