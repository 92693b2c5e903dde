/**
 * `ctr-bun pull`: arguments in, one call, Docker's lines out.
 */

import { openSnapshotter, requireRoot } from "../engine/engine.ts";
import { obtainImage } from "../engine/image.ts";
import { interruptible } from "../engine/interrupt.ts";
import { familiarName, parseReference } from "../image/reference.ts";
import { print, printError } from "../kernel/output.ts";
import { verb } from "./command.ts";
import { pullProgress } from "./pull-progress.ts";

export default verb({
  name: "pull",
  description: "Get an image from a registry",
  usage: "[OPTIONS] IMAGE",
  args: {
    quiet: { type: "boolean", alias: "q", description: "Print the image's name only" },
    platform: { type: "string", valueHint: "PLATFORM", description: "linux/arm64, linux/arm/v7, ..." },
    "plain-http": {
      type: "boolean",
      description: "Talk http without TLS to a registry that is not on loopback",
    },
    image: { type: "positional", description: "Image: debian:12, localhost:5000/app@sha256:..." },
  },
  async run({ quiet, platform, "plain-http": plainHttp, image }, context) {
    const engine = await context.engine();
    requireRoot(engine.host, "pull");
    const { progress, done } = await pullProgress(quiet);
    try {
      const pulled = await interruptible((signal) =>
        obtainImage(engine, openSnapshotter(engine), image, {
          pull: "always",
          platform,
          progress,
          plainHttp,
          signal,
        }),
      );
      done();
      if (!quiet) {
        const familiar = familiarName(parseReference(image));
        printError(`Digest: ${pulled.digest}\n`);
        printError(
          pulled.wasPresent
            ? `Status: Image is up to date for ${familiar}\n`
            : `Status: Downloaded newer image for ${familiar}\n`,
        );
      }
      print(`${pulled.name}\n`);
      return 0;
    } finally {
      done();
    }
  },
});
