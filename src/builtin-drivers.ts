/**
 * The one place that names the built-in drivers. Those that nearly every container needs are part of the OCI level's
 * one piece; the others are loaded when they are first looked up, so that what a command does not use costs it nothing.
 */
import { cgroupV1Driver } from "../drivers/cgroup-v1/driver.ts";
import { cgroupV2Driver } from "../drivers/cgroup-v2/driver.ts";
import { NAMESPACE_TYPES, namespaceDriver } from "../drivers/namespaces/driver.ts";
import { createRegistry, type DriverRegistry } from "./driver.ts";

/** A registry with all of ctr-bun's own drivers. A user's driver of the same kind and name takes the place of ours. */
export function builtinRegistry(): DriverRegistry {
  const registry = createRegistry();
  for (const type of NAMESPACE_TYPES) {
    registry.add({ kind: "namespace", name: type, load: () => namespaceDriver(type) });
  }
  registry.add({ kind: "cgroup", name: "v2", load: () => cgroupV2Driver });
  registry.add({ kind: "cgroup", name: "v1", load: () => cgroupV1Driver });
  // Behind the others: it is taken only where it is asked for.
  registry.add({
    kind: "cgroup",
    name: "systemd",
    load: () =>
      (require("../drivers/cgroup-systemd/driver.ts") as typeof import("../drivers/cgroup-systemd/driver.ts"))
        .cgroupSystemdDriver,
  });
  registry.add({
    kind: "seccomp",
    name: "bpf",
    load: () =>
      (require("../drivers/seccomp/driver.ts") as typeof import("../drivers/seccomp/driver.ts"))
        .seccompDriver,
  });
  registry.add({
    kind: "snapshotter",
    name: "overlay",
    load: () =>
      (require("../drivers/overlay/driver.ts") as typeof import("../drivers/overlay/driver.ts"))
        .overlayDriver,
  });
  return registry;
}
