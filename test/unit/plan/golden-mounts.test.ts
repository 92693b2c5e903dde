/** Plans as text, compared with what was recorded of them: sources that a helper takes, tmpcopyup, propagation. */
import { makePlan } from "../../../src/plan/plan.ts";
import type { Linux, Mount } from "../../../src/spec/runtime/config.ts";
import { goldenPlans } from "./golden.ts";
import { type Found, HOSTS, planInput, smallConfig } from "./inputs.ts";

const MAPS = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const USER: Partial<Linux> = {
  namespaces: [{ type: "mount" }, { type: "user" }],
  uidMappings: MAPS,
  gidMappings: MAPS,
};

function plan(mounts: Mount[], linux: Partial<Linux>, found: Found = {}) {
  return () => makePlan(planInput(smallConfig({ mounts, linux }), { found, options: { start: "go" } }));
}

const bind = (destination: string, options: string[], more: Partial<Mount> = {}): Mount => ({
  destination,
  source: `/srv${destination}`,
  options,
  ...more,
});

goldenPlans({
  idmap: plan(
    [
      bind("/mapped", ["bind", "idmap", "ro"], {
        uidMappings: [{ containerID: 0, hostID: 1000, size: 10 }],
        gidMappings: [{ containerID: 0, hostID: 2000, size: 10 }],
      }),
    ],
    { namespaces: [{ type: "mount" }] },
  ),
  "idmap-user-namespace": plan(
    [bind("/tree", ["rbind", "ridmap"]), bind("/open", ["bind"]), bind("/closed", ["bind"])],
    USER,
    { "/closed": { closed: true } },
  ),
  tmpcopyup: plan(
    [{ destination: "/run", type: "tmpfs", source: "tmpfs", options: ["ro", "tmpcopyup", "mode=755"] }],
    USER,
  ),
  "mount-options": plan(
    [
      {
        destination: "/a",
        type: "tmpfs",
        source: "a",
        options: ["sync", "dirsync", "nolazytime", "size=1m"],
      },
      { destination: "/b", type: "ext4", source: "/dev/vdb", options: ["iversion", "ro"] },
      { destination: "/a", options: ["remount", "async", "size=2m", "nosuid"] },
      { destination: "/a", options: ["bind", "remount", "size=3m", "noexec"] },
    ],
    { namespaces: [{ type: "mount" }] },
  ),
  "propagation-shared": plan([bind("/a", ["bind", "rshared"]), bind("/b", ["bind"])], {
    namespaces: [{ type: "mount" }],
    rootfsPropagation: "rshared",
  }),
  "in-user-namespace": () =>
    makePlan(
      planInput(
        smallConfig({
          linux: {
            namespaces: [{ type: "mount" }],
            resources: { devices: [{ allow: false, access: "rwm" }] },
          },
        }),
        {
          host: { ...HOSTS.unified, userNamespace: true },
          options: { start: "go" },
        },
      ),
    ),
  "propagation-rprivate": plan([bind("/a", ["bind", "rslave"])], {
    namespaces: [{ type: "mount" }],
    rootfsPropagation: "rprivate",
  }),
  "joined-mount-namespace-mounts": plan(
    [{ destination: "/proc", type: "proc", source: "proc" }, bind("/a", ["rbind", "ro"])],
    { namespaces: [{ type: "mount", path: "/proc/42/ns/mnt" }], maskedPaths: ["/proc/kcore"] },
  ),
  "mount-at-root": plan([bind("/", ["rbind"]), { destination: "/tmp", type: "tmpfs", source: "tmpfs" }], {
    namespaces: [{ type: "mount" }],
  }),
  "sources-in-mounts": plan(
    [bind("/a", ["bind", "idmap"]), bind("/b", ["bind", "idmap"]), bind("/c", ["bind"])],
    USER,
    { "/b": { covered: true }, "/c": { covered: true, closed: true } },
  ),
});
