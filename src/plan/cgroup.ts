/**
 * The container's part of the cgroup tree, asked of the driver; or what becomes of limits where there is none.
 * Not here: how a cgroup is joined (stage0.ts), mounts of type cgroup (cgroup-mount.ts).
 */
import type { CgroupDriver, CgroupPart } from "../driver.ts";
import { fail } from "../error.ts";
import type { LinuxResources } from "../spec/runtime/config.ts";
import { meansNoProcess } from "../spec/version.ts";
import { isSet, listsNamespace, type PlanInput } from "./input.ts";

const NO_CGROUP: CgroupPart = {
  paths: {},
  before: [],
  join: [],
  atPid: [],
  cloneInto: undefined,
  warnings: [],
};

/** Without a pids limit of 0 that the document's version does not mean as one. */
function resourcesOf({ ociVersion, linux }: PlanInput["config"]): LinuxResources | undefined {
  const resources = linux?.resources;
  if (resources?.pids?.limit !== 0 || meansNoProcess(ociVersion)) return resources;
  return { ...resources, pids: undefined };
}

/** The driver that was asked for, or the first that works here. Throws NO_DRIVER for one that does not. */
export function cgroupDriver({ host, registry, options }: PlanInput): CgroupDriver {
  const { cgroupDriver: name } = options;
  if (name === undefined) return registry.choose("cgroup", host);
  const driver = registry.get("cgroup", name);
  const probe = driver.probe(host);
  if (probe.ok) return driver;
  throw fail({ code: "NO_DRIVER", message: probe.why, hint: probe.hint });
}

/** Annotations that a driver without a part for them must not leave out: the container would see other cgroups. */
const DELEGATE = "run.oci.delegate-cgroup";

/** The cgroup of the container. Throws CGROUP where it has limits that nothing would hold. */
export function cgroupPart(input: PlanInput): CgroupPart {
  const { config, host, options } = input;
  if (options.cgroupDriver !== "systemd" && config.annotations?.[DELEGATE]) {
    throw fail({
      code: "UNSUPPORTED",
      field: `annotations["${DELEGATE}"]`,
      message: "not supported without --systemd-cgroup",
      hint: "a cgroup namespace with a writable mount of type cgroup shows the container its own",
    });
  }
  if (options.noCgroup === true) return withoutCgroup(config.linux?.resources);
  if (host.cgroup.mode === "none") {
    if (config.linux?.resources === undefined) return NO_CGROUP;
    return {
      ...NO_CGROUP,
      warnings: ["linux.resources: no cgroup file system is mounted, so no limit is held"],
    };
  }
  const resources = resourcesOf(config);
  // Nobody may set device rules in a user namespace, or as an ordinary user, and nobody can make a device there either
  // (as in runc).
  const unruled = host.userNamespace === true || host.unprivileged === true;
  const part = cgroupDriver(input).plan(
    {
      id: options.id,
      cgroupsPath: config.linux?.cgroupsPath,
      resources: unruled ? { ...resources, devices: [{ allow: true, access: "rwm" }] } : resources,
      ownNamespace: listsNamespace(config, "cgroup"),
      userNamespace: listsNamespace(config, "user"),
      annotations: config.annotations,
    },
    host,
  );
  if (!unruled || (resources?.devices ?? []).length === 0) return part;
  const warning =
    host.userNamespace === true
      ? "linux.resources.devices: ctr-bun is in a user namespace, where no device rules can be set"
      : "linux.resources.devices: an ordinary user can set no device rules";
  return { ...part, warnings: [...part.warnings, warning] };
}

/** Limits that were asked for, and would not be held, are refused; of devices all are seen. */
function withoutCgroup({ devices, ...limits }: LinuxResources = {}): CgroupPart {
  const limit = Object.entries(limits).find(([, value]) => isSet(value));
  if (limit !== undefined) {
    throw fail({
      code: "CGROUP",
      field: `linux.resources.${limit[0]}`,
      message: "cannot set limits without cgroups",
      hint: "leave it out, or --cgroup-manager disabled",
    });
  }
  const warning = "linux.resources.devices: without cgroups access to devices is not restricted";
  return { ...NO_CGROUP, warnings: isSet(devices) ? [warning] : [] };
}
