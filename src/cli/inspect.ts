/**
 * `ctr-bun inspect`: names in, Docker's JSON out. A name means a container before it means an image.
 */

import { findContainer } from "../engine/containers.ts";
import type { Engine } from "../engine/engine.ts";
import { inspectContainer } from "../engine/inspect.ts";
import { asCtrError, CtrError, fail } from "../error.ts";
import { findImage } from "../image/images.ts";
import { inspectImage } from "../image/inspect.ts";
import { print } from "../kernel/output.ts";
import { usage } from "./argv.ts";
import { verb } from "./command.ts";
import { formatAll } from "./format.ts";
import { reportError } from "./report.ts";

export default verb({
  name: "inspect",
  description: "Show all that is known of containers or images, as JSON",
  usage: "[OPTIONS] NAME [NAME...]",
  args: {
    format: {
      type: "string",
      alias: "f",
      valueHint: "FORMAT",
      description: "json, or a template: {{.State.Pid}}",
    },
    type: { type: "string", valueHint: "TYPE", description: "Only container, or only image" },
    name: { type: "positional", description: "Name or ID" },
    more: { type: "positional", rest: true, required: false, description: "More of them" },
  },
  async run({ format, type, name, more }, context) {
    if (type !== undefined && type !== "container" && type !== "image") {
      throw usage(`--type ${type}: it is container or image`, "inspect");
    }
    const engine = await context.engine();
    const found: unknown[] = [];
    let code = 0;
    for (const text of [name, ...more]) {
      try {
        found.push(inspect(engine, text, type));
      } catch (thrown) {
        code = 1;
        await reportError(asCtrError(thrown), context.report);
      }
    }
    const out =
      format === undefined ? `${JSON.stringify(found, undefined, 4)}\n` : formatAll(found, format, "inspect");
    print(out);
    return code;
  },
});

function inspect(engine: Engine, text: string, type: "container" | "image" | undefined): unknown {
  if (type !== "image") {
    try {
      return inspectContainer(engine, findContainer(engine.settings.store, text));
    } catch (error) {
      if (type === "container" || !(error instanceof CtrError && error.code === "NOT_FOUND")) throw error;
    }
  }
  const image = findImage(engine.store(), text);
  if (image !== undefined) return inspectImage(engine.store(), image.image);
  throw fail({
    code: "NOT_FOUND",
    message: `No such ${type ?? "object"}: ${text}`,
    hint: "'ctr-bun ps -a' and 'ctr-bun images' list what there is",
  });
}
