/**
 * The eight namespaces (namespaces(7)). All are made by one clone flag or joined by one setns; what differs stands in
 * network.ts and uts.ts. Not here: the user namespace's maps and the order of things (plan/stage0.ts).
 */

import type { NamespaceDriver, NamespacePart } from "../../src/driver.ts";
import { O_NONBLOCK, O_RDONLY } from "../../src/kernel/constants.ts";
import { NAMESPACES } from "../../src/kernel/namespaces.ts";
import type { InitStep } from "../../src/plan/step.ts";
import type { NamespaceType } from "../../src/spec/runtime/config.ts";
import { loopbackStep } from "./network.ts";
import { namesSteps } from "./uts.ts";

/** All types, in the order in which they are joined: the user namespace decides about the others, mount comes last. */
export const NAMESPACE_TYPES = ["user", "pid", "network", "uts", "ipc", "cgroup", "time", "mount"] as const;

function joinSteps(type: NamespaceType, path: string, field: string): Pick<NamespacePart, "before" | "join"> {
  const about = `join the ${type} namespace ${path}`;
  return {
    before: [
      {
        on: "host",
        field,
        about: `open ${path}`,
        // A path to a FIFO does not hold ctr-bun up.
        action: {
          do: "open",
          as: `namespace.${type}`,
          path,
          flags: O_RDONLY | O_NONBLOCK,
          namespace: NAMESPACES[type].flag,
        },
        hints: { ENOENT: `linux.namespaces names a ${type} namespace that does not exist (any more)` },
      },
    ],
    join: [
      {
        on: "init",
        field,
        about,
        path,
        rows: [{ call: "setns", args: [{ fd: `namespace.${type}` }, NAMESPACES[type].flag] }],
        hints: {
          EINVAL: "it is the user namespace that ctr-bun is in already",
          EPERM: "joining it takes CAP_SYS_ADMIN in the user namespace that owns it",
        },
      },
    ],
  };
}

/** The driver of one type. */
export function namespaceDriver(type: NamespaceType): NamespaceDriver {
  return {
    kind: "namespace",
    name: type,
    probe: () => ({ ok: true }),
    plan(namespace, context) {
      const path = namespace.path;
      const isNew = path === undefined;
      const child: InitStep[] = [];
      if (type === "network" && isNew) child.push(loopbackStep(context.field));
      if (type === "uts") child.push(...namesSteps(context));
      return {
        cloneFlag: isNew ? NAMESPACES[type].flag : 0,
        child,
        ...(isNew ? { before: [], join: [] } : joinSteps(type, path, context.field)),
      };
    },
  };
}
