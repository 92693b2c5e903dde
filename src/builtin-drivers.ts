/**
 * The one place that names the built-in drivers. Each is loaded when it is first looked up, so that what a command
 * does not use costs it nothing.
 */
import { createRegistry, type DriverRegistry } from "./driver.ts";

/** A registry with all of ctr-bun's own drivers. A user's driver of the same kind and name takes the place of ours. */
export function builtinRegistry(): DriverRegistry {
  const registry = createRegistry();
  const namespaces = () =>
    require("../drivers/namespaces/driver.ts") as typeof import("../drivers/namespaces/driver.ts");
  for (const type of ["user", "pid", "network", "uts", "ipc", "cgroup", "time", "mount"] as const) {
    registry.add({ kind: "namespace", name: type, load: () => namespaces().namespaceDriver(type) });
  }
  registry.add({
    kind: "cgroup",
    name: "v2",
    load: () =>
      (require("../drivers/cgroup-v2/driver.ts") as typeof import("../drivers/cgroup-v2/driver.ts"))
        .cgroupV2Driver,
  });
  registry.add({
    kind: "cgroup",
    name: "v1",
    load: () =>
      (require("../drivers/cgroup-v1/driver.ts") as typeof import("../drivers/cgroup-v1/driver.ts"))
        .cgroupV1Driver,
  });
  registry.add({
    kind: "seccomp",
    name: "bpf",
    load: () =>
      (require("../drivers/seccomp/driver.ts") as typeof import("../drivers/seccomp/driver.ts"))
        .seccompDriver,
  });
  registry.add({
    kind: "snapshotter-factory",
    name: "overlay",
    load: () =>
      (require("../drivers/overlay/driver.ts") as typeof import("../drivers/overlay/driver.ts"))
        .overlayFactory,
  });
  return registry;
}
