/** `restore ID`: refused, whatever flags of runc and crun come with it. */
import { checkID } from "../../runtime/state.ts";
import { CRIU_ARGS, noCriu, SWITCH, VALUE } from "./checkpoint.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "restore",
  about: "not supported",
  args: {
    ...CRIU_ARGS,
    bundle: { ...VALUE, alias: "b" },
    "console-socket": VALUE,
    "pid-file": VALUE,
    detach: { ...SWITCH, alias: "d" },
    "no-subreaper": SWITCH,
    "no-pivot": SWITCH,
    "lsm-profile": VALUE,
    "lsm-mount-context": VALUE,
    "tcp-close": SWITCH,
    id: { type: "positional", description: "the container's ID" },
  },
  async run({ id }) {
    checkID(id);
    throw noCriu("restore");
  },
});
