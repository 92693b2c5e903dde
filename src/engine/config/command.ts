/**
 * What is executed: `Entrypoint` and `Cmd` of the image with what a person gives instead, by Docker's rules.
 * Not here: finding the program (runtime).
 */
import { fail } from "../../error.ts";

/** Where the parts come from. */
export interface CommandSources {
  readonly imageEntrypoint: readonly string[] | undefined;
  readonly imageCmd: readonly string[] | undefined;
  /** `--entrypoint`; the empty string takes the image's away. */
  readonly entrypoint: string | undefined;
  /** What stands behind IMAGE. */
  readonly args: readonly string[];
}

/**
 * The argument vector. A Cmd from the command line takes the place of the image's; so does `--entrypoint`, since the
 * image's Cmd was written for the image's Entrypoint.
 */
export function buildCommand(sources: CommandSources): string[] {
  const { entrypoint, args } = sources;
  const first =
    entrypoint === undefined ? (sources.imageEntrypoint ?? []) : entrypoint === "" ? [] : [entrypoint];
  const rest = args.length > 0 || entrypoint !== undefined ? args : (sources.imageCmd ?? []);
  const command = [...first, ...rest];
  if (command.length === 0 || command[0] === "") {
    throw fail({
      code: "NO_COMMAND",
      message: "no command: the image has neither Entrypoint nor Cmd, and none was given",
      hint: "name a program behind the image: ctr-bun run IMAGE PROGRAM",
    });
  }
  return command;
}

/** `WORKDIR` of the image or `-w`, as a clean absolute path. The image's may be relative: it is meant from `/`. */
export function buildWorkingDirectory(image: string | undefined, flag: string | undefined): string {
  if (flag !== undefined && !flag.startsWith("/")) {
    throw fail({
      code: "INVALID_FLAG",
      field: "--workdir",
      message: `the working directory ${JSON.stringify(flag)} is not absolute`,
      hint: "start it with /",
    });
  }
  return cleanPath(`/${flag ?? image ?? ""}`);
}

/** An absolute path without `.`, `..`, double slashes, or a slash at its end. Links are not followed. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}
