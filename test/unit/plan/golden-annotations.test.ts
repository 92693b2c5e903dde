// Plans of configs whose annotations mean something.
import { makePlan } from "../../../src/plan/plan.ts";
import { goldenPlans } from "./golden.ts";
import { planInput, smallConfig } from "./inputs.ts";

goldenPlans({
  "original-groups": () =>
    makePlan(planInput(smallConfig({ annotations: { "run.oci.keep_original_groups": "1" } }))),
});
