/** `events ID`: what a container uses, and what happened to it (out of memory, ...), one line of JSON each. */
import { fail } from "../../error.ts";
import { print } from "../../kernel/output.ts";
import { type ContainerEvent, containerStats, watchContainer } from "../../runtime/events.ts";
import { writeJson } from "../../spec/json.ts";
import { durationOf } from "./amounts.ts";
import { defineVerb } from "./verb.ts";

const STDOUT = 1;
const DEFAULT_INTERVAL = "5s";

function show(event: ContainerEvent): void {
  print(`${writeJson(event)}\n`);
}

export default defineVerb({
  name: "events",
  about: "print what a container uses, until it ends",
  args: {
    interval: { type: "string", description: `time between two counts (default: ${DEFAULT_INTERVAL})` },
    stats: { type: "boolean", description: "count once, and end" },
    id: { type: "positional", description: "the container's ID" },
  },
  async run({ id, interval: text, stats }, { root, registry }) {
    const interval = durationOf(text ?? DEFAULT_INTERVAL, "interval");
    if (interval <= 0) {
      throw fail({
        code: "USAGE",
        field: "--interval",
        message: "duration interval must be greater than 0",
      });
    }
    if (stats) show(containerStats(root, id, registry));
    else watchContainer({ root, id, interval, registry, listener: STDOUT, onEvent: show });
    return 0;
  },
});
