/**
 * `ctr-bun plan`: a bundle, or what `run` takes, in; every step out, with the field of config.json that it is from.
 */

import { isBundle, planBundle, planImage } from "../engine/plan.ts";
import { fail } from "../error.ts";
import { print } from "../kernel/output.ts";
import { verb } from "./command.ts";
import { pullProgress } from "./pull-progress.ts";
import { RUN_ARGS } from "./run-args.ts";

export default verb({
  name: "plan",
  description: "Show what would be done to run a bundle or an image",
  usage: "[OPTIONS] BUNDLE | [OPTIONS] IMAGE [COMMAND] [ARG...]",
  args: {
    ...RUN_ARGS,
    "systemd-cgroup": { type: "boolean", description: "As --cgroup-manager systemd" },
    target: { type: "positional", description: "Directory with a config.json, or an image" },
    command: { type: "positional", rest: true, required: false, description: "Program and its arguments" },
  },
  stopAtPositional: true,
  errorCode: 125,
  async run({ target, command, "systemd-cgroup": systemd, ...given }, context) {
    const flags = systemd ? { ...given, "cgroup-manager": withSystemd(given["cgroup-manager"]) } : given;
    const engine = await context.engine();
    if (isBundle(engine, target)) {
      print(planBundle(engine, target, flags["cgroup-manager"]));
      return 0;
    }
    const { progress, done } = await pullProgress(flags.quiet);
    try {
      print(await planImage(engine, { image: target, args: command, flags, progress }));
      return 0;
    } finally {
      done();
    }
  },
});

function withSystemd(manager: string | undefined): string {
  if (manager === undefined || manager === "systemd") return "systemd";
  const message = `cannot be given together with --cgroup-manager ${manager}`;
  throw fail({ code: "USAGE", field: "--systemd-cgroup", message });
}
