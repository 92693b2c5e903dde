// The systemd driver through the conformance suite of cgroup drivers, whole, in a virtual machine with systemd as PID 1
// and cgroup v2 alone. What is particular to units is in systemd.test.ts.

import { guestSuites } from "../support/guest-suites.ts";

guestSuites({
  init: "systemd",
  cgroup: "unified",
  suites: { "cgroup-systemd": "test/vm/guest/cgroup-systemd.guest.ts" },
});
