/**
 * What the OCI level says when something is wrong: for people on stderr, and in runc's format in the file of --log,
 * where engines look for the last error.
 */

import { type CtrError, errorFields, errorLine } from "../../error.ts";
import { O_APPEND, O_CREAT, O_WRONLY } from "../../kernel/constants.ts";
import { close, tryOpen, writeAll } from "../../kernel/file.ts";
import { printError } from "../../kernel/output.ts";

export interface LogOptions {
  readonly file: string | undefined;
  readonly format: "text" | "json";
}

type Level = "error" | "warning";

/** A line as runc's logger writes it. */
function logLine(
  level: Level,
  message: string,
  fields: Record<string, string | number>,
  format: "text" | "json",
): string {
  const time = new Date().toISOString();
  if (format === "json") return `${JSON.stringify({ level, msg: message, time, ...fields })}\n`;
  return `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(message)}\n`;
}

function append(file: string, line: string): void {
  const fd = tryOpen(file, O_WRONLY | O_CREAT | O_APPEND, 0o644);
  if (fd < 0) return;
  writeAll(fd, new TextEncoder().encode(line), file);
  close(fd);
}

/** Reports the error that ends a command. */
export function logError(error: CtrError, { file, format }: LogOptions): void {
  const { message: _, ...fields } = errorFields(error);
  const line = errorLine(error);
  if (file !== undefined) append(file, logLine("error", line, fields, format));
  if (format === "json" && file === undefined) printError(logLine("error", line, fields, format));
  else printError(`ctr-bun: ${line}\n${error.hint === undefined ? "" : `  ${error.hint}\n`}`);
}

/** Reports what is no error, but should be known. */
export function logWarning(message: string, { file, format }: LogOptions): void {
  if (file !== undefined) append(file, logLine("warning", message, {}, format));
  else printError(`ctr-bun: warning: ${message}\n`);
}
