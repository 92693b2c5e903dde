/**
 * The program of a container: looked up by create, so that it is known there already when it is missing, and executed
 * at the end. Rows fail under the call that tells why: faccessat2, where there is no such file; execve, where there is
 * and the kernel does not run it. The words are made of that (runtime/failure.ts). Pure.
 */
import { AT_EACCESS, AT_FDCWD, F_OK, X_OK } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import type { Process } from "../spec/runtime/config.ts";
import { isLabelled } from "./labels.ts";
import { jump, row, slot } from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

/** Property of both steps. */
export const PROGRAM_FIELD = "process.args[0]";

/** What a step does that cannot look: ENOENT of its execve may also mean that there is no such file. */
export const BLIND = "find and execute";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const WORD = 0xffffffff;

const HINTS = {
  EACCES: "it must be a file with the executable bit, not a directory, and for the user to execute",
  ENOEXEC: "the file is neither an executable of this architecture nor a script with a #! line",
  E2BIG: "process.args and process.env together are too long",
  ENOENT: "it is not in the root file system; or else its interpreter is not: that of its #! line, or ld.so",
};

const LABEL_HINTS = {
  EPERM: "the security module refuses the label: with process.noNewPrivileges its policy must allow that",
};

/** A negative errno as a test compares it: the low 32 bits. */
function minus(errno: number): number {
  return 0x100000000 - errno;
}

/** Files that execvp(3) would try, in order. */
export function candidates(process: Process): string[] {
  const program = process.args[0] ?? "";
  if (program.includes("/")) return [program];
  const path = process.env?.findLast((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH;
  return path.split(":").map((directory) => `${directory === "" ? "." : directory}/${program}`);
}

function step(process: Process, verb: string, rows: readonly Row[]): InitStep {
  const program = process.args[0] ?? "";
  return {
    on: "init",
    field: PROGRAM_FIELD,
    about: `${verb} ${program}`,
    path: program,
    rows,
    hints: isLabelled(process) ? { ...HINTS, ...LABEL_HINTS } : HINTS,
  };
}

/** Whether PATH is searched: not for what has a slash in it. */
function isSearched(process: Process): boolean {
  return process.args[0]?.includes("/") !== true;
}

/**
 * Ends a search along PATH, at the label of a candidate that there is not: the first file that is there and must not be
 * executed wins over all that are not there.
 */
function searchEnd(files: readonly string[], name: string, missing: string): Row[] {
  const failure = (index: number) => `${name}.denied ${index}`;
  const [first, ...others] = files.map((_, index) =>
    row("test", [slot(`${name}.no ${index}`), 1, 1], { onZero: failure(index) }),
  );
  return [
    ...(first === undefined ? [] : [{ ...first, label: `${name} ${files.length}` }, ...others]),
    row("fail", [-ERRNO.ENOENT, { label: missing }]),
    ...files.map((_, index) =>
      row("fail", [-ERRNO.EACCES, { label: `${name} ${index}` }], { label: failure(index) }),
    ),
  ];
}

/** Notes that a candidate is there and must not be executed. */
function denied(name: string, index: number): Row {
  return row("test", [1, 1, 0], { store: `${name}.no ${index}`, label: `${name}.no ${index}` });
}

/** Looks the program up as the user that it will run as. */
export function lookupStep(process: Process): InitStep {
  const files = candidates(process);
  const isSearch = isSearched(process);
  const rows = files.flatMap((file, index): Row[] => {
    const label = `lookup ${index}`;
    const isFile = `lookup.file ${index}`;
    const look = [AT_FDCWD, file, X_OK, AT_EACCESS];
    // A directory may be executed too, as far as its mode goes. With a dot behind it, it is still there.
    const folder = row("faccessat2", [AT_FDCWD, `${file}/.`, F_OK, 0], {
      allow: "ENOTDIR",
      onError: "found",
      label: isFile,
    });
    if (!isSearch) {
      const fails = row("fail", [-ERRNO.EACCES, { label }]);
      return [row("faccessat2", look, { label, onZero: isFile }), folder, fails];
    }
    return [
      row("faccessat2", look, { store: "lookup", allow: "any", label, onZero: isFile }),
      row("test", [slot("lookup"), WORD, minus(ERRNO.EACCES)], { onZero: `lookup.no ${index}` }),
      jump(`lookup ${index + 1}`),
      folder,
      denied("lookup", index),
    ];
  });
  if (isSearch) rows.push(...searchEnd(files, "lookup", "lookup 0"));
  return step(process, "look up", [...rows, row("getpid", [], { label: "found" })]);
}

/** Of variables that are given twice, the last one counts (as in runc): getenv(3) would find the first. */
export function lastValues(entries: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of entries) byName.set(entry.split("=", 1)[0] ?? "", entry);
  return [...byName.values()];
}

/**
 * execve of the candidates in turn: EACCES is remembered and wins over ENOENT, everything else ends the search. On
 * ENOENT the init looks whether it is the file that is missing, or its interpreter; where a filter is loaded already
 * that does not let it look (`looks` is false), it cannot tell.
 */
export function executeStep(process: Process, looks: boolean): InitStep {
  const files = candidates(process);
  const isSearch = isSearched(process);
  const argv = { words: [...process.args, 0] };
  const envp = { words: [...lastValues(process.env ?? []), 0] };
  const missing = (index: number) => (looks ? `execute.gone ${index}` : `execute ${index}`);
  const rows = files.flatMap((file, index): Row[] => {
    const label = `execute ${index}`;
    const next = `execute ${index + 1}`;
    const there = `execute.there ${index}`;
    const on = (errno: number, onZero: string) =>
      row("test", [slot("execute"), WORD, minus(errno)], { onZero });
    const look = [AT_FDCWD, file, F_OK, 0];
    return [
      row("execve", [file, argv, envp], { store: "execute", allow: "any", label }),
      on(ERRNO.ENOENT, looks ? missing(index) : next),
      ...(isSearch ? [on(ERRNO.ENOTDIR, next), on(ERRNO.EACCES, `execute.no ${index}`)] : []),
      row("fail", [slot("execute"), { label }], { label: there }),
      ...(looks
        ? [row("faccessat2", look, { label: missing(index), allow: "any", onError: next, onZero: there })]
        : []),
      ...(isSearch ? [denied("execute", index)] : []),
    ];
  });
  const end = isSearch
    ? searchEnd(files, "execute", missing(0))
    : [row("fail", [-ERRNO.ENOENT, { label: missing(0) }], { label: "execute 1" })];
  return step(process, looks ? "execute" : BLIND, [...rows, ...end]);
}
