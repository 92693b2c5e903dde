/**
 * `--label NAME=VALUE`. Labels are kept and shown; none of them, an image's least of all, changes what ctr-bun does.
 */
import { fail } from "../../error.ts";

/** The image's labels and those of the command line, which win. */
export function mergeLabels(
  image: Readonly<Record<string, string>>,
  flags: readonly string[],
): Record<string, string> {
  const labels = new Map(Object.entries(image));
  for (const text of flags) {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    if (name.trim() === "") {
      throw fail({
        code: "INVALID_FLAG",
        field: "--label",
        message: `${JSON.stringify(text)} has no name`,
        hint: "write NAME=VALUE",
      });
    }
    labels.set(name, equals < 0 ? "" : text.slice(equals + 1));
  }
  return Object.fromEntries(labels);
}
