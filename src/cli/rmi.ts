/**
 * `ctr-bun rmi`: arguments in, one call an image, Docker's lines out.
 */
import { openSnapshotter, requireRoot } from "../engine/engine.ts";
import { imageUsage } from "../engine/list.ts";
import { collectGarbage } from "../image/garbage.ts";
import { removeImage } from "../image/images.ts";
import { verb } from "./command.ts";
import { forEach } from "./each.ts";

export default verb({
  name: "rmi",
  description: "Remove images",
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  args: {
    force: { type: "boolean", alias: "f", description: "Also one that containers use" },
    image: { type: "positional", description: "Name or ID" },
    more: { type: "positional", rest: true, required: false, description: "More of them" },
  },
  async run({ force, image, more }, context) {
    const engine = await context.engine();
    requireRoot(engine.host, "rmi");
    const usage = imageUsage(engine);
    const code = await forEach([image, ...more], context, async (text) => {
      const { untagged, deleted } = removeImage(engine.store(), text, usage, { force });
      return [...untagged.map((name) => `Untagged: ${name}`), ...deleted.map((id) => `Deleted: ${id}`)].join(
        "\n",
      );
    });
    await collectGarbage(engine.store(), openSnapshotter(engine));
    return code;
  },
});
