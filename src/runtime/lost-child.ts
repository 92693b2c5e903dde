/**
 * Stage 0 killed between making the child and telling its pid: the child lives, holds the report channel open, and
 * waits for a word that nobody would send. Here it is noticed and ended. Not here: any other end of the init (apply.ts).
 */
import { POLLIN } from "../kernel/constants.ts";
import { readTextIfAny } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { tryKill, waitPid } from "../kernel/process.ts";
import { SIGKILL } from "../kernel/signal.ts";
import { processStat } from "./state.ts";

/** Waits for a report, or the channel's end; false: stage 0 (`pidfd`) has ended and none is to come. */
export function hasReport(channel: number, pidfd: number): boolean {
  const both = [
    { fd: channel, events: POLLIN },
    { fd: pidfd, events: POLLIN },
  ];
  if (poll(both)[0] !== 0) return true;
  // It may have reported and ended after the channel was looked at.
  return poll(both.slice(0, 1), 0)[0] !== 0;
}

/** Ends the child of a stage 0 that has not been waited for: a child of ours (CLONE_PARENT) that still is the init. */
export function endLostChild(stage0: number): void {
  const since = Number(processStat(stage0)?.started ?? 0);
  for (const word of (readTextIfAny("/proc/thread-self/children") ?? "").split(" ")) {
    const pid = Number(word);
    if (word.trim() === "" || pid === stage0) continue;
    if (readTextIfAny(`/proc/${pid}/comm`)?.trim() !== "ctr-init") continue;
    if (Number(processStat(pid)?.started ?? 0) < since) continue;
    tryKill(pid, SIGKILL);
    waitPid(pid);
  }
}
