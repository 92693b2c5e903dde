/** `pause ID`. */
import { pauseContainer } from "../../runtime/pause.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "pause",
  about: "stop every process of a container until resume",
  args: { id: { type: "positional", description: "the container's ID" } },
  async run({ id }, { root, registry }) {
    pauseContainer(root, id, registry);
    return 0;
  },
});
