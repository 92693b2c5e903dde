/**
 * The resctrl file system of the host: where it is, what is in it for a container, and a change of a running container's
 * schemata. Not here: what a container's class is to be (plan/resctrl.ts).
 */
import { fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { RDTGROUP_SUPER_MAGIC } from "../kernel/constants.ts";
import { readText, readTextIfAny, statusOf, tryWriteFile } from "../kernel/file.ts";
import { liesIn } from "../kernel/file-system.ts";
import { mountPath } from "../kernel/mount.ts";
import type { ResctrlFact } from "../plan/input.ts";
import { groupPath, schemataText } from "../plan/resctrl.ts";
import type { LinuxIntelRdt } from "../spec/runtime/config.ts";
import type { ContainerRecord } from "./state.ts";

/** Where resctrl is mounted: what mountinfo says, and the file system itself confirms. */
function mountedAt(): string | undefined {
  for (const line of readText("/proc/self/mountinfo").split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2);
    if (!after.startsWith("resctrl ")) continue;
    const path = mountPath(before.split(" ")[4] ?? "");
    if (liesIn(path, RDTGROUP_SUPER_MAGIC)) return path;
  }
  return undefined;
}

/** What there is for a container; undefined where resctrl is not mounted. `root`: a tree in its place. */
export function lookAtResctrl(
  rdt: LinuxIntelRdt,
  id: string,
  root: string | undefined = mountedAt(),
): ResctrlFact | undefined {
  if (root === undefined) return undefined;
  const group = groupPath(rdt, id, root);
  return {
    root,
    schemata: statusOf(group) === undefined ? undefined : (readTextIfAny(`${group}/schemata`) ?? ""),
    monitored: statusOf(`${group}/mon_groups/${id}`) !== undefined,
  };
}

/**
 * Gives the class of a running container other schemas, in one write (update --l3-cache-schema, --mem-bw-schema).
 * Returns linux.intelRdt as it is then, for the container's record, and what takes it back.
 */
export function updateIntelRdt(
  { id, config, resctrl }: Pick<ContainerRecord, "id" | "config" | "resctrl">,
  schemas: Pick<LinuxIntelRdt, "l3CacheSchema" | "memBwSchema">,
): { intelRdt: LinuxIntelRdt; undo(): void } {
  if (resctrl === undefined) {
    const enabled = mountedAt() !== undefined;
    throw fail({
      code: enabled ? "WRONG_STATE" : "UNSUPPORTED",
      field: "linux.intelRdt",
      message: enabled
        ? `the container ${id} is in no class of resctrl`
        : schemas.l3CacheSchema === undefined
          ? "Intel RDT/MBA: memory bandwidth schema is not enabled"
          : "Intel RDT/CAT: l3 cache schema is not enabled",
      hint: enabled ? "linux.intelRdt of its config gives it one" : "no resctrl file system is mounted",
    });
  }
  const path = `${resctrl.group}/schemata`;
  const before = readTextIfAny(path);
  const result = tryWriteFile(path, schemataText(schemas));
  if (result < 0) {
    const root =
      config.linux?.intelRdt?.closID === "/" ? resctrl.group : resctrl.group.replace(/\/[^/]+$/, "");
    const words = readTextIfAny(`${root}/info/last_cmd_status`)?.trim();
    const message = `cannot set the schemata${words === undefined ? "" : `: last_cmd_status: ${words}`}`;
    check(result, { syscall: "write", path, field: "linux.intelRdt", message });
  }
  return {
    intelRdt: { ...config.linux?.intelRdt, ...schemas },
    undo() {
      if (before !== undefined) tryWriteFile(path, before);
    },
  };
}
