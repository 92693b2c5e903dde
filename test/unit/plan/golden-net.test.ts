/** Plans as text, compared with what was recorded of them: what a container has of the host's network. */
import { makePlan } from "../../../src/plan/plan.ts";
import { goldenPlans } from "./golden.ts";
import { planInput, smallConfig } from "./inputs.ts";

goldenPlans({
  "net-devices": () => {
    const config = smallConfig({
      linux: {
        namespaces: [{ type: "mount" }, { type: "pid" }, { type: "network", path: "/run/netns/blue" }],
        netDevices: { eth1: {}, ens4: { name: "inside" }, ens5: { name: "inside%d" } },
        sysctl: { "net.ipv4.conf.inside.forwarding": "1" },
      },
    });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },
});
