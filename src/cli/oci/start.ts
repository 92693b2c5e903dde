/** `start ID`. */
import { startContainer } from "../../runtime/start.ts";
import { notifySocket } from "./service-manager.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "start",
  about: "start the program of a created container",
  args: { id: { type: "positional", description: "the container's ID" } },
  async run({ id }, { root, registry }) {
    await startContainer(root, id, registry, notifySocket());
    return 0;
  },
});
