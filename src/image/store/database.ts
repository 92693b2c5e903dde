/**
 * The store's SQLite database: facts that can be made again from the layout and the snapshots, kept because reading
 * every manifest and config for a list would be slow. It is opened on first use, and made anew when it is damaged.
 * Not here: names of images, which are in index.json alone (layout.ts), so that the two cannot disagree.
 */
import { Database } from "bun:sqlite";
import { fail } from "../../error.ts";
import { O_CREAT, O_RDWR } from "../../kernel/constants.ts";
import { open, tryUnlink, withFd } from "../../kernel/file.ts";

const SCHEMA_VERSION = 1;
/** `facts`: by digest of the manifest, and so true for ever. `layers`: what was committed, by driver. */
const SCHEMA = `
  CREATE TABLE facts (
    manifest TEXT PRIMARY KEY,
    image TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE layers (
    snapshotter TEXT NOT NULL,
    chain_id TEXT NOT NULL,
    parent TEXT,
    diff_id TEXT NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    committed_at TEXT NOT NULL,
    PRIMARY KEY (snapshotter, chain_id)
  ) STRICT, WITHOUT ROWID;
`;

/** Opens the database, made if it is missing, and emptied if it is damaged or of another version. */
export function openDatabase(path: string): Database {
  try {
    return openOnce(path);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    for (const suffix of ["", "-wal", "-shm"]) tryUnlink(`${path}${suffix}`);
    return openOnce(path);
  }
}

function isDamaged(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB";
}

function openOnce(path: string): Database {
  // SQLite gives its other files the mode of this one.
  withFd(open(path, O_RDWR | O_CREAT, 0o600), () => undefined);
  const database = new Database(path, { create: true, readwrite: true, strict: true });
  try {
    database.run("PRAGMA busy_timeout = 10000");
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    migrate(database, path);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: Database, path: string): void {
  if (versionOf(database) === SCHEMA_VERSION) return;
  const upgrade = database.transaction(() => {
    const version = versionOf(database);
    if (version > SCHEMA_VERSION) {
      throw fail({
        code: "UNSUPPORTED",
        message: `the store's database is of version ${version}, and this ctr-bun knows up to ${SCHEMA_VERSION}`,
        path,
        hint: "a newer ctr-bun has used this store: use that one",
      });
    }
    if (version === 0) database.run(SCHEMA);
    database.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  });
  upgrade.immediate();
}

function versionOf(database: Database): number {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return row?.user_version ?? 0;
}
