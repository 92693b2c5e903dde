// Commands that are started in a process group of their own, so that one that must end takes all that it started
// with it. What escapes into a group or session of its own is found by leftovers.ts.

const running = new Map<number, Promise<number>>();

/** Notes a child that was spawned with `detached: true`, until it has ended. Returns it. */
export function asGroup<Child extends { pid: number; exited: Promise<number> }>(child: Child): Child {
  running.set(child.pid, child.exited);
  void child.exited.then(() => running.delete(child.pid));
  return child;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/** Ends the group of a process, politely for up to three seconds. */
export async function endGroup(pid: number): Promise<void> {
  signal(pid, "SIGTERM");
  await Promise.race([running.get(pid), Bun.sleep(3000)]);
  signal(pid, "SIGKILL");
}

/** Ends every group that is still noted. */
export async function endGroups(): Promise<void> {
  await Promise.all([...running.keys()].map(endGroup));
}
