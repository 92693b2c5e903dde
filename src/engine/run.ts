/**
 * `run` in the foreground: make a container, run it, give back the program's exit code, leave what was asked for.
 * Not here: making it (create.ts); terminals, signals and waiting (runtime).
 */

import { fail } from "../error.ts";
import { O_RDWR } from "../kernel/constants.ts";
import { close, open, removeTree, statusOf } from "../kernel/file.ts";
import { catchSignals } from "../kernel/signal.ts";
import { type ContainerRequest, type ExitStatus, runContainer } from "../runtime/lifecycle.ts";
import { readFlags } from "./asked.ts";
import { cgroupRequest } from "./cgroup-manager.ts";
import type { RunFlags } from "./config/flags.ts";
import { updateRecord } from "./containers.ts";
import { type Created, type CreateRequest, createContainer, throwIfAborted } from "./create.ts";
import { type Engine, requireRoot } from "./engine.ts";
import { writeNew } from "./files.ts";
import { inFlags, warningInFlags } from "./flag-fields.ts";
import { interruptible } from "./interrupt.ts";
import { absolutePath } from "./path.ts";
import { removeContainerFiles, unmountContainer } from "./remove.ts";

/** What the runtime is to run. */
export type Runnable = Parameters<typeof runContainer>[0];

/** What `run` takes. */
export interface RunRequest extends Omit<CreateRequest, "asked" | "signal"> {
  readonly flags: RunFlags;
  /** Called when the image is there and the terminal belongs to the program. */
  readonly imageReady?: () => void;
  /** Has the last word on what is run. */
  readonly changed?: (container: ContainerRequest) => Runnable;
}

/** Runs an image's program and returns its exit code, 128 + N for signal N. */
export async function runImage(engine: Engine, request: RunRequest): Promise<number> {
  const { flags } = request;
  requireRoot(engine.host, "run");
  refuseWithoutTerminal(flags);
  const cidfile = flags.cidfile === undefined ? undefined : newCidfile(flags.cidfile, engine.cwd);
  const asked = readFlags(flags, engine);
  for (const warning of asked.warnings) engine.warn(warning);
  return await interruptible(async (signal) => {
    const created = await createContainer(engine, { ...request, asked, signal });
    request.imageReady?.();
    try {
      if (cidfile !== undefined) {
        writeNew(cidfile, created.record.id, 0o644);
        created.undo.add(() => removeTree(cidfile));
      }
      // From here on signals are kept for the program. One that came before is with JavaScript's handlers, which run
      // when the event loop turns, and not any more once ctr-bun waits for the program.
      catchSignals();
      await Bun.sleep(1);
      throwIfAborted(signal);
      const status = await runCreated(engine, created, request);
      finish(engine, created, status);
      return status.code;
    } catch (error) {
      for (const left of created.undo.run()) engine.warn(`not taken back: ${String(left)}`);
      throw error;
    }
  });
}

async function runCreated(
  engine: Engine,
  created: Created,
  { flags, changed }: RunRequest,
): Promise<ExitStatus> {
  const { record, bundle, config } = created;
  const stdin = flags.interactive ? 0 : open("/dev/null", O_RDWR);
  try {
    const container: ContainerRequest = {
      root: engine.stateRoot,
      id: record.id,
      bundle,
      config,
      registry: engine.registry,
      host: engine.host,
      stdio: [stdin, 1, 2],
      terminal: "pass-through",
      init: flags.init,
      ...cgroupRequest(record.host.cgroupManager),
      onWarning: (message) => engine.warn(warningInFlags(message, record.host)),
      onCreated(pid) {
        created.made();
        const startedAt = new Date().toISOString();
        updateRecord(engine.settings.store, record.id, (old) => ({
          ...old,
          state: { ...old.state, status: "running", pid, startedAt },
        }));
      },
    };
    return await runContainer(changed?.(container) ?? container);
  } catch (error) {
    const { requests } = created;
    throw inFlags(error, { mounts: config.mounts ?? [], requests, limits: record.host });
  } finally {
    if (stdin !== 0) close(stdin);
  }
}

/** After the program's end nothing is an error of `run` any more: the exit code is the program's. */
function finish(engine: Engine, created: Created, status: ExitStatus): void {
  const { record } = created;
  created.undo.keep();
  try {
    if (record.host.autoRemove) {
      removeContainerFiles(engine, record);
      return;
    }
    unmountContainer(engine, record.id);
    const finishedAt = new Date().toISOString();
    updateRecord(engine.settings.store, record.id, (old) => ({
      ...old,
      state: {
        ...old.state,
        status: "exited",
        pid: 0,
        finishedAt,
        exitCode: status.code,
        oomKilled: status.oomKilled,
        error: status.why === undefined ? "" : warningInFlags(status.why),
      },
    }));
  } catch (error) {
    engine.warn(
      `cleaning up after ${record.name}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function refuseWithoutTerminal(flags: RunFlags): void {
  if (!flags.tty || !flags.interactive || process.stdin.isTTY) return;
  throw fail({
    code: "NO_TERMINAL",
    field: "--tty",
    message: "the input device is not a TTY",
    hint: "leave -t out when input comes from a pipe or a file",
  });
}

function newCidfile(path: string, cwd: string): string {
  const absolute = absolutePath(path, cwd);
  if (statusOf(absolute) === undefined) return absolute;
  throw fail({
    code: "EXISTS",
    field: "--cidfile",
    message: "the file exists: another container may be using it",
    path: absolute,
    hint: "remove it, or name another file",
  });
}
