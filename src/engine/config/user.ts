/**
 * `USER` of an image and `-u` of a person, `NAME|UID[:GROUP|GID]`, looked up in the image's own /etc/passwd and
 * /etc/group (passwd(5), group(5)). Text in, IDs out: strict, as a wrong reading here makes someone root.
 * Not here: reading the files, which are hostile (runtime/root-file.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import { fileID, MAX_ID, passwdEntries } from "../../runtime/root-file.ts";

/** What a group file of a mebibyte could list; the kernel takes 65536 (NGROUPS_MAX). */
const MAX_GROUPS = 65536;

/** Who the program runs as. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** All groups that are set with setgroups(2): always the user's own too. */
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** Texts of the image's files; undefined where it has none. */
export interface UserFiles {
  readonly passwd: string | undefined;
  readonly group: string | undefined;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * @param text `""` is root.
 * @param field where it was given: `--user`, `image config.User`.
 * @throws CtrError INVALID_USER, NO_USER, NO_GROUP.
 */
export function resolveUser(text: string, files: UserFiles, field: string): ResolvedUser {
  const [userPart = "", groupPart, ...more] = text.split(":");
  if (more.length > 0) throw badUser(field, text, "has more than one colon");
  const known = passwdEntries(files.passwd ?? "");
  const wanted = userPart === "" ? "0" : userPart;
  const number = idOf(wanted, text, field);
  const entry =
    known.find(({ name }) => name === wanted) ??
    (number === undefined ? undefined : known.find(({ uid }) => uid === number));
  const uid = entry?.uid ?? number;
  if (uid === undefined) throw missing("NO_USER", "user", wanted, "/etc/passwd", files.passwd, field);

  const groups = groupEntries(files.group ?? "");
  const home = entry?.home || "/";
  if (groupPart !== undefined && groupPart !== "") {
    const gid = groups.find(({ name }) => name === groupPart)?.gid ?? idOf(groupPart, text, field);
    if (gid === undefined) throw missing("NO_GROUP", "group", groupPart, "/etc/group", files.group, field);
    return { uid, gid, additionalGids: [gid], home };
  }
  const gid = entry?.gid ?? 0;
  const member = entry === undefined ? [] : groups.filter(({ members }) => members.includes(entry.name));
  const all = [...new Set([gid, ...member.map((group) => group.gid)])];
  if (all.length > MAX_GROUPS) throw badUser(field, text, `is in more than ${MAX_GROUPS} groups`);
  return { uid, gid, additionalGids: all, home };
}

/** A number of plain digits; undefined for a name. Out of range is an error, not a name. */
function idOf(part: string, whole: string, field: string): number | undefined {
  if (!/^\d+$/.test(part)) return undefined;
  const id = Number(part);
  if (id > MAX_ID) throw badUser(field, whole, `has an ID above ${MAX_ID}`);
  return id;
}

function groupEntries(text: string): GroupEntry[] {
  const entries: GroupEntry[] = [];
  for (const line of text.split("\n")) {
    const [name = "", , gid = "", members = ""] = line.trimEnd().split(":");
    const id = fileID(gid);
    if (name === "" || name.startsWith("#") || id === undefined) continue;
    entries.push({ name, gid: id, members: members.split(",").map((member) => member.trim()) });
  }
  return entries;
}

function badUser(field: string, text: string, why: string): CtrError {
  return fail({
    code: "INVALID_USER",
    field,
    message: `user ${JSON.stringify(text)} ${why}`,
    hint: "write NAME, UID, NAME:GROUP or UID:GID",
  });
}

function missing(
  code: "NO_USER" | "NO_GROUP",
  what: string,
  name: string,
  path: string,
  file: string | undefined,
  field: string,
): CtrError {
  return fail({
    code,
    field,
    message: `the image has no ${what} ${JSON.stringify(name)}${file === undefined ? `: it has no ${path}` : ""}`,
    path,
    hint: `use one that its ${path} lists, or a number: -u 1000`,
  });
}
