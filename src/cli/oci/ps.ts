/** `ps ID [ps options]`: runc's list of PIDs as JSON, or the lines of ps(1) for them. */
import { fail } from "../../error.ts";
import { print } from "../../kernel/output.ts";
import { containerProcesses, processLines } from "../../runtime/processes.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "ps",
  about: "list the processes of a container",
  args: {
    format: { type: "string", alias: "f", description: "table (default) or json" },
    id: { type: "positional", description: "the container's ID" },
    options: {
      type: "positional",
      required: false,
      rest: true,
      description: "options for ps (default: -ef)",
    },
  },
  stopAtPositional: true,
  async run({ id, format, options }, { root, registry }) {
    const pids = containerProcesses(root, id, registry);
    if (format === "json") print(`${pids.length === 0 ? "null" : JSON.stringify(pids)}\n`);
    else if (format === undefined || format === "table") print(processLines(pids, options));
    else {
      throw fail({
        code: "USAGE",
        field: "--format",
        message: "invalid format option",
        hint: `${JSON.stringify(format)} is neither table nor json`,
      });
    }
    return 0;
  },
});
