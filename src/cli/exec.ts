/**
 * `ctr-bun exec`: arguments in, one call, an exit code.
 */
import { execProgram } from "../engine/exec.ts";
import { verb } from "./command.ts";

export default verb({
  name: "exec",
  description: "Run one more program in a running container",
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  args: {
    interactive: { type: "boolean", alias: "i", description: "Keep standard input open" },
    tty: { type: "boolean", alias: "t", description: "Give the program a terminal" },
    privileged: { type: "boolean", description: "All capabilities of this host" },
    env: {
      type: "string",
      alias: "e",
      repeatable: true,
      valueHint: "NAME=VALUE",
      description: "Set an environment variable",
    },
    "env-file": {
      type: "string",
      repeatable: true,
      valueHint: "FILE",
      description: "Read environment variables from a file",
    },
    workdir: { type: "string", alias: "w", valueHint: "DIR", description: "Working directory" },
    user: { type: "string", alias: "u", valueHint: "USER", description: "User: NAME|UID[:GROUP|GID]" },
    container: { type: "positional", description: "Name, ID, or the start of an ID" },
    program: { type: "positional", description: "Program" },
    arguments: { type: "positional", rest: true, required: false, description: "Its arguments" },
  },
  stopAtPositional: true,
  async run({ container, program, arguments: args, ...flags }, context) {
    return await execProgram(await context.engine(), container, [program, ...args], flags);
  },
});
