/**
 * `ctr-bun run`: arguments in, one call, an exit code.
 */

import { runImage } from "../engine/run.ts";
import { fail } from "../error.ts";
import { verb } from "./command.ts";
import { pullProgress } from "./pull-progress.ts";
import { REFUSED_ARGS, RUN_ARGS } from "./run-args.ts";

export default verb({
  name: "run",
  description: "Run a program in a new container of an image",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  args: {
    ...RUN_ARGS,
    ...REFUSED_ARGS,
    image: { type: "positional", description: "Image: debian:12, localhost:5000/app, or an ID" },
    command: { type: "positional", rest: true, required: false, description: "Program and its arguments" },
  },
  stopAtPositional: true,
  errorCode: 125,
  notes: [
    "The default network is none: a loopback device and nothing else, until there are bridges.",
    "Exit codes: the program's own, 128+N when signal N ended it; 127 program not found, 126 not executable,",
    "125 ctr-bun could not run it.",
  ].join("\n"),
  async run({ image, command, detach, publish, "publish-all": publishAll, ...flags }, context) {
    if (publish.length > 0 || publishAll) {
      throw fail({
        code: "UNSUPPORTED",
        field: "--publish",
        message: "ports cannot be published: there are no bridges yet, and the default network is none",
        hint: "share the host's network: --network host",
      });
    }
    if (detach) {
      throw fail({
        code: "UNSUPPORTED",
        field: "--detach",
        message:
          "a container cannot run in the background: the monitor that would look after it does not exist yet",
        hint: "leave -d out, and put & behind the command",
      });
    }
    const engine = await context.engine();
    const { progress, done } = await pullProgress(flags.quiet);
    try {
      return await runImage(engine, { image, args: command, flags, progress, imageReady: done });
    } finally {
      done();
    }
  },
});
