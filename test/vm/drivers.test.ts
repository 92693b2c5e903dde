// The cgroup drivers on a kernel that has everything: their tests run whole in virtual machines, one with cgroup v2 alone
// and one with v1 alone. The systemd driver's machine is in systemd-suite.test.ts.

import { guestSuites } from "../support/guest-suites.ts";

const SUITE = "test/vm/guest/cgroup-suite.guest.ts";

guestSuites({
  cgroup: "unified",
  suites: {
    "cgroup-suite": SUITE,
    "cgroup-v2": "test/vm/guest/cgroup-v2.guest.ts",
    "cgroup-bpf": "test/host/cgroup-bpf.test.ts",
  },
});

guestSuites({
  cgroup: "legacy",
  suites: { "cgroup-suite": SUITE },
  leftOut: {
    "realtimeRuntime and realtimePeriod: a program may be realtime, and may not without":
      "no kernel of Debian's has groups for realtime (CONFIG_RT_GROUP_SCHED)",
  },
});
