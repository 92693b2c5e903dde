/**
 * How a pull is shown: bars or lines on standard error, or nothing. Not here: drawing (progress.ts).
 */
import type { Progress } from "../image/progress.ts";

/** Takes events; `done` puts the terminal in order, and may be called twice. */
export interface PullProgress {
  readonly progress: Progress | undefined;
  done(): void;
}

export async function pullProgress(quiet: boolean): Promise<PullProgress> {
  if (quiet) return { progress: undefined, done: () => undefined };
  const { createProgress } = await import("./progress.ts");
  const shown = createProgress(process.stderr);
  return { progress: shown.progress, done: () => shown.done() };
}
