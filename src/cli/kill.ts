/**
 * `ctr-bun kill`: arguments in, one call a container, its name out.
 */
import { requireRoot } from "../engine/engine.ts";
import { signalContainer } from "../engine/kill.ts";
import { verb } from "./command.ts";
import { forEach } from "./each.ts";

export default verb({
  name: "kill",
  description: "Send a signal to running containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: {
    signal: { type: "string", alias: "s", valueHint: "SIGNAL", description: "Signal; KILL if not given" },
    container: { type: "positional", description: "Name, ID, or the start of an ID" },
    more: { type: "positional", rest: true, required: false, description: "More of them" },
  },
  async run({ signal = "KILL", container, more }, context) {
    const engine = await context.engine();
    requireRoot(engine.host, "kill");
    return await forEach([container, ...more], context, async (text) => {
      signalContainer(engine, text, signal);
      return text;
    });
  },
});
