/**
 * What all commands of `seccomp` take: for which container, host and kernel a profile is read.
 * Not here: reading it (engine/seccomp-source.ts).
 */
import type { SeccompWorkbench } from "../../driver.ts";
import { chooseCapabilities } from "../../engine/config/capabilities.ts";
import type { Engine } from "../../engine/engine.ts";
import { ANY_HOST, type SeccompFor } from "../../engine/seccomp-source.ts";
import { usage } from "../argv.ts";
import { list, text } from "../flag.ts";

export const PROFILE_ARGS = {
  "cap-add": list("Read the profile for a container with one capability more, or ALL", "NAME"),
  "cap-drop": list("For a container with one capability less, or ALL", "NAME"),
  kernel: text("For another kernel than this one: 5.14", "VERSION"),
} as const;

/** What PROFILE may be, for help. */
export const PROFILE_NOTES = [
  "PROFILE is a file (a profile as in linux.seccomp, or in Docker's and Podman's form; a config.json), a bundle,",
  "- for standard input, or default: ctr-bun's own. What a profile makes depend on capabilities is read for the",
  "default ones, with --cap-add and --cap-drop as in run.",
].join("\n");

/** The values of {@link PROFILE_ARGS}. */
export interface ProfileFlags {
  readonly "cap-add": readonly string[];
  readonly "cap-drop": readonly string[];
  readonly kernel: string | undefined;
}

/** @param architecture as it was given: the host that has it is meant. */
export function profileFor(
  flags: ProfileFlags,
  architecture: string | undefined,
  workbench: SeccompWorkbench,
  { host }: Engine,
  verb: string,
): SeccompFor {
  return {
    capabilities: chooseCapabilities({
      add: flags["cap-add"],
      drop: flags["cap-drop"],
      privileged: false,
      host: ANY_HOST,
    }),
    arch: architecture === undefined ? host.arch : workbench.hostOf(architecture),
    kernel: flags.kernel === undefined ? host.kernelVersion : kernelOf(flags.kernel, verb),
  };
}

function kernelOf(version: string, verb: string): [number, number] {
  const [, major, minor] = /^(\d{1,4})\.(\d{1,4})/.exec(version) ?? [];
  if (major !== undefined && minor !== undefined) return [Number(major), Number(minor)];
  throw usage(`--kernel ${version}: it is a version such as 5.14`, verb);
}

/** One of some words, or an error that names them. */
export function oneOf<const T extends string>(
  value: string | undefined,
  known: readonly T[],
  flag: string,
  verb: string,
): T | undefined {
  if (value === undefined) return undefined;
  const found = known.find((each) => each === value);
  if (found !== undefined) return found;
  throw usage(`${flag} ${value}: it is ${known.join(" or ")}`, verb);
}
