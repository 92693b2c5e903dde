/**
 * The v1 driver on this host, through the conformance suite of cgroup drivers.
 */
import { cgroupV1Driver as driver } from "../../drivers/cgroup-v1/driver.ts";
import { probeHost } from "../../src/runtime/host.ts";
import { cgroupSuite } from "../support/cgroup-suite.ts";

const host = probeHost();
if (process.getuid?.() === 0 && driver.probe(host).ok)
  cgroupSuite({ name: `v1, ${host.cgroup.mode}`, driver, host });
