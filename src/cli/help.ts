/**
 * `ctr-bun help [COMMAND]`.
 */
import { verb } from "./command.ts";

export default verb({
  name: "help",
  description: "Help on a command, or on all",
  usage: "[COMMAND]",
  args: { command: { type: "positional", rest: true, required: false, description: "Command" } },
  errorCode: 125,
  run: async ({ command }, context) =>
    await context.help(command.length === 0 ? undefined : command.join(" ")),
});
