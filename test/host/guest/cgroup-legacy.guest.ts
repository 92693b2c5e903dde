/** Run by cgroup-legacy.test.ts, in a mount namespace without the cgroup2 tree. */
import { expect, test } from "bun:test";
import { cgroupV1Driver as driver } from "../../../drivers/cgroup-v1/driver.ts";
import { probeHost } from "../../../src/runtime/host.ts";
import { cgroupSuite } from "../../support/cgroup-suite.ts";

const host = probeHost();

test("the host is a legacy one", () => expect(host.cgroup.mode).toBe("legacy"));
cgroupSuite({ name: "v1, legacy", driver, host });
