/** `state ID`: runc's JSON. */
import { print } from "../../kernel/output.ts";
import { listing } from "../../runtime/inspect.ts";
import { needRecord } from "../../runtime/state.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "state",
  about: "print a container's state as JSON",
  args: { id: { type: "positional", description: "the container's ID" } },
  async run({ id }, { root, registry }) {
    print(`${JSON.stringify(listing(root, needRecord(root, id), registry), undefined, 2)}\n`);
    return 0;
  },
});
