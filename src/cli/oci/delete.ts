/** `delete ID`. */
import { deleteContainer } from "../../runtime/delete.ts";
import { forMatching, REGEX_ARG } from "./matching.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "delete",
  about: "take away what a stopped container has left",
  args: {
    force: { type: "boolean", alias: "f", description: "kill it first where it still runs" },
    ...REGEX_ARG,
    id: { type: "positional", description: "the container's ID" },
  },
  async run({ id, force, regex }, { root, registry }) {
    await forMatching(root, id, regex, (each) => deleteContainer({ root, id: each, force, registry }));
    return 0;
  },
});
