/** `create ID`. */
import { createContainer } from "../../runtime/create.ts";
import { CREATE_ARGS, createRequest } from "./create-args.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "create",
  about: "make a container; its program waits for start",
  args: {
    ...CREATE_ARGS,
    "no-subreaper": { type: "boolean", description: "accepted as crun does" },
    id: { type: "positional", description: "the container's ID" },
  },
  async run(values, context) {
    await createContainer(createRequest(context, values.id, values, false));
    return 0;
  },
});
