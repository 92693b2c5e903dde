/**
 * Changing the limits of a running container as a whole or not at all: what each file held is kept, and written back
 * when a later one is refused. Not here: which files there are, and in which order they fit (one file a controller).
 */
import { asCtrError, fail } from "../../src/error.ts";
import { readTextIfAny, tryWriteFile } from "../../src/kernel/file.ts";
import { type Journal, type Setting, settingError, trySetting } from "./setting.ts";

/** Root may open a file that only takes orders, and is refused the read; others may not open it. */
const UNREADABLE: ReadonlySet<string> = new Set(["EINVAL", "EOPNOTSUPP", "EACCES"]);

interface Before {
  readonly path: string;
  /** One write(2) each. */
  readonly lines: readonly string[];
}

/**
 * Runs `change`. When it throws, everything that it wrote is written back in reverse, so that each limit passes through
 * values that fitted the others on the way there; what does not go back is named in the error's hint.
 */
export function changeLimits(change: (journal: Journal) => void): void {
  const written: Before[] = [];
  const attempt = (directory: string, setting: Setting): number => {
    const before = lookBefore(directory, setting);
    const errno = trySetting(directory, setting);
    if (errno === 0 && before !== undefined) written.push(before);
    return errno;
  };
  const set = (directory: string, setting: Setting): void => {
    const errno = attempt(directory, setting);
    if (errno !== 0) throw settingError(directory, setting, errno);
  };
  try {
    change({ attempt, set });
  } catch (thrown) {
    const stuck = written.reverse().filter((before) => !writeBack(before));
    throw withStuck(
      thrown,
      stuck.map(({ path }) => path),
    );
  }
}

/** The error of a change that failed, with what could not be put back in its hint. */
export function withStuck(thrown: unknown, stuck: readonly string[]): unknown {
  if (stuck.length === 0) return thrown;
  const error = asCtrError(thrown);
  const { code, message, field, step, syscall, path, errno } = error;
  const left = `${stuck.join(", ")} could not be put back to what it was`;
  const hint = error.hint === undefined ? left : `${error.hint}; ${left}`;
  return fail({ code, message, field, step, syscall, path, errno, hint, cause: error });
}

function writeBack({ path, lines }: Before): boolean {
  return lines.every((line) => tryWriteFile(path, line) === 0);
}

/** What the file that the setting is for holds; undefined where there is none. */
function lookBefore(directory: string, { file, data, instead }: Setting): Before | undefined {
  for (const one of instead === undefined ? [{ file, data }] : [{ file, data }, instead]) {
    const path = `${directory}/${one.file}`;
    const text = textNow(path);
    if (text !== undefined) return { path, lines: linesBack(one.file, one.data, text) };
  }
  return undefined;
}

/** Undefined where there is nothing to put back: no such file, or one that only takes orders (cgroup.kill). */
function textNow(path: string): string | undefined {
  try {
    return readTextIfAny(path);
  } catch (thrown) {
    if (UNREADABLE.has(asCtrError(thrown).errno ?? "")) return undefined;
    throw thrown;
  }
}

/** What to write so that a file that is given `data` holds `text` again, as far as `data` changes it. */
export function linesBack(file: string, data: string, text: string): string[] {
  const lines = linesOf(text);
  const blank = data.indexOf(" ");
  const key = blank < 0 ? undefined : data.slice(0, blank);
  const none = key === undefined ? undefined : lineForNone(file, key);
  if (none !== undefined) return [lines.find((line) => line.startsWith(`${key} `)) ?? none];
  const [first = ""] = lines;
  // memory.oom_control and io.bfq.weight name in their first line what a bare number sets.
  if (/^-?\d+$/.test(data) && /^[a-z_]+ \d+$/.test(first)) return [first.slice(first.indexOf(" ") + 1)];
  return wholeText(text);
}

/** What to write, one write(2) each, so that a file holds all of `text`. A write of nothing would not reach the kernel. */
export function wholeText(text: string): string[] {
  const lines = linesOf(text);
  return lines.length === 0 ? ["\n"] : lines;
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** In files with a line for each device: what gives one back that had no line. */
function lineForNone(file: string, key: string): string | undefined {
  if (file === "net_prio.ifpriomap") return `${key} 0`;
  if (file === "rdma.max") return `${key} hca_handle=max hca_object=max`;
  if (!/^\d+:\d+$/.test(key)) return undefined;
  if (file === "io.max") return `${key} rbps=max wbps=max riops=max wiops=max`;
  return file.startsWith("blkio.throttle.") ? `${key} 0` : `${key} default`;
}
