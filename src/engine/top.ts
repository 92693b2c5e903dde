/**
 * `top`: the processes of a container. Nothing of the container is executed and none of its namespaces is entered: all
 * is read from the host's procfs, and by the host's own ps(1) where its options are asked for.
 * Not here: columns (runtime/process-columns.ts).
 */
import { fail } from "../error.ts";
import { containerProcesses } from "../runtime/lifecycle.ts";
import { type Column, FULL_COLUMNS, PODMAN_COLUMNS, PS_COLUMNS } from "../runtime/process-columns.ts";
import { processCells, type UserFiles } from "../runtime/process-table.ts";
import { processLines } from "../runtime/processes.ts";
import { containerDirectory } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { userFiles } from "./image-files.ts";
import { findRunning } from "./status.ts";

/** A heading and a row for each process; or the lines of ps(1). */
export type Processes =
  | { readonly heading: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly lines: string };

/** Which columns are asked for: our own, or what only ps(1) can make. */
export type Wanted =
  | { readonly columns: readonly Column[]; readonly inside: boolean }
  | { readonly options: readonly string[] };

/** @throws CtrError NOT_FOUND, NOT_RUNNING; USAGE for a column that there is not. */
export function containerTop(engine: Engine, text: string, words: readonly string[]): Processes {
  const record = findRunning(engine, text);
  const wanted = wantedColumns(words);
  const pids = containerProcesses(engine.stateRoot, record.id, engine.registry);
  if ("options" in wanted) return { lines: processLines(pids, wanted.options) };
  const { columns, inside } = wanted;
  const files = inside
    ? filesOf(`${containerDirectory(engine.settings.store, record.id)}/rootfs`)
    : undefined;
  return { heading: columns.map(({ heading }) => heading), rows: processCells(pids, columns, files) };
}

/** The container may have made its files unusable: its IDs are then shown as numbers. */
function filesOf(rootfs: string): UserFiles {
  try {
    return userFiles(rootfs);
  } catch {
    return { passwd: undefined, group: undefined };
  }
}

/**
 * Reads what stands behind the container: nothing, or `-ef`, for the columns of `ps -ef`; `-eo pid,user,args` for
 * columns by their names in ps(1), as the host sees them; `pid user args` or `pid,user,args` for Podman's, as the
 * container does; anything else is for the host's ps(1).
 */
export function wantedColumns(words: readonly string[]): Wanted {
  if (words.length === 0 || (words.length === 1 && /^-?(ef|fe)$/.test(words[0] ?? "")))
    return { columns: FULL_COLUMNS, inside: false };
  if (words.every((word) => !word.startsWith("-"))) return podmanColumns(words) ?? { options: words };
  const listed = psColumns(words);
  return listed === undefined ? { options: words } : { columns: listed, inside: false };
}

/** Podman's; undefined where these are no names of columns but options of ps(1) without a dash: `aux`. */
function podmanColumns(words: readonly string[]): Wanted | undefined {
  const names = words.flatMap((word) => word.split(",")).filter((name) => name !== "");
  const columns = names.map((name) => own(PODMAN_COLUMNS, name));
  const unknown = names.find((_, at) => columns[at] === undefined);
  if (unknown === undefined) return { columns: columns.filter((each) => each !== undefined), inside: true };
  if (words.length === 1 && !unknown.includes(",") && columns.every((each) => each === undefined))
    return undefined;
  throw fail({
    code: "USAGE",
    message: `there is no column ${JSON.stringify(unknown)}`,
    hint: `columns are ${Object.keys(PODMAN_COLUMNS).sort().join(", ")}`,
    exitCode: 125,
  });
}

/** The list of `-eo LIST`, `-e -o LIST`, `-o LIST`, also with `-A`; undefined for what takes ps(1) itself. */
function psColumns(words: readonly string[]): Column[] | undefined {
  const names: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const [, , list] = /^-([eA]*)o(.*)$/.exec(words[at] ?? "") ?? [];
    if (list !== undefined) names.push(...(list === "" ? (words[++at] ?? "") : list).split(","));
    else if (!/^-[eA]+$/.test(words[at] ?? "")) return undefined;
  }
  const columns = names.flatMap((name) => own(PS_COLUMNS, name) ?? []);
  return names.length > 0 && columns.length === names.length ? columns : undefined;
}

function own(columns: Readonly<Record<string, Column>>, name: string): Column | undefined {
  return Object.hasOwn(columns, name) ? columns[name] : undefined;
}
