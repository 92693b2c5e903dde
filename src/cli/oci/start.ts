/** `start ID`. */
import { startContainer } from "../../runtime/start.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "start",
  about: "start the program of a created container",
  args: { id: { type: "positional", description: "the container's ID" } },
  async run({ id }, { root, registry }) {
    await startContainer(root, id, registry);
    return 0;
  },
});
