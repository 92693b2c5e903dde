/** `resume ID`. */
import { resumeContainer } from "../../runtime/pause.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "resume",
  about: "let a paused container go on",
  args: { id: { type: "positional", description: "the container's ID" } },
  async run({ id }, { root, registry }) {
    resumeContainer(root, id, registry);
    return 0;
  },
});
