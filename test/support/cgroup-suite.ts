/**
 * The conformance suite of cgroup drivers: what src/driver.ts promises, shown by what the kernel then does (killed,
 * throttled, refused, counted), wherever the host has it. Every cgroup driver is run through it, the built-in ones and a
 * user's. A driver of your own: in a file of yours,
 *
 *     import { probeHost } from ".../src/runtime/host.ts";
 *     import { cgroupSuite } from ".../test/support/cgroup-suite.ts";
 *     import myDriver from "./my-driver.ts";
 *     cgroupSuite({ name: "mine", driver: myDriver, host: probeHost() });
 *
 * and `bun test --timeout=60000` that file, as root. The sections are in cgroup/, one subject each.
 */
import { afterAll, afterEach, describe } from "bun:test";
import { type CgroupSubject, makeBench } from "./cgroup/bench.ts";
import { blockIoSection } from "./cgroup/block-io.ts";
import { cpuSection } from "./cgroup/cpu.ts";
import { devicesSection } from "./cgroup/devices.ts";
import { eventsSection } from "./cgroup/events.ts";
import { fakeTreeSection } from "./cgroup/fake-tree.ts";
import { hugePagesSection } from "./cgroup/huge-pages.ts";
import { ignoredSection } from "./cgroup/ignored.ts";
import { lifecycleSection } from "./cgroup/lifecycle.ts";
import { memorySection } from "./cgroup/memory.ts";
import { networkSection } from "./cgroup/network.ts";
import { pidsSection } from "./cgroup/pids.ts";
import { processesSection } from "./cgroup/processes.ts";
import { removeSection } from "./cgroup/remove.ts";
import { statsSection } from "./cgroup/stats.ts";

export type { CgroupSubject } from "./cgroup/bench.ts";

/** Registers the suite with bun:test. */
export function cgroupSuite(subject: CgroupSubject): void {
  const bench = makeBench(subject);
  describe(`cgroup driver ${subject.name}`, () => {
    afterEach(() => bench.clear());
    afterAll(() => bench.dispose());
    memorySection(bench);
    cpuSection(bench);
    pidsSection(bench);
    blockIoSection(bench);
    hugePagesSection(bench);
    devicesSection(bench);
    networkSection(bench);
    fakeTreeSection(bench);
    ignoredSection(bench);
    lifecycleSection(bench);
    processesSection(bench);
    statsSection(bench);
    eventsSection(bench);
    removeSection(bench);
  });
}
