/**
 * ID-mapped mounts (config.md, `idmap`, `ridmap`, `uidMappings`, `gidMappings`; mount_setattr(2)): which user namespace
 * gives a mount its mapping, how that is made, and what is refused. Pure. Not here: who takes the mount (sources.ts).
 */
import { fail } from "../error.ts";
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  CLONE_NEWUSER,
  MOUNT_ATTR_IDMAP,
  O_RDONLY,
} from "../kernel/constants.ts";
import type { Mount } from "../spec/runtime/config.ts";
import { listsNamespace, type PlanInput } from "./input.ts";
import type { MountOptions } from "./mount-options.ts";
import { mountSlot } from "./mount-rows.ts";
import { ORPHANED, report, row, slot } from "./rows.ts";
import type { HostStep, InitStep, Row } from "./step.ts";

/** Whether a mount is to be ID-mapped: by an option, or by mappings alone, as in runc. */
export function isIdMapped(mount: Mount, options: Pick<MountOptions, "idmap">): boolean {
  return options.idmap !== undefined || (mount.uidMappings ?? []).length > 0;
}

/** Refuses what has no mapping, or cannot have one. */
export function refuseIdMap(input: PlanInput, mount: Mount, options: MountOptions, field: string): void {
  if (!isIdMapped(mount, options)) return;
  const property = options.idmap === undefined ? "uidMappings" : "options";
  if (!options.bind || options.remount) {
    throw fail({
      code: "INVALID_CONFIG",
      field: `${field}.${property}`,
      message: "only a new bind mount can be ID-mapped",
      hint: "add bind or rbind to its options, or leave the mapping out",
    });
  }
  const user = listsNamespace(input.config, "user");
  if ((mount.uidMappings ?? []).length > 0 || user) return;
  throw fail({
    code: "INVALID_CONFIG",
    field: `${field}.options`,
    message: `${options.idmap} without mappings, and the container has no user namespace to take them from`,
    hint: `give ${field}.uidMappings and gidMappings, or the container a user namespace`,
  });
}

/** Name of the descriptor of the user namespace that maps a mount. */
export function idMapDescriptor({ config }: PlanInput, mount: Mount, index: number): string {
  if ((mount.uidMappings ?? []).length > 0) return `idmap.${index}`;
  const user = config.linux?.namespaces?.find(({ type }) => type === "user");
  return user?.path === undefined ? "init.user" : "namespace.user";
}

/** What makes that user namespace available: nothing, for one that the container joins. */
export function idMapSteps(input: PlanInput, mount: Mount, index: number): HostStep[] {
  const as = idMapDescriptor(input, mount, index);
  const { uidMappings: uid = [], gidMappings: gid = [] } = mount;
  if (as === "namespace.user") return [];
  if (as === "init.user") {
    const action = { do: "open-init", as, file: "ns/user", flags: O_RDONLY } as const;
    return [{ on: "host", field: `mounts[${index}]`, about: "open the container's user namespace", action }];
  }
  return [
    {
      on: "host",
      field: `mounts[${index}].uidMappings`,
      about: "make a user namespace with the mount's mappings",
      action: { do: "user-namespace", as, uid, gid },
    },
  ];
}

/** Maps the detached mount of a source. */
export function idMapRow(input: PlanInput, mount: Mount, options: MountOptions, index: number): Row {
  const struct = { words: [MOUNT_ATTR_IDMAP, 0, 0, { fd: idMapDescriptor(input, mount, index) }] };
  const flags = AT_EMPTY_PATH | (options.idmap === "ridmap" ? AT_RECURSIVE : 0);
  return row("mount_setattr", [slot(mountSlot(index)), "", flags, struct, 32]);
}

/** Hints of {@link idMapRow}; `fileSystem`: the source's. */
export function idMapHints(fileSystem: string): Record<string, string> {
  return {
    EINVAL: `the file system of the source (${fileSystem}) does not support ID-mapped mounts with this kernel`,
    EPERM:
      "the source is ID-mapped already, or of another user namespace's file system, or maps nothing anew",
  };
}

/** Program of the process that a user namespace is made with: it waits until the maps are written, and ends. */
export const USER_NAMESPACE_STEPS: readonly InitStep[] = [
  {
    on: "init",
    field: "mounts",
    about: "make a user namespace for an ID-mapped mount",
    buffers: { word: 8 },
    rows: [
      row("unshare", [CLONE_NEWUSER]),
      report("executing"),
      row("read", [{ fd: "report" }, { at: "word" }, 8], { onZero: ORPHANED }),
      row("exit_group", [0], { label: ORPHANED }),
    ],
    hints: {
      ENOSPC: "the limit in /proc/sys/user/max_user_namespaces is reached",
      EPERM: "user namespaces are forbidden here",
    },
  },
];
