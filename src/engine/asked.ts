/**
 * What a person asks of a container: the flags of `run`, read and judged before anything is done.
 * Not here: what depends on the image (create.ts).
 */
import { fail } from "../error.ts";
import type { LinuxDeviceCgroup, Rlimit } from "../spec/runtime/config.ts";
import { cgroupManager, checkCgroupManager } from "./cgroup-manager.ts";
import { capabilityWarnings, chooseCapabilities } from "./config/capabilities.ts";
import { type CgroupChoice, parseCgroupFlags } from "./config/cgroup-flags.ts";
import { type DeviceRequest, parseDeviceFlag, parseDeviceRule } from "./config/devices.ts";
import { type EnvChange, parseEnvFlag } from "./config/env.ts";
import type { RunFlags } from "./config/flags.ts";
import { kernelMemoryWarnings, parseLimits, parseOomScoreAdj } from "./config/limit-flags.ts";
import { limitWarnings, newLimits } from "./config/limit-rules.ts";
import { type MountRequest, parseMountFlag, parseTmpfsFlag, parseVolumeFlag } from "./config/mount-flags.ts";
import { checkHostname, type HostEntry, parseAddHost, parseDns } from "./config/network-files.ts";
import { type LimitResources, limitResources } from "./config/resources.ts";
import { parseSecurityOptions, type SecurityOptions } from "./config/security.ts";
import { parseUlimits } from "./config/ulimit.ts";
import type { Engine } from "./engine.ts";
import { readEnvFiles } from "./files.ts";
import { limitHost } from "./limit-host.ts";
import { checkName } from "./names.ts";
import type { HostLimits } from "./record.ts";
import { parseSignal } from "./signal.ts";
import { checkBindSources } from "./sources.ts";

/** `container` is what the person called it. */
export type NetworkChoice =
  | { readonly kind: "none" }
  | { readonly kind: "host" }
  | { readonly kind: "container"; readonly container: string };

/** Everything that flags decide alone. */
export interface Asked {
  readonly flags: RunFlags;
  readonly name: string | undefined;
  readonly hostname: string | undefined;
  readonly envChanges: readonly EnvChange[];
  readonly mounts: readonly MountRequest[];
  readonly devices: readonly DeviceRequest[];
  readonly deviceRules: readonly LinuxDeviceCgroup[];
  readonly limits: HostLimits;
  readonly resources: LimitResources;
  readonly cgroup: CgroupChoice;
  readonly oomScoreAdj: number | undefined;
  readonly rlimits: readonly Rlimit[];
  readonly capabilities: readonly string[];
  readonly security: SecurityOptions;
  readonly network: NetworkChoice;
  readonly dns: readonly string[];
  readonly hosts: readonly HostEntry[];
  /** What a person should know: what of the flags this host cannot hold. */
  readonly warnings: readonly string[];
}

/** Reads the flags. @throws CtrError that names the flag. */
export function readFlags(flags: RunFlags, engine: Engine): Asked {
  const { cwd, env, host, settings } = engine;
  const network = networkChoice(flags.network ?? settings.network);
  refuseForJoined(flags, network);
  if (flags["stop-signal"] !== undefined) parseSignal(flags["stop-signal"], "--stop-signal");
  const mounts = [
    ...flags.volume.map((text) => parseVolumeFlag(text, cwd)),
    ...flags.mount.map((text) => parseMountFlag(text, cwd)),
    ...flags.tmpfs.map(parseTmpfsFlag),
  ];
  checkBindSources(mounts);
  const defaults = settings.limits;
  const limiting = limitHost(host);
  const cgroup = parseCgroupFlags(flags, cgroupManager(engine), host.cgroup.mode);
  checkCgroupManager(cgroup.manager, host);
  const limits = newLimits(parseLimits(withDefaults(flags, defaults), limiting));
  const capabilityFlags = {
    add: flags["cap-add"],
    drop: flags["cap-drop"],
    privileged: flags.privileged,
    host: host.capabilities,
  };
  return {
    flags,
    name: flags.name === undefined ? undefined : checkName(flags.name),
    hostname: flags.hostname === undefined ? undefined : checkHostname(flags.hostname),
    envChanges: [
      ...readEnvFiles(flags["env-file"], cwd, env),
      ...flags.env.map((text) => parseEnvFlag(text, env)),
    ],
    mounts,
    devices: flags.device.map(parseDeviceFlag),
    deviceRules: flags["device-cgroup-rule"].flatMap(parseDeviceRule),
    limits,
    resources: limitResources(limits, limiting),
    cgroup,
    oomScoreAdj: parseOomScoreAdj(flags["oom-score-adj"]),
    rlimits: parseUlimits([...(defaults.ulimit ?? []), ...flags.ulimit]),
    capabilities: chooseCapabilities(capabilityFlags),
    security: parseSecurityOptions(flags["security-opt"]),
    network,
    dns: flags.dns.map(parseDns),
    hosts: flags["add-host"].map(parseAddHost),
    warnings: [
      ...kernelMemoryWarnings(flags),
      ...limitWarnings(limits, limiting),
      ...capabilityWarnings(capabilityFlags),
    ],
  };
}

/** A quota that is asked for takes the place of a number of CPUs that the configuration has. */
function withDefaults(flags: RunFlags, defaults: Engine["settings"]["limits"]): RunFlags {
  const hasQuota = flags["cpu-quota"] !== undefined || flags["cpu-period"] !== undefined;
  return {
    ...flags,
    memory: flags.memory ?? defaults.memory,
    "memory-swap": flags["memory-swap"] ?? defaults["memory-swap"],
    cpus: flags.cpus ?? (hasQuota ? undefined : defaults.cpus?.toString()),
    "pids-limit": flags["pids-limit"] ?? defaults["pids-limit"]?.toString(),
  };
}

function networkChoice(text: string): NetworkChoice {
  if (text === "none" || text === "host") return { kind: text };
  const container = /^container:(.+)$/.exec(text)?.[1];
  if (container !== undefined) return { kind: "container", container };
  const isBridge = text === "bridge" || text === "default";
  throw fail({
    code: isBridge ? "UNSUPPORTED" : "INVALID_FLAG",
    field: "--network",
    message: isBridge ? "there is no bridge yet" : `there is no network ${JSON.stringify(text)}`,
    hint: "networks are none (the default), host and container:NAME",
  });
}

/** A container that joins another's network has its name, hosts and resolv.conf too. */
function refuseForJoined(flags: RunFlags, network: NetworkChoice): void {
  if (network.kind !== "container") return;
  const given = [
    flags.hostname === undefined ? undefined : "--hostname",
    flags.dns.length === 0 ? undefined : "--dns",
    flags["add-host"].length === 0 ? undefined : "--add-host",
  ].find((flag) => flag !== undefined);
  if (given === undefined) return;
  throw fail({
    code: "INVALID_FLAG",
    field: given,
    message: `it cannot be given with --network container:${network.container}`,
    hint: "give it to the container whose network it is",
  });
}
