/**
 * What the OCI level says when something is wrong, and with --debug what it does: for people on stderr, and in runc's
 * format (logrus) in the file of --log, where engines look for the last error. Not here: what errors say (error.ts).
 */

import { type CtrError, errorFields, errorLine, fail } from "../../error.ts";
import { callError } from "../../kernel/check.ts";
import { O_APPEND, O_CREAT, O_WRONLY } from "../../kernel/constants.ts";
import { close, tryOpen, writeAll } from "../../kernel/file.ts";
import { printError } from "../../kernel/output.ts";

/** From the least to the most that is said. */
const LEVELS = ["error", "warning", "debug"] as const;
export type LogLevel = (typeof LEVELS)[number];

export interface LogOptions {
  readonly file: string | undefined;
  readonly format: "text" | "json";
  readonly level: LogLevel;
}

/** Where nothing was asked for. */
export const NO_LOG: LogOptions = { file: undefined, format: "text", level: "warning" };

/** The flags of runc and crun that say how to log. */
export interface LogFlags {
  readonly log: string | undefined;
  readonly "log-format": string | undefined;
  readonly "log-level": string | undefined;
  readonly debug: boolean;
}

/** Judges the flags, all but whether the file can be written ({@link openLog}). */
export function logOptions(flags: LogFlags): LogOptions {
  const format = flags["log-format"] ?? "text";
  // runc's words.
  if (format !== "text" && format !== "json") throw bad("--log-format", `invalid log-format: ${format}`);
  const given = flags["log-level"] ?? "warning";
  const level = LEVELS.find((each) => each === given);
  if (level === undefined) throw bad("--log-level", `unknown level ${JSON.stringify(given)}`);
  return { file: logFile(flags.log), format, level: flags.debug ? "debug" : level };
}

/** crun's `BACKEND:SPECIFIER`; a path without a backend is a file, as it is for runc. */
function logFile(text: string | undefined): string | undefined {
  const [, backend, rest] = /^(file|journald|syslog):(.*)$/s.exec(text ?? "") ?? [];
  if (backend === "journald" || backend === "syslog") {
    throw fail({
      code: "UNSUPPORTED",
      field: "--log",
      message: `${backend} is not supported`,
      hint: "give a file; what goes to stderr can be passed on to a log",
    });
  }
  const file = backend === undefined ? text : rest;
  return file === "" ? undefined : file;
}

function bad(field: string, message: string): CtrError {
  return fail({ code: "USAGE", field, message });
}

/**
 * Makes the file, or says why it cannot be written, before anything else is done. It is not kept open: its number
 * would look like one of the descriptors that --preserve-fds passes on.
 */
export function openLog({ file }: LogOptions): void {
  if (file === undefined) return;
  const fd = tryOpen(file, O_WRONLY | O_CREAT | O_APPEND, 0o644);
  if (fd >= 0) close(fd);
  else
    throw callError(-fd, {
      syscall: "openat",
      path: file,
      field: "--log",
      message: "cannot open the log file",
    });
}

type Fields = Readonly<Record<string, string | number>>;

/** A line as runc's logger writes it, in whole seconds. */
export function logLine(
  level: LogLevel,
  message: string,
  fields: Fields,
  format: LogOptions["format"],
  now = new Date(),
): string {
  const time = `${now.toISOString().slice(0, 19)}Z`;
  if (format === "json") return `${JSON.stringify({ level, msg: message, time, ...fields })}\n`;
  return `time=${JSON.stringify(time)} level=${level} msg=${quoted(message)}\n`;
}

/** Quoted only where it needs to be. */
function quoted(text: string): string {
  return /^[\w./@^+-]+$/.test(text) ? text : JSON.stringify(text);
}

function append(file: string, lines: string): void {
  const fd = tryOpen(file, O_WRONLY | O_CREAT | O_APPEND, 0o644);
  if (fd < 0) return;
  try {
    writeAll(fd, new TextEncoder().encode(lines), file);
  } catch {
    // A full disk: what is to be said is said on stderr too.
  } finally {
    close(fd);
  }
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
export function logWarning(message: string, { file, format, level }: LogOptions): void {
  if (level === "error") return;
  if (file !== undefined) append(file, logLine("warning", message, {}, format));
  else if (format === "json") printError(logLine("warning", message, {}, format));
  else printError(`ctr-bun: warning: ${message}\n`);
}

/** Says what is being done. The lines are made only where somebody wants them. */
export function logDebug(messages: () => readonly string[], { file, format, level }: LogOptions): void {
  if (level !== "debug") return;
  const lines = messages().map((message) => logLine("debug", message, {}, format));
  if (file !== undefined) append(file, lines.join(""));
  else printError(lines.join(""));
}
