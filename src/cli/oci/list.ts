/** `list`: runc's table, JSON, or IDs alone. */

import { fail } from "../../error.ts";
import { print } from "../../kernel/output.ts";
import { type Listing, listContainers } from "../../runtime/inspect.ts";
import { defineVerb } from "./verb.ts";

const COLUMNS = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
/** Columns are padded as Go's tabwriter does it for runc: at least 12 wide, one space between them. */
const LEAST_WIDTH = 11;

function table(listings: readonly Listing[]): string {
  const rows = listings.map(({ id, pid, status, bundle, created, owner }) => [
    id,
    `${pid}`,
    status,
    bundle,
    created,
    owner,
  ]);
  const all = [COLUMNS, ...rows];
  const widths = COLUMNS.map((_, at) => Math.max(LEAST_WIDTH, ...all.map((row) => (row[at] ?? "").length)));
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === COLUMNS.length - 1 ? cell : cell.padEnd((widths[at] ?? 0) + 1))).join("");
  return `${all.map(line).join("\n")}\n`;
}

export default defineVerb({
  name: "list",
  about: "list the containers of the state root",
  args: {
    quiet: { type: "boolean", alias: "q", description: "IDs alone" },
    format: { type: "string", alias: "f", description: "table (default) or json" },
  },
  async run({ quiet, format }, { root, registry }) {
    const listings = listContainers(root, registry);
    if (quiet) print(listings.map(({ id }) => `${id}\n`).join(""));
    else if (format === "json") print(`${JSON.stringify(listings.length === 0 ? null : listings)}\n`);
    else if (format === undefined || format === "table") print(table(listings));
    else
      throw fail({
        code: "USAGE",
        field: "--format",
        message: `unknown format ${JSON.stringify(format)}: table or json`,
      });
    return 0;
  },
});
