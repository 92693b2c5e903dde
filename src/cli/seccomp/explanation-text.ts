/** An explanation of the seccomp driver's as text. Not here: what it says. */
import type { SeccompExplanation, SeccompOutcome } from "../../driver.ts";
import type { NamedProfile } from "../../engine/seccomp-source.ts";

/** @param lines the filter's text, an instruction each. */
export function explanationText(
  { syscall, number, architecture, outcomes, notes }: SeccompExplanation,
  profile: NamedProfile,
  lines: readonly string[],
): string {
  const shown = syscall === String(number | 0) ? syscall : `${syscall} (${number})`;
  const parts = [
    `${shown} on ${architecture}, under ${profile.name}\n`,
    ...outcomes.map((outcome) => outcomeText(outcome, syscall, profile, lines)),
  ];
  if (notes.length > 0) parts.push(notes.map((note) => `note: ${noteText(note, profile)}\n`).join(""));
  return parts.join("\n");
}

function outcomeText(
  { when, args, verdict, rule, why, path }: SeccompOutcome,
  syscall: string,
  profile: NamedProfile,
  lines: readonly string[],
): string {
  const condition = when === undefined ? "" : `${when}: `;
  const where = rule === undefined ? "" : `${profile.at(rule)}: `;
  const example = args.some((arg) => arg !== 0n) ? ` of ${callText(syscall, args)}` : "";
  return [
    `${condition}${verdict}`,
    `  ${where}${why}`,
    `  the way${example} through the filter, ${path.length} of ${lines.length} instructions:`,
    ...path.map((at) => `    ${lines[at] ?? ""}`),
    "",
  ].join("\n");
}

/** A note begins with the place of the rule that it is on. */
function noteText(note: string, profile: NamedProfile): string {
  return note.replace(/^(\S*syscalls\[\d+\]):/, (_, place: string) => `${profile.at(place)}:`);
}

/** A call with its arguments, without zeros at the end: `clone(0x10000)`. */
export function callText(syscall: string, args: readonly bigint[]): string {
  const last = args.findLastIndex((arg) => arg !== 0n);
  return `${syscall}(${args
    .slice(0, Math.max(1, last + 1))
    .map((arg) => `0x${arg.toString(16)}`)
    .join(", ")})`;
}
