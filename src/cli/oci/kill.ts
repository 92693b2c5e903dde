/** `kill ID [SIGNAL]`. */
import { fail } from "../../error.ts";
import { SIGTERM, signalNumber } from "../../kernel/signal.ts";
import { killContainer } from "../../runtime/kill.ts";
import { needRecord } from "../../runtime/state.ts";
import { forMatching, REGEX_ARG } from "./matching.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "kill",
  about: "send a signal (default: TERM) to a container's program",
  args: {
    all: { type: "boolean", alias: "a", description: "to every process of the container" },
    ...REGEX_ARG,
    id: { type: "positional", description: "the container's ID" },
    signal: { type: "positional", required: false, description: "name or number" },
  },
  async run({ id, signal, all, regex }, { root, registry }) {
    // 0 only asks whether there is somebody to signal (kill(2)); an empty word is none, as in runc.
    const number =
      signal === undefined || signal === "" ? SIGTERM : signal === "0" ? 0 : signalNumber(signal);
    await forMatching(root, id, regex, (each) => {
      if (number === undefined) {
        // That there is no container is said first, as in runc.
        needRecord(root, each);
        throw fail({ code: "USAGE", field: "SIGNAL", message: `unknown signal ${JSON.stringify(signal)}` });
      }
      killContainer({ root, id: each, signal: number, all, registry });
    });
    return 0;
  },
});
