/**
 * From config.json to a plan: the order of everything that makes a container. Pure: the host, the drivers and what was
 * looked up come as values. Not here: any section's steps (one file each), carrying the plan out (runtime/).
 */
import type { CgroupPart, NamespacePart, SeccompProgram } from "../driver.ts";
import { fail } from "../error.ts";
import type { Process } from "../spec/runtime/config.ts";
import { consoleSteps } from "./console.ts";
import { deviceSteps } from "./devices.ts";
import { checkDirectoryStep, enterDirectoryStep, makeDirectorySteps } from "./directory.ts";
import { hookSteps } from "./hooks.ts";
import {
  identitySteps,
  keyringStep,
  noNewPrivilegesSteps,
  refuseUnsupported,
  rlimitSteps,
  seccompStep,
} from "./identity.ts";
import type { PlanInput } from "./input.ts";
import { maskSteps, readonlyPathSteps } from "./masks.ts";
import { mountSteps } from "./mounts.ts";
import {
  executeStep,
  executingStep,
  initStep,
  lastStep,
  lookupStep,
  stdioStep,
  waitForStartStep,
} from "./program.ts";
import { bindRootSteps, enterRootSteps, hasMountNamespace, readonlyRootSteps } from "./root.ts";
import { row, syncStep } from "./rows.ts";
import { checkSeccomp } from "./seccomp.ts";
import { CHILD, stage0Steps } from "./stage0.ts";
import type { InitStep, Plan, Step } from "./step.ts";
import { sysctlSteps } from "./sysctl.ts";

/** Makes the plan. Throws INVALID_CONFIG or UNSUPPORTED with the field. */
export function makePlan(input: PlanInput): Plan {
  const { config, options, facts } = input;
  const process = config.process;
  if (process === undefined) {
    throw fail({ code: "INVALID_CONFIG", field: "process", message: "missing: there is nothing to run" });
  }
  refuse(input, process);
  const warnings: string[] = [];
  const cgroup = cgroupPart(input);
  warnings.push(...cgroup.warnings);
  const namespaces = namespaceParts(input);
  const user = namespaces.some(({ type }) => type === "user");
  const seccomp = compileSeccomp(input);
  const steps: Step[] = [...cgroup.before, ...namespaces.flatMap(({ part }) => part.before)];

  steps.push(...stage0Steps(input, { cgroup, namespaces }));
  steps.push(...cgroup.atPid, childStep());
  for (const { part } of namespaces) steps.push(...part.child);
  steps.push(...bindRootSteps(input));
  if (hasMountNamespace(input)) {
    steps.push(...mountSteps(input, cgroup.paths), ...deviceSteps(input));
  }
  steps.push(...makeDirectorySteps(process, facts), ...hookSteps(input), ...enterRootSteps(input));
  steps.push(...consoleSteps(process, hasMountNamespace(input)), ...readonlyRootSteps(input));
  steps.push(...sysctlSteps(input), ...maskSteps(input), ...readonlyPathSteps(input));
  if (!options.noNewKeyring) steps.push(keyringStep(options.id));
  const limits = rlimitSteps(process, user);
  for (const step of limits) if (step.on === "init") steps.push(step);
  steps.push(enterDirectoryStep(process), ...stdioStep(process));
  // Without no_new_privs a filter can be loaded only while there still is CAP_SYS_ADMIN.
  const late = process.noNewPrivileges === true;
  const after: InitStep[] = [
    ...identitySteps(process, facts.lastCapability, warnings),
    checkDirectoryStep(process),
    ...noNewPrivilegesSteps(process),
  ];
  const end = endSteps(input, process, late ? seccomp : undefined);
  if (seccomp !== undefined && !late) {
    checkSeccomp(input, seccomp, [...after, ...end.flatMap((step) => (step.on === "init" ? [step] : []))]);
    steps.push(seccompStep(seccomp));
  }
  steps.push(...after);
  if (options.start === "wait") steps.push(lookupStep(process));
  steps.push(syncStep("created", "process", "wait until ctr-bun has everything in place"));
  for (const step of limits) if (step.on === "host") steps.push(step);
  steps.push(...end);
  return {
    steps,
    cgroupPaths: cgroup.paths,
    cgroupDriver: cgroup === NO_CGROUP ? undefined : input.registry.choose("cgroup", input.host).name,
    warnings,
  };
}

function endSteps(input: PlanInput, process: Process, seccomp: SeccompProgram | undefined): Step[] {
  const steps: Step[] = [];
  if (input.options.start === "wait") steps.push(waitForStartStep());
  if (input.options.init) steps.push(initStep());
  steps.push(lastStep(process, input.options.preserveFds), executingStep());
  if (seccomp !== undefined) steps.push(seccompStep(seccomp));
  steps.push(executeStep(process));
  return steps;
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

const NO_CGROUP: CgroupPart = {
  paths: {},
  before: [],
  join: [],
  atPid: [],
  cloneInto: undefined,
  warnings: [],
};

function cgroupPart({ config, host, registry, options }: PlanInput): CgroupPart {
  if (host.cgroup.mode === "none") {
    if (config.linux?.resources === undefined) return NO_CGROUP;
    return {
      ...NO_CGROUP,
      warnings: ["linux.resources: no cgroup file system is mounted, so no limit is held"],
    };
  }
  return registry.choose("cgroup", host).plan(
    {
      id: options.id,
      cgroupsPath: config.linux?.cgroupsPath,
      resources: config.linux?.resources,
      ownNamespace: (config.linux?.namespaces ?? []).some(({ type }) => type === "cgroup"),
    },
    host,
  );
}

function namespaceParts({ config, registry }: PlanInput): { type: string; part: NamespacePart }[] {
  return (config.linux?.namespaces ?? []).map((namespace, index) => {
    const part = registry.get("namespace", namespace.type).plan(namespace, {
      field: `linux.namespaces[${index}]`,
      hostname: config.hostname,
      domainname: config.domainname,
    });
    return { type: namespace.type, part };
  });
}

function compileSeccomp({ config, host, registry }: PlanInput): SeccompProgram | undefined {
  const profile = config.linux?.seccomp;
  if (profile === undefined) return undefined;
  return registry.choose("seccomp", host).compile(profile, host.arch, host.kernelVersion);
}

/** What cannot be held is refused before anything is made. */
function refuse(input: PlanInput, process: Process): void {
  const { config } = input;
  const { linux } = config;
  refuseUnsupported(process);
  const types = new Set((linux?.namespaces ?? []).map(({ type }) => type as string));
  const needs = (type: string, field: string, given: unknown) => {
    if (given === undefined || given === "" || types.has(type)) return;
    const why = `setting it without a ${type} namespace would change the host`;
    const hint = `add {"type": "${type}"} to linux.namespaces`;
    throw fail({ code: "INVALID_CONFIG", field, message: why, hint });
  };
  needs("uts", "hostname", config.hostname);
  needs("uts", "domainname", config.domainname);
  needs("time", "linux.timeOffsets", linux?.timeOffsets);
  if (!types.has("mount")) {
    for (const [field, list] of [
      ["mounts", config.mounts],
      ["linux.maskedPaths", linux?.maskedPaths],
      ["linux.readonlyPaths", linux?.readonlyPaths],
    ] as const) {
      if (list !== undefined && list.length > 0) needs("mount", field, list);
    }
  }
  for (const [field, value] of [
    ["linux.netDevices", linux?.netDevices],
    ["linux.intelRdt", linux?.intelRdt],
    ["linux.memoryPolicy", linux?.memoryPolicy],
    ["linux.personality", linux?.personality],
    ["linux.mountLabel", linux?.mountLabel],
  ] as const) {
    if (value === undefined || value === "") continue;
    throw fail({ code: "UNSUPPORTED", field, message: "not supported yet", hint: "leave it out" });
  }
}
