/** `devices ID`: which devices a container may use, as the kernel holds it. A verb of our own: no other runtime has it. */
import { print } from "../../kernel/output.ts";
import { containerDevices } from "../../runtime/devices.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "devices",
  about: "show what the kernel holds a container's use of devices to",
  args: { id: { type: "positional", description: "the container's ID" } },
  async run({ id }, { root, registry }) {
    print(`${containerDevices(root, id, registry).join("\n")}\n`);
    return 0;
  },
});
