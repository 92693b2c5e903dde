/** `ctr-bun seccomp record`: runs a container, and writes the smallest profile that its run needed. */
import { absolutePath } from "../../engine/path.ts";
import { type Recorded, recordBundle, recordImage } from "../../engine/record-calls.ts";
import { fail } from "../../error.ts";
import { S_IFDIR } from "../../kernel/constants.ts";
import { replaceFile, statusOf } from "../../kernel/file.ts";
import { printError } from "../../kernel/output.ts";
import { writeJson } from "../../spec/json.ts";
import { usage } from "../argv.ts";
import { verb } from "../command.ts";
import { text } from "../flag.ts";
import { pullProgress } from "../pull-progress.ts";
import { RUN_ARGS } from "../run-args.ts";

const NAME = "seccomp record";
const DEFAULT_FILE = "seccomp.json";

export default verb({
  name: NAME,
  description: "Run a container, and write the smallest profile that it needed",
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...] | [OPTIONS] --bundle DIR",
  args: {
    "profile-out": text(`File to write; ${DEFAULT_FILE}, which must not be there`, "FILE", "o"),
    bundle: text("Run an OCI bundle instead of an image", "DIR", "b"),
    ...RUN_ARGS,
    image: { type: "positional", required: false, description: "Image, as for run" },
    command: { type: "positional", rest: true, required: false, description: "Program and its arguments" },
  },
  stopAtPositional: true,
  errorCode: 125,
  notes: [
    "The container runs under the profile that it would have anyway (--security-opt seccomp=FILE|unconfined, or that of",
    "the bundle), answered call by call; what is written allows no more than that profile. Every call waits",
    "for an answer, so it is slow. Exit codes are those of run.",
  ].join("\n"),
  async run({ image, command, bundle, "profile-out": output, ...flags }, context, given) {
    const engine = await context.engine();
    const path = writablePath(absolutePath(output ?? DEFAULT_FILE, engine.cwd), output !== undefined);
    if (bundle !== undefined) {
      const other = [...given].find((flag) => !["bundle", "profile-out", "quiet"].includes(flag));
      if (other !== undefined) throw usage(`--${other} and --bundle: a bundle's config.json says all`, NAME);
      if (image !== undefined) throw usage("an image and --bundle: it is one or the other", NAME);
      return finish(await recordBundle(engine, bundle), path, flags.quiet, engine.warn);
    }
    if (image === undefined) throw usage("IMAGE is missing", NAME, "an image, or --bundle DIR");
    const { progress, done } = await pullProgress(flags.quiet);
    try {
      const request = { image, args: command, flags, progress, imageReady: done };
      return finish(await recordImage(engine, request), path, flags.quiet, engine.warn);
    } finally {
      done();
    }
  },
});

/** Before anything is run, since a run cannot be had back. */
function writablePath(path: string, mayReplace: boolean): string {
  const directory = path.slice(0, Math.max(1, path.lastIndexOf("/")));
  if (statusOf(directory)?.type !== S_IFDIR) {
    throw fail({
      code: "NOT_FOUND",
      field: "--profile-out",
      message: "there is no such directory",
      path: directory,
    });
  }
  if (!mayReplace && statusOf(path) !== undefined) {
    throw fail({
      code: "EXISTS",
      field: "--profile-out",
      message: "the file exists",
      path,
      hint: "name it with -o to have it replaced, or name another",
    });
  }
  return path;
}

function finish(
  { code, profile, notes }: Recorded,
  path: string,
  quiet: boolean,
  warn: (message: string) => void,
): number {
  replaceFile(path, new TextEncoder().encode(`${writeJson(profile, 2)}\n`), 0o644);
  for (const note of notes) warn(note);
  if (!quiet) {
    const names = new Set(
      (profile.syscalls ?? [])
        .filter(({ action }) => action === "SCMP_ACT_ALLOW")
        .flatMap((rule) => rule.names),
    );
    printError(`ctr-bun: ${names.size} system calls are allowed in ${path}\n`);
  }
  return code;
}
