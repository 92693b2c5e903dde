/** `features`: what ctr-bun can do, as JSON (features.md). It is the same on every host. */
import { print } from "../../kernel/output.ts";
import { defineVerb } from "./verb.ts";
import { commit, version } from "./version.ts";

export default defineVerb({
  name: "features",
  about: "print what this runtime can do as JSON",
  args: {},
  async run(_values, { registry }) {
    // Asked once by an engine, if ever: no other verb is to wait for its tables.
    const { features } = require("../../plan/features.ts") as typeof import("../../plan/features.ts");
    const annotations = {
      "io.ctr-bun.commit": commit(),
      "io.ctr-bun.version": version(),
      // Engines know these of runc.
      "org.opencontainers.runc.checkpoint.enabled": "false",
    };
    const all = { ...features(registry.names("cgroup")), annotations };
    print(`${JSON.stringify(all, undefined, 4)}\n`);
    return 0;
  },
});
