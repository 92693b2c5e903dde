/** The driver that fits the virtual machine, through the conformance suite of cgroup drivers. */
import { cgroupV1Driver } from "../../../drivers/cgroup-v1/driver.ts";
import { cgroupV2Driver } from "../../../drivers/cgroup-v2/driver.ts";
import { probeHost } from "../../../src/runtime/host.ts";
import { cgroupSuite } from "../../support/cgroup-suite.ts";

const host = probeHost();
const driver = [cgroupV2Driver, cgroupV1Driver].find((each) => each.probe(host).ok);
if (driver === undefined) throw new Error(`no driver fits a host that is ${host.cgroup.mode}`);
cgroupSuite({ name: `${driver.name}, ${host.cgroup.mode}`, driver, host });
