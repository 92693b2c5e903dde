/**
 * What is refused before anything of a plan is made: properties that would change the host, for want of a namespace, and
 * those that cannot be had together. Not here: what is wrong with the values of one section, which its own file says.
 */
import { fail } from "../error.ts";
import type { NamespaceType, Process } from "../spec/runtime/config.ts";
import { affinitySteps } from "./affinity.ts";
import { hasNamespace, isSet, type PlanInput } from "./input.ts";
import { refuseLabelledInit, refuseLabels } from "./labels.ts";
import { mountedParts } from "./root.ts";
import { refuseDeadlineFork } from "./scheduling.ts";

/** Throws INVALID_CONFIG or UNSUPPORTED with the property. */
export function refuse(input: PlanInput, process: Process): void {
  const { config } = input;
  const { linux } = config;
  // It is for exec; what is wrong with it is better known now.
  affinitySteps(process.execCPUAffinity);
  refuseLabels(process, input.host);
  if (input.options.init) refuseLabelledInit(process);
  const startHooks = (config.hooks?.startContainer ?? []).length > 0;
  refuseDeadlineFork(
    process,
    startHooks ? "hooks.startContainer" : input.options.init ? "--init" : undefined,
  );
  const namespaces = linux?.namespaces ?? [];
  const needs = (type: NamespaceType, field: string, isGiven: boolean) => {
    if (!isGiven || hasNamespace(input, type)) return;
    const why = `setting it without a ${type} namespace would change the host`;
    const hint = `add {"type": "${type}"} to linux.namespaces`;
    throw fail({ code: "INVALID_CONFIG", field, message: why, hint });
  };
  const clocks = Object.values(linux?.timeOffsets ?? {}).some((offset) => offset !== undefined);
  needs("uts", "hostname", isSet(config.hostname));
  needs("uts", "domainname", isSet(config.domainname));
  needs("user", "linux.uidMappings", isSet(linux?.uidMappings));
  needs("user", "linux.gidMappings", isSet(linux?.gidMappings));
  needs("time", "linux.timeOffsets", clocks);
  const user = namespaces.findIndex(({ type }) => type === "user");
  if (input.facts.hostsOwn.includes("user")) {
    throw fail({
      code: "INVALID_CONFIG",
      field: `linux.namespaces[${user}].path`,
      message: "the user namespace that ctr-bun is in already cannot be joined",
      hint: "leave it out: what is not listed is ctr-bun's own",
    });
  }
  if (clocks && namespaces.some(({ type, path }) => type === "time" && path !== undefined)) {
    throw fail({
      code: "INVALID_CONFIG",
      field: "linux.timeOffsets",
      message: "the clocks of a time namespace that is joined cannot be set any more",
      hint: "leave the offsets or the namespace's path out",
    });
  }
  refuseMounts(input);
}

/** What it takes to tell whose a mount namespace is. */
export const UNKNOWN_OWNER_HINT =
  "looking at /proc/1/ns/mnt takes CAP_SYS_PTRACE, and a /proc that shows PID 1";

/** Where nothing may be mounted: it would be seen by the host. */
function refuseMounts({ config, facts }: PlanInput): void {
  const mount = (config.linux?.namespaces ?? []).find(({ type }) => type === "mount");
  const [first] = mountedParts(config);
  if (first === undefined) return;
  const whose = mount === undefined ? "ctr-bun" : (facts.joinedMounts?.owner ?? "other");
  // One that could not be looked at is an error when it is opened.
  if ((mount !== undefined && mount.path === undefined) || whose === "other") return;
  if (whose === "unknown") {
    throw fail({
      code: "INVALID_CONFIG",
      field: first[0],
      message: "whether the mount namespace that is joined is that of PID 1 cannot be seen",
      hint: UNKNOWN_OWNER_HINT,
    });
  }
  const hint = "leave it out, or leave the namespace's path out for a new one";
  throw fail({
    code: "INVALID_CONFIG",
    field: first[0],
    ...(mount === undefined
      ? {
          message: "setting it without a mount namespace would change the host",
          hint: 'add {"type": "mount"} to linux.namespaces',
        }
      : { message: `setting it in the mount namespace of ${whose} would change the host`, hint }),
  });
}
