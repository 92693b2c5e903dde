/** From a request for a container to its plan: facts looked up, everything else pure. Nothing is changed. */
import type { DriverRegistry, Host, SeccompProgram } from "../driver.ts";
import { fail } from "../error.ts";
import type { PlanFacts, PlanOptions } from "../plan/input.ts";
import { makePlan } from "../plan/plan.ts";
import type { Plan } from "../plan/step.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { withCustoms } from "./customs.ts";
import { kernelMounts, lookUp } from "./facts.ts";
import type { PidfdReceiver } from "./pidfd-socket.ts";
import type { StepTime } from "./trace.ts";
import { type View, viewFor } from "./view.ts";

/** A container to be made. */
export interface ContainerRequest {
  /** State root: ENGINE_ROOT or OCI_ROOT, or as given with --root. */
  readonly root: string;
  readonly id: string;
  /** Absolute directory; config.root.path is absolute, or relative to it. */
  readonly bundle: string;
  /** Already valid (spec/). */
  readonly config: RuntimeConfig;
  readonly registry: DriverRegistry;
  readonly host: Host;
  /** Variables of the container's program alone: no record has them, and no program of exec. */
  readonly env?: readonly string[];
  /** The program's 0, 1 and 2, where it has no terminal; default: ctr-bun's own. */
  readonly stdio?: readonly [number, number, number];
  /** Where the terminal's other side goes, with process.terminal: ctr-bun's own terminal, or a socket. */
  readonly terminal?: "pass-through" | { readonly consoleSocket: string };
  readonly preserveFds?: number;
  /** Of the service manager, as in NOTIFY_SOCKET: it is told when the container is ready (sd_notify(3)). */
  readonly notifySocket?: string;
  readonly pidFile?: string;
  readonly noPivot?: boolean;
  readonly noNewKeyring?: boolean;
  /** The init stays PID 1: it forwards signals, reaps, and ends with the program's code. */
  readonly init?: boolean;
  /** Who gets a pidfd of the container's process once it is made. */
  readonly pidfdReceiver?: PidfdReceiver;
  /** Unix socket of a seccomp agent, where the config names none: as in RUN_OCI_SECCOMP_RECEIVER. */
  readonly seccompReceiver?: string;
  /** Leaves control groups out altogether. */
  readonly noCgroup?: boolean;
  /** Name of the cgroup driver to take; else the first that the host can carry. */
  readonly cgroupDriver?: string | undefined;
  /** Gets the plan before it is carried out. */
  onPlan?(plan: Plan): void;
  /** A tree in resctrl's place: for tests, where no hardware has it. No verb, flag or file sets it. */
  readonly resctrl?: string;
  /** After everything is made, before the program starts. */
  onCreated?(pid: number): void;
  /** Gets what a person should know: what of the config was ignored, and why. */
  onWarning?(message: string): void;
  /** Asks for the time of every step (trace.ts). */
  onTrace?(times: StepTime[]): void;
}

/** mount_setattr(2) on whole trees, and what else every plan makes use of. */
const OLDEST_KERNEL = [5, 14] as const;

function needKernel({ kernel, kernelVersion: [major, minor] }: Host): void {
  const [oldMajor, oldMinor] = OLDEST_KERNEL;
  if (major > oldMajor || (major === oldMajor && minor >= oldMinor)) return;
  throw fail({
    code: "OLD_KERNEL",
    message: `ctr-bun needs Linux ${oldMajor}.${oldMinor} or later, and this is ${kernel}`,
    hint: "start a newer kernel",
  });
}

/** Loaded only where a config has a class of resctrl. */
function resctrl(): typeof import("./resctrl.ts") {
  return require("./resctrl.ts") as typeof import("./resctrl.ts");
}

function withEnvironment(config: RuntimeConfig, env: readonly string[] = []): RuntimeConfig {
  const { process } = config;
  if (process === undefined || env.length === 0) return config;
  return { ...config, process: { ...process, env: [...(process.env ?? []), ...env] } };
}

/** The plan, and what it was made from. `seccomp`: the filter, where it is compiled already. */
export function prepare(
  request: ContainerRequest,
  start: PlanOptions["start"],
  seccompAgent = false,
  seccomp?: SeccompProgram,
): { plan: Plan; facts: PlanFacts } {
  const { host } = request;
  const config = withEnvironment(request.config, request.env);
  needKernel(host);
  const view = viewFor(config, host);
  try {
    return planIn(view, { ...request, config }, start, seccompAgent, seccomp);
  } finally {
    view.close();
  }
}

function planIn(
  view: View,
  request: ContainerRequest,
  start: PlanOptions["start"],
  seccompAgent: boolean,
  seccomp: SeccompProgram | undefined,
): { plan: Plan; facts: PlanFacts } {
  const { config, host, registry, bundle, id } = request;
  const found = lookUp(config, bundle, view);
  const facts: PlanFacts = {
    ...found,
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(request.noPivot === true ? { kernelMounts: kernelMounts(found.rootfs, view.mountinfo()) } : {}),
    ...(config.linux?.intelRdt === undefined
      ? {}
      : { resctrl: resctrl().lookAtResctrl(config.linux.intelRdt, id, request.resctrl) }),
  };
  const options: PlanOptions = {
    id,
    start,
    noPivot: request.noPivot ?? false,
    noNewKeyring: request.noNewKeyring ?? false,
    preserveFds: request.preserveFds ?? 0,
    init: request.init ?? false,
    ...(request.noCgroup === true ? { noCgroup: true } : {}),
    ...(seccompAgent ? { seccompAgent } : {}),
    ...(request.seccompReceiver === undefined ? {} : { seccompReceiver: request.seccompReceiver }),
    ...(request.cgroupDriver === undefined ? {} : { cgroupDriver: request.cgroupDriver }),
  };
  const complete = withCustoms(config, facts, view);
  return { plan: makePlan({ config: complete, host, registry, facts, options }), facts };
}

/** The plan of a container that would be run now, for people to read. */
export function preparePlan(request: ContainerRequest): Plan {
  return prepare(request, "go").plan;
}
