/** The systemd driver through the conformance suite of cgroup drivers, where systemd is PID 1. */
import { expect, test } from "bun:test";
import { cgroupSystemdDriver as driver } from "../../../drivers/cgroup-systemd/driver.ts";
import { probeHost } from "../../../src/runtime/host.ts";
import { cgroupSuite } from "../../support/cgroup-suite.ts";

const host = probeHost();

test("the host has systemd", () => expect(driver.probe(host)).toEqual({ ok: true }));
const show = ["systemctl", "show", "--value", "--property=DefaultTasksMax"];
const usualTasks = Bun.spawnSync(show).stdout.toString().trim();
cgroupSuite({ name: `systemd, ${host.cgroup.mode}`, driver, host, anyPath: false, usualTasks });
