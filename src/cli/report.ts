/**
 * How an error reaches a person, or a program: one line and the hint below it, or all fields as JSON.
 * Not here: what errors say (error.ts and those who make them).
 */

import { type CtrError, errorFields, errorLine } from "../error.ts";
import { printError } from "../kernel/output.ts";

/** `text` for people, `json` for programs. */
export type LogFormat = "text" | "json";

/** Where errors and warnings go, and in which form. */
export interface ReportOptions {
  readonly format: LogFormat;
  /** Whether a terminal reads it. */
  readonly color: boolean;
}

/** The bytes of an error report, a newline at the end. */
export function errorReport(error: CtrError, options: ReportOptions, paint: Painter = plain): string {
  if (options.format === "json") {
    return `${JSON.stringify({ level: "error", time: new Date().toISOString(), ...errorFields(error) })}\n`;
  }
  const hint = error.hint === undefined ? "" : `${paint("dim", `  ${oneLine(error.hint)}`)}\n`;
  return `${paint("red", "ctr-bun:")} ${oneLine(errorLine(error))}\n${hint}`;
}

/** The bytes of a warning, a newline at the end. */
export function warningReport(message: string, options: ReportOptions): string {
  if (options.format === "json") {
    return `${JSON.stringify({ level: "warning", time: new Date().toISOString(), message })}\n`;
  }
  return `ctr-bun: warning: ${oneLine(message)}\n`;
}

/** Writes an error to standard error. */
export async function reportError(error: CtrError, options: ReportOptions): Promise<void> {
  printError(errorReport(error, options, options.color ? await painter() : plain));
}

/** Writes a warning to standard error. */
export function reportWarning(message: string, options: ReportOptions): void {
  printError(warningReport(message, options));
}

type Painter = (style: "red" | "dim", text: string) => string;

const plain: Painter = (_style, text) => text;

/** consola takes milliseconds to load: only when there is something to paint. */
async function painter(): Promise<Painter> {
  const { colors } = await import("consola/utils");
  return (style, text) => colors[style](text);
}

/** What an image or a server says may hold line breaks and escape sequences; an error is one line. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these move a terminal's cursor
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ");
}
