/**
 * Run by cgroup-broken.test.ts: a driver that makes cgroups and joins them, as the built-in one does, and says yes to
 * everything else without doing it. The tests of the conformance suite have to tell.
 */
import { cgroupV1Driver } from "../../../drivers/cgroup-v1/driver.ts";
import { cgroupV2Driver } from "../../../drivers/cgroup-v2/driver.ts";
import type { CgroupDriver } from "../../../src/driver.ts";
import type { HostStep } from "../../../src/plan/step.ts";
import { probeHost } from "../../../src/runtime/host.ts";
import { cgroupSuite } from "../../support/cgroup-suite.ts";

const host = probeHost();
const good = cgroupV2Driver.probe(host).ok ? cgroupV2Driver : cgroupV1Driver;
const isLimit = ({ field }: HostStep): boolean => field.startsWith("linux.resources.");

const driver: CgroupDriver = {
  ...good,
  plan(request, on) {
    const part = good.plan(request, on);
    const without = (steps: readonly HostStep[]): HostStep[] => steps.filter((step) => !isLimit(step));
    return { ...part, before: without(part.before), atPid: without(part.atPid), warnings: [] };
  },
  update: () => [],
  freeze: () => undefined,
  isFrozen: () => true,
  oomKills: () => 1,
  stats: (paths) => JSON.parse(JSON.stringify(good.stats(paths)).replaceAll(/:\d+/g, ":1")),
};
cgroupSuite({ name: "broken", driver, host });
