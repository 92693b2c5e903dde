/**
 * `ctr-bun update`: limits in, one call a container, its name out.
 */
import { requireRoot } from "../engine/engine.ts";
import { readUpdate, updateLimits } from "../engine/update.ts";
import { usage } from "./argv.ts";
import { verb } from "./command.ts";
import { forEach } from "./each.ts";
import { text } from "./flag.ts";
import { LIMIT_ARGS } from "./limit-args.ts";

export default verb({
  name: "update",
  description: "Change what containers are limited to",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: {
    ...LIMIT_ARGS,
    "kernel-memory": text("Ignored: kernels no longer limit it", "SIZE"),
    restart: text("Not there yet: needs a monitor beside the container", "POLICY"),
    container: { type: "positional", description: "Name, ID, or the start of an ID" },
    more: { type: "positional", rest: true, required: false, description: "More of them" },
  },
  notes: [
    "A container that runs is changed at once, one that has ended for its next start. What is not given stays as it",
    "is, and so does what is 0, but for --pids-limit and the rates of devices, where 0 is no limit.",
  ].join("\n"),
  async run({ container, more, ...flags }, context, given) {
    if (![...given].some((name) => name !== "container" && name !== "more")) {
      throw usage("nothing to change", "update", "give a limit: --memory 64m");
    }
    const engine = await context.engine();
    requireRoot(engine.host, "update");
    const update = readUpdate(engine, flags);
    return await forEach([container, ...more], context, async (name) => {
      updateLimits(engine, name, update);
      return name;
    });
  },
});
