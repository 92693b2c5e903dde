/**
 * The contracts of every kind of driver, and the registry they are looked up in.
 * What lives here: interfaces that a driver (ours or a user's file) implements, and choosing one by probe.
 * Not here: any driver. A driver imports kernel/, machine/, spec/, plan/step.ts and this file, nothing else.
 */
import { type CtrError, fail } from "./error.ts";
import type { HostStep, InitStep } from "./plan/step.ts";
import type { LinuxNamespace } from "./spec/runtime/linux.ts";
import type { LinuxResources } from "./spec/runtime/resources.ts";
import type { LinuxSeccomp } from "./spec/runtime/seccomp.ts";

/** What the host is, probed once at the edge (runtime/host.ts); a value, so plans are the same on any machine. */
export interface Host {
  /** uname -r, and its first two numbers. */
  readonly kernel: string;
  readonly kernelVersion: readonly [major: number, minor: number];
  readonly arch: "x86_64" | "aarch64";
  readonly uid: number;
  readonly gid?: number;
  readonly cgroup: HostCgroup;
  /** ctr-bun itself is in a user namespace: it makes no devices, and sets no rules for them. */
  readonly userNamespace?: boolean;
  /** ctr-bun runs for an ordinary user: it has neither uid 0 nor CAP_SYS_ADMIN. */
  readonly unprivileged?: boolean;
  /** In ctr-bun's user namespace, and so in all that are made in it, nobody may set groups (user_namespaces(7)). */
  readonly setgroupsDenied?: boolean;
  /** The systemd that a container of this user would be a unit of; undefined: it is not PID 1. */
  readonly systemd?: HostSystemd | undefined;
  /** Bounding set of ctr-bun, bit by capability number. */
  readonly capabilities: bigint;
  /** Security modules that are active, under their names in /sys/kernel/security/lsm. */
  readonly lsm: readonly string[];
}

/** The manager of this user's units: for root that of the system. */
export interface HostSystemd {
  /** The number before the dot: 252. */
  readonly version: number;
  /** The manager's own cgroup, below which its slices are: `/`, `/user.slice/user-1000.slice/user@1000.service`. */
  readonly controlGroup: string;
}

/** How control groups are set up (cgroups(7)). */
export interface HostCgroup {
  /** `unified`: cgroup2 alone; `hybrid`: v1 controllers and a cgroup2 tree; `legacy`: v1 alone; `none`. */
  readonly mode: "unified" | "hybrid" | "legacy" | "none";
  /** Mount point of the cgroup2 tree. */
  readonly unified: string | undefined;
  /** v1: controller (or `name=systemd`) to mount point. */
  readonly controllers: Readonly<Record<string, string>>;
  /** ctr-bun's own cgroup: controller (`""` for the unified tree) to path below the mount point, from /proc/self/cgroup; with `..` in it: not there. */
  readonly own: Readonly<Record<string, string>>;
  /**
   * Of the keys of `own`, those of hierarchies where ctr-bun may make the cgroup of a container that names none: near its
   * own. Undefined, for root: in all.
   */
  readonly delegated?: readonly string[] | undefined;
}

/** Whether cgroups can be made only where somebody delegated them, and devices are not ctr-bun's to give or keep. */
export function isRootless({ uid, userNamespace }: Pick<Host, "uid" | "userNamespace">): boolean {
  return uid !== 0 || userNamespace === true;
}

/** Whether a host can carry a driver: if not, why, and what would change that. */
export type Probe =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: string; readonly hint?: string };

/** What all kinds have. */
export interface Driver {
  readonly kind: DriverKind;
  readonly name: string;
  probe(host: Host): Probe;
  /** Carries out a {@link import("./plan/step.ts").DriverAction}; may return a descriptor to keep. */
  act?(call: string, args: unknown, context: ActContext): void;
  /** What an action does, in more words than its arguments: lines for people who read a plan. */
  describe?(call: string, args: unknown): readonly string[];
}

/** What a driver's action may know of the container being made. */
export interface ActContext {
  /** PID of the container's init in ctr-bun's pid namespace; undefined before sync point `pid`. */
  readonly pid: number | undefined;
  /** PID of the process that makes the init, as long as it is there. */
  readonly stage0?: number | undefined;
  /** Says that a directory is there now that was made for this container: a failure takes it away. */
  made?(path: string): void;
}

// --- cgroup -------------------------------------------------------------------------------------------------------

/** What is asked of a cgroup driver for a new container. */
export interface CgroupRequest {
  readonly id: string;
  /** linux.cgroupsPath as given; undefined: the driver's default, `/ctr-bun/ID` below its own cgroup's root. */
  readonly cgroupsPath: string | undefined;
  readonly resources: LinuxResources | undefined;
  /** Whether the container gets a cgroup namespace of its own. */
  readonly ownNamespace: boolean;
  /**
   * The container is in a user namespace: the process that makes its init joins the cgroup beside it, as root of such a
   * namespace may not let clone3(2) do so, and counts for a moment.
   */
  readonly userNamespace?: boolean;
  /** Of the config. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A cgroup driver's part of a plan. */
export interface CgroupPart {
  /** Controller (v2: `unified`) to the absolute directory of the container's cgroup. Kept in state.json. */
  readonly paths: Readonly<Record<string, string>>;
  /** Host steps before the init starts: directories, limits, opened descriptors. */
  readonly before: readonly HostStep[];
  /** Host steps while stage 0 waits, before it does anything else: for cgroups that are made of a process (systemd). */
  readonly attach?: readonly HostStep[];
  /** Init steps of stage 0 that join the cgroups, using the descriptors that `before` opened. */
  readonly join: readonly InitStep[];
  /** Host steps once the pid is known (on v1 the pids limit: before it, clone3 itself would hit it). */
  readonly atPid: readonly HostStep[];
  /** Name of the descriptor (opened in `before`) to give to clone3 with CLONE_INTO_CGROUP. */
  readonly cloneInto: string | undefined;
  readonly warnings: readonly string[];
}

/** Joining an existing container's cgroup, for exec. */
export interface CgroupJoin {
  readonly before: readonly HostStep[];
  /** As in {@link CgroupPart}. */
  readonly attach?: readonly HostStep[];
  readonly join: readonly InitStep[];
  /**
   * What the process itself joins, first of all: cgroups that limit processes by number, where the one that makes it would
   * count too. The descriptors that `before` opens are still there.
   */
  readonly inside?: readonly InitStep[];
  readonly cloneInto: string | undefined;
}

/** Counters, in runc's `events --stats` shape (the `data` part). */
export type CgroupStats = Readonly<Record<string, unknown>>;

/** Something that happened in a container's cgroup. */
export interface CgroupEvent {
  /** `oom`: a process was killed for memory, one event each. Else the cgroup's file that told: `memory.events`. */
  readonly type: string;
  /** What changed in that file: a counter by how much it rose, a state (`frozen`, `populated`) to what. */
  readonly data?: Readonly<Record<string, number | bigint>>;
}

/** Events from when it was made. */
export interface EventWatch {
  /** One of them can be read (POLLIN) when there may be something to `take`. */
  readonly fds: readonly number[];
  /** What happened since the last time; undefined once the cgroup is gone. */
  take(): readonly CgroupEvent[] | undefined;
  close(): void;
}

/** Counts processes that are killed for memory, while the cgroup is there, for when it is gone. */
export interface KillWatch {
  /** One of them can be read (POLLIN) when it is time for a `count`; more than one in 100 ms tells no more. */
  readonly fds: readonly number[];
  /** How many so far. */
  count(): number;
  close(): void;
}

/** cgroup v1, v2, systemd. `paths` is what {@link CgroupPart.paths} gave, read back from state.json. */
export interface CgroupDriver extends Driver {
  readonly kind: "cgroup";
  plan(request: CgroupRequest, host: Host): CgroupPart;
  /**
   * `initPid`: whose cgroup is joined where the container's takes no process any more (v2); undefined: nobody's.
   * `below`: key of the paths to what is joined below that directory instead. The container may have made it, and
   * changes it as it likes: it is opened from the container's own directory, and never leads out of that.
   */
  join(
    paths: Readonly<Record<string, string>>,
    host: Host,
    initPid: number | undefined,
    below?: Readonly<Record<string, string>>,
  ): CgroupJoin;
  /**
   * Changes what is given, all of it or nothing, and leaves the rest as it is. Limits that depend on each other (memory
   * and swap, quota and period) are given together. Returns what was ignored, and why.
   */
  update(paths: Readonly<Record<string, string>>, resources: LinuxResources): readonly string[];
  freeze(paths: Readonly<Record<string, string>>): void;
  thaw(paths: Readonly<Record<string, string>>): void;
  isFrozen(paths: Readonly<Record<string, string>>): boolean;
  /** Every process in the cgroup and below it, in ctr-bun's pid namespace. */
  processes(paths: Readonly<Record<string, string>>): number[];
  /** Sends a signal to all of them: also to those that fork meanwhile. */
  killAll(paths: Readonly<Record<string, string>>, signal: number): void;
  /** Of a driver whose cgroups somebody may put others into that end with them: throws CGROUP_BUSY, naming these. */
  needNoGuests?(paths: Readonly<Record<string, string>>): void;
  stats(paths: Readonly<Record<string, string>>): CgroupStats;
  /** Events from now on: running out of memory, and what else the kernel tells of by itself. */
  watchEvents(paths: Readonly<Record<string, string>>): EventWatch;
  /** Which devices the container may use, as the kernel holds it: lines for people. */
  devices(paths: Readonly<Record<string, string>>): readonly string[];
  /** What tells each cgroup from later ones with the same path, under its key; nothing of one that is gone. */
  identify(paths: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
  /** The cgroups are one thing under one name: where one of them is another's by now, all are. */
  readonly goTogether?: boolean;
  /** Of a driver whose cgroups, and counters, go with the last process: undefined where there are none. */
  watchKills?(paths: Readonly<Record<string, string>>): KillWatch | undefined;
  /** How many times a process was killed for memory. */
  oomKills(paths: Readonly<Record<string, string>>): number;
  /** Removes the directories (children first), waiting up to 10 s for the last process. Missing ones are fine. */
  remove(paths: Readonly<Record<string, string>>): void;
}

// --- seccomp ------------------------------------------------------------------------------------------------------

/** A compiled filter. */
export interface SeccompProgram {
  /** struct sock_filter[] (8 bytes each), host byte order. */
  readonly filter: Uint8Array;
  /** SECCOMP_FILTER_FLAG_* for seccomp(2). */
  readonly flags: number;
  /** Names of calls that get a notify action; of a default one also `every other call`. */
  readonly notify: readonly string[];
  /** Names in the profile that no architecture of it knows. */
  readonly unknown: readonly string[];
}

/** Turns linux.seccomp into BPF. */
export interface SeccompDriver extends Driver {
  readonly kind: "seccomp";
  /**
   * Tells what `compile` does from what every other version of it does: filters are kept under it from one start to the
   * next (runtime/seccomp-cache.ts). A driver without one is asked each time.
   */
  readonly version?: string | undefined;
  compile(profile: LinuxSeccomp, arch: Host["arch"], kernel: Host["kernelVersion"]): SeccompProgram;
  /** What a call would get: used to check that the init can still work under the filter. */
  verdict(program: SeccompProgram, arch: Host["arch"], syscall: string, args?: readonly bigint[]): number;
  /**
   * A profile as users give it, in Docker's format (`archMap`, `includes`, `excludes`) or the specification's, as the
   * latter, for a container with these capabilities.
   */
  readProfile(
    profile: unknown,
    capabilities: readonly string[],
    arch: Host["arch"],
    kernel: Host["kernelVersion"],
  ): LinuxSeccomp;
  /** ctr-bun's own default profile, given the capabilities that the container has. */
  defaultProfile(capabilities: readonly string[], arch: Host["arch"]): LinuxSeccomp;
  /** What people look at profiles with; loaded when it is called. A driver may be without. */
  workbench?(): SeccompWorkbench;
}

/** A profile for one container, and where its rules stand in what it was made of. */
export interface SeccompSource {
  readonly profile: LinuxSeccomp;
  /** Of each rule of the profile: `linux.seccomp.syscalls[3]`. */
  readonly places: readonly string[];
  /** Rules that do not hold for this container, and why: `only with CAP_SYS_ADMIN`. */
  readonly left: readonly {
    readonly place: string;
    readonly names: readonly string[];
    readonly action: string;
    readonly why: string;
  }[];
}

/** What a call gets under a profile. */
export interface SeccompOutcome {
  /** The conditions under which it does: `args[0] == 0x28`; undefined where nothing is asked. */
  readonly when: string | undefined;
  /** The arguments that were given, or else some for which it is so. */
  readonly args: readonly bigint[];
  /** SECCOMP_RET_*, and in words: `ERRNO 38 (ENOSYS)`. */
  readonly answer: number;
  readonly verdict: string;
  /** Place of the rule that decides; undefined where none does. */
  readonly rule: string | undefined;
  readonly why: string;
  /** The instructions that are executed, by their places in the filter. */
  readonly path: readonly number[];
}

/** Why a call gets what it gets. */
export interface SeccompExplanation {
  /** Its name; a number that has none as it is. */
  readonly syscall: string;
  readonly number: number;
  readonly architecture: string;
  /** In the order in which conditions are asked; one where arguments are given or none is asked for. */
  readonly outcomes: readonly SeccompOutcome[];
  /** What else the profile says of the call, and why it does not count. */
  readonly notes: readonly string[];
}

/** A call, or a range of numbers without names, that two profiles answer differently. */
export interface SeccompDifference {
  readonly architecture: string;
  /** `*` for all calls of an architecture that only one of them covers. */
  readonly syscall: string;
  /** As in {@link SeccompOutcome}. */
  readonly when: string | undefined;
  /** Arguments for which it is so. */
  readonly args: readonly bigint[] | undefined;
  readonly verdicts: readonly [string, string];
  /** The rules that decide, where there are any. */
  readonly rules: readonly [string | undefined, string | undefined];
}

/** A call that a filter ended a process for, as the kernel's log tells of it: without its arguments. */
export interface SeccompEvent {
  readonly number: number;
  /** AUDIT_ARCH_* */
  readonly audit: number;
  /** SECCOMP_RET_*: its action counts. */
  readonly answer: number;
}

/** What of a profile ended it. */
export interface SeccompCause {
  /** `mkdir`, `socketcall of i386`, `system call 1000` */
  readonly call: string;
  /** `SCMP_ACT_KILL_PROCESS` */
  readonly action: string;
  /**
   * `linux.seccomp.syscalls[3]`, `linux.seccomp.defaultAction`, `linux.seccomp.architectures`; several where the
   * arguments decide. None: no filter of this profile gives that answer.
   */
  readonly fields: readonly string[];
  /** How to allow the call, to stand behind "to allow it,"; undefined where nothing short of another profile would. */
  readonly remedy: string | undefined;
}

/** A run under a profile, of which the smallest profile is made that the run needed. */
export interface SeccompRecorder {
  /** The profile's filter, but it asks about every call that the profile lets through or answers with an errno. */
  readonly program: SeccompProgram;
  /** What the profile answers to a call (struct seccomp_data), which is kept. */
  answer(call: {
    readonly number: number;
    readonly audit: number;
    readonly args: readonly bigint[];
  }): "continue" | { readonly errno: number };
  /** Calls of the host's own architecture that are made as well, by name, whether or not they were seen. */
  need(names: Iterable<string>): void;
  /** `notes`: what a profile cannot say, for people. */
  result(): { readonly profile: LinuxSeccomp; readonly notes: readonly string[] };
}

/** Looking at profiles and filters. */
export interface SeccompWorkbench {
  /** As {@link SeccompDriver.readProfile}; `prefix` stands before the places: `linux.seccomp.`. */
  read(
    document: unknown,
    capabilities: readonly string[],
    arch: Host["arch"],
    kernel: Host["kernelVersion"],
    prefix: string,
  ): SeccompSource;
  /** A filter as text, one line an instruction. */
  disassemble(filter: Uint8Array): string;
  /** struct sock_filter, field by field. */
  instructions(filter: Uint8Array): readonly { code: number; jt: number; jf: number; k: number }[];
  /**
   * Why a call, by name or number, gets what it gets. Without arguments: every outcome that it can have.
   * @param architecture as uname(1), Go or a profile has it: `x86_64`, `386`, `SCMP_ARCH_ARM`
   * @throws CtrError USAGE for a call or an architecture that is not known
   */
  explain(
    source: SeccompSource,
    kernel: Host["kernelVersion"],
    architecture: string,
    syscall: string,
    args?: readonly bigint[],
  ): SeccompExplanation;
  /** The host that runs programs of an architecture: `arm` to `aarch64`. Throws as {@link explain}. */
  hostOf(architecture: string): Host["arch"];
  /** Why a process died of SIGSYS under the profile's filter. */
  cause(profile: LinuxSeccomp, arch: Host["arch"], event: SeccompEvent): SeccompCause;
  /** Every call that two profiles answer differently. */
  diff(one: SeccompSource, other: SeccompSource, arch: Host["arch"]): readonly SeccompDifference[];
  /**
   * Begins a record. The profile that it ends in allows no more than `profile` (undefined: everything).
   * @throws CtrError UNSUPPORTED for a profile that asks an agent of its own
   */
  record(
    profile: LinuxSeccomp | undefined,
    arch: Host["arch"],
    kernel: Host["kernelVersion"],
  ): SeccompRecorder;
}

// --- namespace ----------------------------------------------------------------------------------------------------

/** One namespace of a container. */
export interface NamespacePart {
  /** CLONE_NEW* for a new one, 0 when it is joined. */
  readonly cloneFlag: number;
  readonly before: readonly HostStep[];
  /** Stage 0: setns into a given one. */
  readonly join: readonly InitStep[];
  /** In the child, once the namespaces stand (bringing `lo` up, hostname). */
  readonly child: readonly InitStep[];
}

/** What a namespace driver may look at besides its own entry. */
export interface NamespaceContext {
  readonly field: string;
  readonly hostname: string | undefined;
  readonly domainname: string | undefined;
}

/** One kind of namespace. `name` is its type in config.json: `network`, `mount`, ... */
export interface NamespaceDriver extends Driver {
  readonly kind: "namespace";
  plan(namespace: LinuxNamespace, context: NamespaceContext): NamespacePart;
}

// --- snapshotter --------------------------------------------------------------------------------------------------

/** A mount(2) that makes a snapshot visible. */
export interface SnapshotMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** `committed`: a read-only layer that can be a parent; `active`: writable; `view`: read-only, not a parent. */
export type SnapshotKind = "committed" | "active" | "view";

/** One snapshot. */
export interface SnapshotInfo {
  readonly key: string;
  readonly kind: SnapshotKind;
  readonly parent: string | undefined;
}

/** Bytes and inodes of a snapshot alone, without its parents. */
export interface SnapshotUsage {
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Keeps root file systems in layers. The life cycle is containerd's: `prepare` gives a writable snapshot over a
 * committed parent; layers are unpacked into what `mounts` shows; `commit` makes it a read-only layer under a new
 * key (a chain ID), atomically: a snapshot is committed whole or not at all. Several processes work on one root at
 * the same time. A key never becomes a path without being checked or hashed.
 */
export interface Snapshotter {
  /** Of its driver: kept with what is made from its snapshots. */
  readonly name: string;
  stat(key: string): SnapshotInfo | undefined;
  usage(key: string): SnapshotUsage;
  prepare(key: string, parent: string | undefined): SnapshotMount[];
  view(key: string, parent: string | undefined): SnapshotMount[];
  mounts(key: string): SnapshotMount[];
  /** Directory to unpack a prepared snapshot's layer into, with whiteouts as the driver wants them, if it has one. */
  upper(key: string): string | undefined;
  commit(name: string, key: string): void;
  /** Refused while another snapshot has it as its parent. */
  remove(key: string): void;
  walk(visit: (info: SnapshotInfo) => void): void;
}

/** A snapshotter works below a directory of its own. */
export interface SnapshotterDriver extends Driver {
  readonly kind: "snapshotter";
  open(root: string): Snapshotter;
}

// --- registry -----------------------------------------------------------------------------------------------------

export type DriverKind = "cgroup" | "seccomp" | "namespace" | "snapshotter";

/** Kind of a driver to its contract. */
export interface DriverKinds {
  readonly cgroup: CgroupDriver;
  readonly seccomp: SeccompDriver;
  readonly namespace: NamespaceDriver;
  readonly snapshotter: SnapshotterDriver;
}

/** A driver that is not loaded before it is looked up. */
export interface DriverEntry {
  readonly kind: keyof DriverKinds;
  readonly name: string;
  load(): Driver;
}

/** Drivers by kind and name. A later one of the same kind and name takes the place of an earlier one. */
export interface DriverRegistry {
  add(entry: DriverEntry): void;
  /** As {@link add}, before all others of its kind. */
  prefer(entry: DriverEntry): void;
  get<K extends keyof DriverKinds>(kind: K, name: string): DriverKinds[K];
  /** The first one of that kind whose probe says yes. */
  choose<K extends keyof DriverKinds>(kind: K, host: Host): DriverKinds[K];
  names(kind: keyof DriverKinds): string[];
}

/** An empty registry. */
export function createRegistry(): DriverRegistry {
  const entries: DriverEntry[] = [];
  const loaded = new Map<DriverEntry, Driver>();
  function load<K extends keyof DriverKinds>(entry: DriverEntry): DriverKinds[K] {
    let driver = loaded.get(entry);
    if (driver === undefined) {
      driver = entry.load();
      loaded.set(entry, driver);
    }
    return driver as DriverKinds[K];
  }
  function forget({ kind, name }: DriverEntry): void {
    const same = entries.findIndex((other) => other.kind === kind && other.name === name);
    if (same >= 0) entries.splice(same, 1);
  }
  return {
    add(entry) {
      forget(entry);
      entries.push(entry);
    },
    prefer(entry) {
      forget(entry);
      entries.unshift(entry);
    },
    get(kind, name) {
      const entry = entries.find((other) => other.kind === kind && other.name === name);
      if (entry === undefined) throw noDriver(kind, name, this.names(kind));
      return load(entry);
    },
    choose(kind, host) {
      const reasons: string[] = [];
      for (const entry of entries.filter((other) => other.kind === kind)) {
        const driver = load<typeof kind>(entry);
        const probe = driver.probe(host);
        if (probe.ok) return driver;
        reasons.push(`${entry.name}: ${probe.why}${probe.hint === undefined ? "" : ` (${probe.hint})`}`);
      }
      throw fail({
        code: "NO_DRIVER",
        message: `no ${kind} driver works on this host: ${reasons.join("; ")}`,
      });
    },
    names: (kind) => entries.filter((entry) => entry.kind === kind).map((entry) => entry.name),
  };
}

function noDriver(kind: string, name: string, names: readonly string[]): CtrError {
  return fail({
    code: "NO_DRIVER",
    message: `there is no ${kind} driver named ${JSON.stringify(name)}`,
    hint: `known: ${names.join(", ") || "none"}; a driver of your own is given with --driver FILE`,
  });
}
