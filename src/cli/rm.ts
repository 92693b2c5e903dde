/**
 * `ctr-bun rm`: arguments in, one call a container, its name out.
 */
import { requireRoot } from "../engine/engine.ts";
import { removeContainer } from "../engine/remove.ts";
import { verb } from "./command.ts";
import { forEach } from "./each.ts";

export default verb({
  name: "rm",
  description: "Remove containers, with their anonymous volumes",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: {
    force: { type: "boolean", alias: "f", description: "Kill those that run; those not there are fine" },
    volumes: {
      type: "boolean",
      alias: "v",
      description: "Taken for granted: anonymous volumes go with the container",
    },
    container: { type: "positional", description: "Name, ID, or the start of an ID" },
    more: { type: "positional", rest: true, required: false, description: "More of them" },
  },
  async run({ force, container, more }, context) {
    const engine = await context.engine();
    requireRoot(engine.host, "rm");
    return await forEach([container, ...more], context, async (text) => {
      const removed = await removeContainer(engine, text, force);
      return removed ? text : undefined;
    });
  },
});
