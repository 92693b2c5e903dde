/**
 * The processes of a container without a cgroup, by its pid namespace: what is in that, and what descends from it, in
 * namespaces below. Without one of its own, only a cgroup tells them from others.
 */
import { O_DIRECTORY, O_RDONLY } from "../kernel/constants.ts";
import { listDirectory, open, readlink, withFd } from "../kernel/file.ts";
import { type ContainerRecord, isAlive, processStat } from "./state.ts";
import { hasOwnPids } from "./status.ts";

/** PIDs in ctr-bun's pid namespace; none once the container has stopped; undefined where that cannot be told. */
export function namespaceProcesses(record: ContainerRecord): number[] | undefined {
  if (!hasOwnPids(record)) return undefined;
  if (!isAlive(record)) return [];
  const namespaceOf = (pid: number) => readlink(`/proc/${pid}/ns/pid`);
  const own = namespaceOf(record.pid);
  if (own === undefined) return undefined;
  const children = new Map<number, number[]>();
  const found: number[] = [];
  for (const { name } of withFd(open("/proc", O_RDONLY | O_DIRECTORY), listDirectory)) {
    const pid = Number(name);
    if (!(pid > 0)) continue;
    const stat = processStat(pid);
    if (stat === undefined) continue;
    const siblings = children.get(stat.parent);
    if (siblings === undefined) children.set(stat.parent, [pid]);
    else siblings.push(pid);
    if (namespaceOf(pid) === own) found.push(pid);
  }
  const all = new Set(found);
  // A set goes on through what is added meanwhile.
  for (const pid of all) for (const child of children.get(pid) ?? []) all.add(child);
  return [...all];
}
