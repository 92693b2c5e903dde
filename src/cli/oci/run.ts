/** `run ID`. */
import { runContainer, runDetached } from "../../runtime/run.ts";
import { CREATE_ARGS, createRequest } from "./create-args.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "run",
  about: "make a container and start it, in the foreground unless detached",
  args: {
    ...CREATE_ARGS,
    detach: { type: "boolean", alias: "d", description: "return once the program runs" },
    keep: { type: "boolean", description: "do not delete the container when it has ended" },
    "no-subreaper": { type: "boolean", description: "leave the container's orphans to the host's init" },
    id: { type: "positional", description: "the container's ID" },
  },
  async run(values, context) {
    const request = createRequest(context, values.id, values, !values.detach);
    if (values.detach) {
      await runDetached(request);
      return 0;
    }
    return (await runContainer({ ...request, keep: values.keep, subreaper: !values["no-subreaper"] })).code;
  },
});
