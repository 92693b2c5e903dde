/**
 * The shapes of a plan: what will be done, in order, as data. A plan does nothing by itself.
 * What lives here: types only, so that drivers may give their part of a plan. Not here: who makes plans
 * (plan/), who writes the init's program (machine/), who carries plans out (runtime/).
 */
import type { Hook } from "../spec/runtime/hooks.ts";

/**
 * A descriptor that ctr-bun opens and the init inherits, by name: `report`, `cgroup.memory`, `ns.net`.
 * Opened by an {@link OpenAction}, or by the executor itself (`report`, `start`, `state`).
 */
export interface FdArg {
  readonly fd: string;
  /** Added to its number: for ranges between descriptors (close_range(2)). */
  readonly plus?: number;
}
/** The 8 bytes kept in the named slot, or `offset` bytes into a buffer. */
export interface SlotArg {
  readonly slot: string;
  readonly offset?: number;
}
/** The address of the named slot or buffer, `offset` bytes in. */
export interface AddressArg {
  readonly at: string;
  readonly offset?: number;
}
/** The address of a copy of these bytes (8-byte aligned). */
export interface BytesArg {
  readonly bytes: Uint8Array;
}
/** The address of an array of 8-byte words: argv, or a struct that holds pointers. */
export interface WordsArg {
  readonly words: readonly Arg[];
}
/** The address of the row that carries this label. */
export interface LabelArg {
  readonly label: string;
}
/**
 * An argument of a row. A string is the address of its bytes and a NUL. `FdArg` inside `words` or as an argument
 * is the descriptor's number.
 */
export type Arg = number | bigint | string | FdArg | SlotArg | AddressArg | BytesArg | WordsArg | LabelArg;

/**
 * One row of the init's program (docs/machine.md). `call` is the name of a system call, or a pseudo call:
 * `test` compares `(args[0] & args[1]) == args[2]` and gives 0 when they are equal, else 1;
 * `fail` reports the errno in args[0] (negative, as stored by a failed call) as a failure of the row at args[1].
 */
export interface Row {
  readonly call: string;
  readonly args: readonly Arg[];
  /** Slot that keeps the result (8 bytes), or a place inside a buffer. */
  readonly store?: string | AddressArg;
  /** The one errno that does not end the init; `any` allows every one. */
  readonly allow?: string;
  /** Label to go to on the errno in `allow`; without it, the next row. */
  readonly onError?: string;
  /** Label to go to when the result is 0; without it, the next row. */
  readonly onZero?: string;
  /** Name under which other rows go to this one. */
  readonly label?: string;
}

/** Where a tmpfs is filled (tmpcopyup), by the mount's index in the config: there may be several. */
export type CopyUpPoint = `copy-up ${number}`;
/** Where a helper takes sources of mounts: 0 for all that it can take beforehand, else the mount's index and 1. */
export type SourcesPoint = `sources ${number}`;
/**
 * Points at which ctr-bun acts for the init (docs/machine.md). The init waits at each, but not at `pid`: it goes on
 * while ctr-bun does what it can do only now that the container's process exists.
 */
export type SyncPoint =
  | "cgroup"
  | "maps"
  | "pid"
  | "network"
  | SourcesPoint
  | CopyUpPoint
  | "mounts"
  | "created";

interface StepBase {
  /** Path of the property of config.json that asks for this: `mounts[3]`, `linux.resources.memory.limit`. */
  readonly field: string;
  /** What it does, for people: `mount proc at /proc`. */
  readonly about: string;
}

/** Rows that the init carries out. */
export interface InitStep extends StepBase {
  readonly on: "init";
  readonly rows: readonly Row[];
  /** Buffers that the rows use, by name: their size in bytes (zeroed), or what is in them at first. */
  readonly buffers?: Readonly<Record<string, number | Uint8Array>>;
  /** This step ends at this point. */
  readonly sync?: SyncPoint;
  /** What a person may do when a row fails with this errno: `{ EPERM: "..." }`. */
  readonly hints?: Readonly<Record<string, string>>;
  /** The path that the step is about, for messages. */
  readonly path?: string;
}

/** Makes a directory; one that this made is removed when the plan is undone. An existing one is kept. */
export interface MkdirAction {
  readonly do: "mkdir";
  readonly path: string;
  readonly mode: number;
}
/** One write(2) of `data` to an existing file. */
export interface WriteAction {
  readonly do: "write";
  readonly path: string;
  readonly data: string;
  /** Errnos that are no error here, with the reason in `about`. */
  readonly allow?: readonly string[];
  /** File that says why a write has failed (resctrl's info/last_cmd_status). */
  readonly why?: string;
}
/** Writes the pid of the container's process to an existing file; from the sync point `pid` on. */
export interface WritePidAction {
  readonly do: "write-pid";
  readonly path: string;
  /** As in {@link WriteAction}. */
  readonly why?: string;
}
/** A mount namespace that is joined, and in which mounts are made. */
export interface MountsIn {
  /** Of the one that was looked at when the plan was made; undefined: none could be. */
  readonly inode: number | undefined;
  /** The kernel gives the first mount namespace away by its number. */
  readonly numbered: boolean;
}
/** Opens what the init inherits under the name `as`. `flags` are those of open(2), O_CLOEXEC is added. */
export interface OpenAction {
  readonly do: "open";
  readonly as: string;
  readonly path: string;
  /** What is opened lies below `path`, by names that a container may have chosen: no link, and no way out of it. */
  readonly below?: string;
  readonly flags: number;
  /** It must be the file of a namespace of this type (CLONE_NEW*). */
  readonly namespace?: number;
  /** It must be this mount namespace, and not the host's. */
  readonly mountsIn?: MountsIn;
}
/** Writes uid_map or gid_map of the init (user_namespaces(7)); only at the sync point `maps`. */
export interface IdMapAction {
  readonly do: "id-map";
  readonly file: "uid_map" | "gid_map";
  readonly map: readonly { readonly containerID: number; readonly hostID: number; readonly size: number }[];
  /**
   * How an ordinary user has it: `own`, of one's own ID alone, by giving up setgroups(2) there; by newuidmap(1) and
   * newgidmap(1) for all others. Undefined: written by whoever may.
   */
  readonly as?: "own" | "tool";
}
/** Runs hooks in the runtime namespace, in order; from the sync point `pid` on. */
export interface HooksAction {
  readonly do: "hooks";
  readonly name: "prestart" | "createRuntime";
  readonly hooks: readonly Hook[];
}
/** The next word to the init is its pid as the container sees it, in decimal; at the sync point `mounts`. */
export interface TellPidAction {
  readonly do: "tell-pid";
}
/** Sets a resource limit of the init (prlimit(2)); from the sync point `pid` on. */
export interface PrlimitAction {
  readonly do: "prlimit";
  readonly resource: number;
  readonly soft: bigint;
  readonly hard: bigint;
}
/** sched_setattr(2) of the init; from the sync point `pid` on. Times in nanoseconds. */
export interface SchedulerAction {
  readonly do: "scheduler";
  readonly policy: number;
  readonly flags: number;
  readonly nice: number;
  readonly priority: number;
  readonly runtime: bigint;
  readonly deadline: bigint;
  readonly period: bigint;
}
/** ioprio_set(2) of the init, class and level in one number; from the sync point `pid` on. */
export interface IoPriorityAction {
  readonly do: "io-priority";
  readonly priority: number;
}
/**
 * Moves a network device out of ctr-bun's network namespace into the container's, with its addresses, and brings it up;
 * at the sync point `network`. It is moved back when the plan is undone.
 */
export interface NetDeviceAction {
  readonly do: "net-device";
  /** Its name here. */
  readonly device: string;
  /** Its name there; may be a template (`eth%d`). */
  readonly name: string;
}
/** Opens a file of the init's directory in /proc (`ns/mnt`), under a name for helpers; from the sync point `pid` on. */
export interface OpenInitAction {
  readonly do: "open-init";
  readonly as: string;
  readonly file: "ns/mnt" | "ns/user" | "root";
  readonly flags: number;
}
/** Makes a user namespace with these maps and nobody in it, and opens it under the name `as`. */
export interface UserNamespaceAction {
  readonly do: "user-namespace";
  readonly as: string;
  readonly uid: IdMapAction["map"];
  readonly gid: IdMapAction["map"];
}
/**
 * Runs a short program of the init machine with ctr-bun's own rights while the init waits. The descriptors that it
 * sends go on to the init, in their order.
 */
export interface HelperAction {
  readonly do: "helper";
  readonly steps: readonly InitStep[];
}
/** Copies a directory into a new tmpfs; the init has sent the descriptors of both. */
export interface CopyUpAction {
  readonly do: "copy-up";
  /** The init is in a user namespace: files are made as its root, and it must be allowed to read what is copied. */
  readonly user: boolean;
}
/** Calls `act(call, args)` of the driver of that kind and name: what only the driver knows how to do. */
export interface DriverAction {
  readonly do: "driver";
  readonly kind: string;
  readonly name: string;
  readonly call: string;
  /** Plain data. */
  readonly args: unknown;
}
/** Everything that ctr-bun itself can be asked to do for a container. */
export type HostAction =
  | MkdirAction
  | WriteAction
  | WritePidAction
  | OpenAction
  | IdMapAction
  | HooksAction
  | TellPidAction
  | PrlimitAction
  | SchedulerAction
  | IoPriorityAction
  | NetDeviceAction
  | OpenInitAction
  | UserNamespaceAction
  | HelperAction
  | CopyUpAction
  | DriverAction;

/** What ctr-bun itself carries out: before the init starts, or while it waits at a sync point. */
export interface HostStep extends StepBase {
  readonly on: "host";
  readonly action: HostAction;
  readonly hints?: Readonly<Record<string, string>>;
}

/**
 * A step of a plan. Order is literal: host steps that stand after an init step with `sync` are carried out while
 * the init waits there.
 */
export type Step = InitStep | HostStep;

/** Where a container is in the resctrl file system. */
export interface ResctrlGroup {
  /** Absolute directory of its class. */
  readonly group: string;
  /** Files that a process of the container is written to. */
  readonly tasks: readonly string[];
  /** Directories that are made for it alone, outermost first: they go when the container goes. */
  readonly made: readonly string[];
}

/** Who answers the calls of a filter that notifies: somebody at a unix socket (SOCK_STREAM), or ctr-bun itself. */
export type SeccompAgent =
  | "own"
  | {
      readonly path: string;
      /** What names the path. */
      readonly field: string;
      /** linux.seccomp.listenerMetadata. */
      readonly metadata?: string;
    };

/** A whole plan. */
export interface Plan {
  readonly steps: readonly Step[];
  /** Paths of the container's cgroup, for state.json: controller (or `unified`) to absolute directory. */
  readonly cgroupPaths: Readonly<Record<string, string>>;
  /** Name of the cgroup driver that made them. */
  readonly cgroupDriver: string | undefined;
  /** The container's class of resctrl, for state.json. */
  readonly resctrl?: ResctrlGroup | undefined;
  /** Who gets the listener of the seccomp filter, where it has one. */
  readonly seccompAgent?: SeccompAgent | undefined;
  /** Things a person should know: what was ignored, and why. */
  readonly warnings: readonly string[];
}
