/**
 * A container run with every system call asked about, and the smallest seccomp profile that its run needed.
 * Not here: running it (run.ts, runtime/), which profile that is (the seccomp driver).
 */

import type { SeccompRecorder } from "../driver.ts";
import { readText } from "../kernel/file.ts";
import { type ContainerRequest, prepare } from "../runtime/prepare.ts";
import { runContainer } from "../runtime/run.ts";
import { OCI_ROOT } from "../runtime/state.ts";
import { parseJson } from "../spec/parse.ts";
import { type LinuxSeccomp, RuntimeConfig } from "../spec/runtime/config.ts";
import { type Engine, requireRoot } from "./engine.ts";
import { randomID } from "./names.ts";
import { absolutePath } from "./path.ts";
import { type Runnable, type RunRequest, runImage } from "./run.ts";
import { seccompTools } from "./seccomp-source.ts";

/** A run that was recorded. */
export interface Recorded {
  /** Of the program, as runs give it. */
  readonly code: number;
  readonly profile: LinuxSeccomp;
  /** What a profile cannot say. */
  readonly notes: readonly string[];
}

/** Runs an image's program, as {@link runImage} does, under the profile that it would have. */
export async function recordImage(engine: Engine, request: RunRequest): Promise<Recorded> {
  requireRoot(engine.host, "seccomp record");
  let recorder: SeccompRecorder | undefined;
  const code = await runImage(engine, {
    ...request,
    changed(container) {
      const made = recording(engine, container);
      recorder = made.recorder;
      return made.container;
    },
  });
  if (recorder === undefined) throw new Error("the container was not run");
  return { code, ...recorder.result() };
}

/** Runs a bundle's program, as `run` at the OCI level does, under linux.seccomp of its config.json. */
export async function recordBundle(engine: Engine, directory: string): Promise<Recorded> {
  requireRoot(engine.host, "seccomp record");
  const bundle = absolutePath(directory, engine.cwd);
  const config = parseJson(RuntimeConfig, readText(`${bundle}/config.json`), "config.json");
  const { container, recorder } = recording(engine, {
    root: OCI_ROOT,
    id: `record-${randomID().slice(0, 12)}`,
    bundle,
    config,
    registry: engine.registry,
    host: engine.host,
    terminal: "pass-through",
    onWarning: (message) => engine.warn(message),
  });
  const { code } = await runContainer({ ...container, subreaper: true });
  return { code, ...recorder.result() };
}

/** The container with a filter that asks about every call, and whoever keeps what was asked. */
function recording(
  engine: Engine,
  container: ContainerRequest,
): { container: Runnable; recorder: SeccompRecorder } {
  const { driver, workbench } = seccompTools(engine);
  const { registry, host, config } = container;
  const own = config.linux?.seccomp;
  const recorder = workbench.record(own, host.arch, host.kernelVersion);
  // A command records once and ends: nobody else of this process compiles a profile.
  registry.prefer({
    kind: "seccomp",
    name: driver.name,
    load: () => ({ ...driver, version: undefined, compile: () => recorder.program }),
  });
  const seccomp: LinuxSeccomp = own ?? { defaultAction: "SCMP_ACT_ALLOW" };
  const asked = { ...container, config: { ...config, linux: { ...config.linux, seccomp } } };
  recorder.need(callsUnderFilter(asked));
  return { container: { ...asked, answerCalls: recorder.answer }, recorder };
}

/**
 * Calls that the container's init makes once its filter is loaded: a profile without them would be refused. Where the
 * filter is loaded last it is the same few, whoever starts the container; else also those of one that waits for start.
 */
function callsUnderFilter(container: ContainerRequest): Set<string> {
  const isLast = container.config.process?.noNewPrivileges === true;
  const calls = new Set<string>();
  for (const start of isLast ? (["go"] as const) : (["go", "wait"] as const)) {
    const { steps } = prepare(container, start, true).plan;
    const load = steps.findLastIndex(({ on, field }) => on === "init" && field === "linux.seccomp");
    for (const step of steps.slice(load + 1)) {
      if (step.on === "init") for (const { call } of step.rows) calls.add(call);
    }
  }
  return calls;
}
