/**
 * What a plan is made from: the config, the host, the drivers, and facts that were looked up beforehand. All of it is
 * data; making a plan touches nothing. Not here: looking the facts up (runtime/facts.ts).
 */
import type { DriverRegistry, Host, SeccompProgram } from "../driver.ts";
import type { NamespaceType, RuntimeConfig } from "../spec/runtime/config.ts";
import type { MountsIn } from "./step.ts";

/** Where a mount goes, found by walking the root file system before the plan is made. */
export interface MountFact {
  /** Absolute path inside the root, without `.`, `..` or symbolic links as far as it exists. */
  readonly destination: string;
  /** How many components at its end do not exist yet. */
  readonly missing: number;
  /** Index in config.mounts of the mount that it lies in, -1 for the root file system itself. */
  readonly inside: number;
  /** Absolute source of a bind mount; else the source as given. */
  readonly source: string;
  /** A bind mount's source is not a directory. */
  readonly file: boolean;
  /** A bind mount's source is a procfs. */
  readonly procfs?: boolean;
  /** Not everybody may reach a bind mount's source; looked up where the container has a user namespace. */
  readonly closed?: boolean;
  /** A bind mount's source lies in an earlier mount of the config: it is there only once that is made. */
  readonly covered?: boolean;
  /** Type of the file system that the source of an ID-mapped mount lies in. */
  readonly fileSystem?: string;
}

/** What there is of resctrl before the container. */
export interface ResctrlFact {
  /** Where it is mounted. */
  readonly root: string;
  /** What the container's class has in its file `schemata`; undefined: there is no such class. */
  readonly schemata: string | undefined;
  /** A monitoring group of the container's name is there. */
  readonly monitored: boolean;
}

/** A mount namespace that is joined, as it was looked at. */
export interface JoinedMounts extends MountsIn {
  readonly inode: number;
  /** Mounts in the first two would be the host's; `unknown`: it may be that of PID 1. */
  readonly owner: "ctr-bun" | "PID 1" | "unknown" | "other";
}

/** What was looked up for one container. */
export interface PlanFacts {
  /** Absolute. */
  readonly bundle: string;
  /** Absolute path of the root file system on the host. */
  readonly rootfs: string;
  /** In the order of config.mounts. */
  readonly mounts: readonly MountFact[];
  /** process.cwd inside the root, and how many of its components do not exist. */
  readonly cwd: Pick<MountFact, "destination" | "missing"> | undefined;
  /** RLIMIT_NOFILE as the caller had it, where ctr-bun's own differs. */
  readonly nofile: { readonly soft: bigint; readonly hard: bigint } | undefined;
  /** Where whole procfs and sysfs file systems are mounted outside of the root; looked up for --no-pivot alone. */
  readonly kernelMounts?: readonly string[];
  /** Highest capability that the kernel knows. */
  readonly lastCapability: number;
  /** Types of joined namespaces that belong to the joined user namespace: they are joined after it. */
  readonly afterUser: readonly string[];
  /** Looked up for linux.intelRdt alone; undefined: no resctrl file system is mounted. */
  readonly resctrl?: ResctrlFact | undefined;
  /** Types of joined namespaces that are ctr-bun's own: what is set in one is set for the host. */
  readonly hostsOwn: readonly string[];
  /** The mount namespace that is joined; undefined: none, or it could not be opened. */
  readonly joinedMounts?: JoinedMounts | undefined;
  /** linux.seccomp as it was compiled for this host; undefined: the plan has it compiled. */
  readonly seccomp?: SeccompProgram | undefined;
}

/** How the container is to be made, besides its config. */
export interface PlanOptions {
  readonly id: string;
  /** `wait`: until `start` (OCI create); `go`: as soon as everything stands (run). */
  readonly start: "wait" | "go";
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** Descriptors from 3 up that the program keeps. */
  readonly preserveFds: number;
  /** The init stays PID 1, forwards signals, reaps, and ends with the program's code. */
  readonly init: boolean;
  /** The container gets no cgroup, whatever the host has. */
  readonly noCgroup?: boolean;
  /** ctr-bun itself answers the calls of a seccomp filter that notifies. */
  readonly seccompAgent?: boolean;
  /** Of the variable RUN_OCI_SECCOMP_RECEIVER, where it is set. */
  readonly seccompReceiver?: string;
  /** Name of the cgroup driver, where it was asked for; else the first that the host can carry. */
  readonly cgroupDriver?: string | undefined;
}

/** Everything a plan is made from. */
export interface PlanInput {
  readonly config: RuntimeConfig;
  readonly host: Host;
  readonly registry: DriverRegistry;
  readonly facts: PlanFacts;
  readonly options: PlanOptions;
}

/** Whether the container is in another namespace of this type than ctr-bun, by making or by joining it. */
export function hasNamespace(
  { config, facts }: Pick<PlanInput, "config" | "facts">,
  wanted: NamespaceType,
): boolean {
  return listsNamespace(config, wanted) && !facts.hostsOwn.includes(wanted);
}

/** Whether the config lists a namespace of this type, new or joined. */
export function listsNamespace({ linux }: Pick<RuntimeConfig, "linux">, wanted: NamespaceType): boolean {
  return (linux?.namespaces ?? []).some(({ type }) => type === wanted);
}

/** Whether the container gets a new namespace of this type. */
export function makesNamespace({ linux }: Pick<RuntimeConfig, "linux">, wanted: NamespaceType): boolean {
  return (linux?.namespaces ?? []).some(({ type, path }) => type === wanted && path === undefined);
}

/** Whether a property says anything: an empty list or text does not. */
export function isSet(value: unknown): boolean {
  return value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);
}
