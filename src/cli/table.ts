/**
 * Tables as Docker prints them: columns padded with blanks, a heading in capitals.
 */

/** Lines of a table, a newline at the end of each. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(visible));
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => (row[column] ?? "").length)),
  );
  return [heading, ...cells]
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("   ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** What an image says of itself may hold sequences that a terminal obeys, and line breaks. */
function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
