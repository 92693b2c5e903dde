/**
 * Where paths of a config are looked at before the container is made: in ctr-bun's own mount namespace, or in the one
 * that the container joins. Not here: what is looked for (facts.ts, customs.ts).
 */
import type { Host } from "../driver.ts";
import { CLONE_NEWNS, O_NONBLOCK, O_PATH, O_RDONLY, RESOLVE_IN_ROOT } from "../kernel/constants.ts";
import { close, readText, tryOpen, tryOpenat2 } from "../kernel/file.ts";
import type { JoinedMounts } from "../plan/input.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { namespaceType } from "./namespace-file.ts";

/** A mount namespace to look into. */
export interface View {
  /** A path by which ctr-bun reaches what this absolute path leads to there. Links on the way are followed there. */
  see(path: string): string;
  /** Its mounts (proc_pid_mountinfo(5)). */
  mountinfo(): string;
  /** That which a container joins, of whomever it is; undefined: it joins none, or none could be opened. */
  readonly joined?: JoinedMounts;
  /** Lets go of it: what {@link see} gave leads nowhere any more. */
  close(): void;
}

/** A path that leads nowhere, whatever there is. */
export const NOWHERE = "/proc/self/fd/none";

/** ctr-bun's own. */
const OWN_VIEW: View = {
  see: (path) => path,
  mountinfo: () => readText("/proc/self/mountinfo"),
  close: () => undefined,
};

/** That of another mount namespace, by its root directory. */
function viewBelow(root: number, mountinfo: string): View {
  const held = [root];
  return {
    see(path) {
      const fd = tryOpenat2(root, path, O_PATH, 0, RESOLVE_IN_ROOT);
      if (fd < 0) return NOWHERE;
      held.push(fd);
      return `/proc/self/fd/${fd}`;
    },
    mountinfo: () => mountinfo,
    close() {
      for (const fd of held.splice(0)) close(fd);
    },
  };
}

function joinedPath({ linux }: RuntimeConfig, wanted: "mount" | "user"): string | undefined {
  return linux?.namespaces?.find(({ type }) => type === wanted)?.path;
}

/** The view of a container to be; to be closed. A joined namespace that cannot be entered is an error here. */
export function viewFor(config: RuntimeConfig, host: Host): View {
  const path = joinedPath(config, "mount");
  if (path === undefined) return OWN_VIEW;
  const fd = tryOpen(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return OWN_VIEW;
  try {
    // What is no mount namespace is refused when it is opened for the init.
    if (namespaceType(fd) !== CLONE_NEWNS) return OWN_VIEW;
    const { joinedMounts } = require("./joined-mounts.ts") as typeof import("./joined-mounts.ts");
    const joined = joinedMounts(fd, host);
    if (joined.owner === "ctr-bun") return { ...OWN_VIEW, joined };
    const { lookInto } = require("./helper.ts") as typeof import("./helper.ts");
    const user = host.unprivileged === true ? tryOpen(joinedPath(config, "user") ?? NOWHERE, O_RDONLY) : -1;
    try {
      const { root, mountinfo } = lookInto(fd, host.arch, user < 0 ? undefined : user);
      return { ...viewBelow(root, mountinfo), joined };
    } finally {
      if (user >= 0) close(user);
    }
  } finally {
    close(fd);
  }
}
