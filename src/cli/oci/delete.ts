/** `delete ID`. */
import { deleteContainer } from "../../runtime/delete.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "delete",
  about: "take away what a stopped container has left",
  args: {
    force: { type: "boolean", alias: "f", description: "kill it first where it still runs" },
    id: { type: "positional", description: "the container's ID" },
  },
  async run({ id, force }, { root, registry }) {
    await deleteContainer({ root, id, force, registry });
    return 0;
  },
});
