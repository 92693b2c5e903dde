/**
 * `exec`: one more program in a running container.
 */
import { fail } from "../error.ts";
import { O_RDWR } from "../kernel/constants.ts";
import { close, open, readText } from "../kernel/file.ts";
import { execInContainer } from "../runtime/lifecycle.ts";
import { parseJson } from "../spec/parse.ts";
import { type Process, RuntimeConfig } from "../spec/runtime/config.ts";
import { capabilitySets, capabilityWarnings, chooseCapabilities } from "./config/capabilities.ts";
import { buildWorkingDirectory } from "./config/command.ts";
import { changeEnv, parseEnvFlag, withHome } from "./config/env.ts";
import { containerDirectory } from "./containers.ts";
import { type Engine, requireRoot } from "./engine.ts";
import { readEnvFiles } from "./files.ts";
import { inFlags, warningInFlags } from "./flag-fields.ts";
import { findUser } from "./image-files.ts";
import type { ContainerRecord } from "./record.ts";
import { findRunning } from "./status.ts";

/** The flags of `exec`. */
export interface ExecFlags {
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly privileged: boolean;
  readonly env: readonly string[];
  readonly "env-file": readonly string[];
  readonly workdir: string | undefined;
  readonly user: string | undefined;
}

/** Runs a program in a container and returns its exit code. @throws CtrError NOT_FOUND, NOT_RUNNING. */
export async function execProgram(
  engine: Engine,
  text: string,
  args: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  requireRoot(engine.host, "exec");
  const record = findRunning(engine, text);
  if (flags.tty && flags.interactive && !process.stdin.isTTY) {
    throw fail({ code: "NO_TERMINAL", field: "--tty", message: "the input device is not a TTY" });
  }
  const stdin = flags.interactive ? 0 : open("/dev/null", O_RDWR);
  try {
    const status = await execInContainer({
      root: engine.stateRoot,
      id: record.id,
      process: execProcess(engine, record, args, flags),
      registry: engine.registry,
      host: engine.host,
      stdio: [stdin, 1, 2],
      terminal: "pass-through",
      onWarning: (message) => engine.warn(warningInFlags(message)),
    });
    return status.code;
  } catch (error) {
    throw inFlags(error);
  } finally {
    if (stdin !== 0) close(stdin);
  }
}

/** The container's own process with another program, and what the flags change. */
function execProcess(
  engine: Engine,
  record: ContainerRecord,
  args: readonly string[],
  flags: ExecFlags,
): Process {
  const directory = containerDirectory(engine.settings.store, record.id);
  const config = parseJson(RuntimeConfig, readText(`${directory}/config.json`), "config.json");
  const first = config.process;
  if (first === undefined) throw fail({ code: "INTERNAL", message: `container ${record.id} has no process` });
  const user = findUser(
    `${directory}/rootfs`,
    flags.user ?? record.config.user,
    flags.user === undefined ? "image config.User" : "--user",
  );
  const changes = [
    ...readEnvFiles(flags["env-file"], engine.cwd, engine.env),
    ...flags.env.map((each) => parseEnvFlag(each, engine.env)),
  ];
  const base = flags.tty
    ? ["TERM=xterm", ...record.config.env.filter((each) => !each.startsWith("TERM="))]
    : record.config.env;
  const privileged = { add: [], drop: [], privileged: true, host: engine.host.capabilities };
  if (flags.privileged) for (const warning of capabilityWarnings(privileged)) engine.warn(warning);
  const names = flags.privileged ? chooseCapabilities(privileged) : (first.capabilities?.bounding ?? []);
  return {
    ...first,
    terminal: flags.tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids] },
    args: [...args],
    env: withHome(changeEnv(base, changes), user.home),
    cwd: buildWorkingDirectory(record.config.workingDir, flags.workdir),
    capabilities: capabilitySets(names, user.uid),
  };
}
