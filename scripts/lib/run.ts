// Runs the commands that the scripts need. Output is kept and shown only where a command fails.

/** Options of a command: `cwd`, and variables on top of the environment. */
export type RunOptions = { cwd?: string; env?: Record<string, string>; input?: string };

/** Runs a command to its end and returns its stdout. Throws with the command and its output where it fails. */
export function run(command: readonly string[], options: RunOptions = {}): string {
  const result = Bun.spawnSync([...command], {
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, LC_ALL: "C.UTF-8", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  if (!result.success) {
    const output = `${result.stdout}${result.stderr}`.trim().split("\n").slice(-40).join("\n");
    throw new Error(`${command.join(" ")}: exit code ${result.exitCode ?? result.signalCode}\n${output}`);
  }
  return result.stdout.toString();
}

/** A command line as a person would type it. */
export function shellWords(command: readonly string[]): string {
  return command
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}

/** Runs a script's work; an error ends it with exit code 1 and its message, without a stack. */
export async function asScript(work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

/** Calls `stop` once when this script is asked to end, or the process that started it has gone. */
export function onEnd(stop: () => void | Promise<void>): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) end();
  }, 500);
  timer.unref();
  let ended = false;
  const end = (): void => {
    clearInterval(timer);
    if (!ended) void stop();
    ended = true;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
}
