// Builds dist/ctr-bun: one executable out of src/main.ts, with its version and commit stamped in.
// What is compiled lives in src/ and drivers/; linking the file statically is not done here.

import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { sourceDigest } from "./lib/source-digest.ts";

const root = resolve(import.meta.dir, "..");

/** The commit that is built, with "-dirty" behind it where the work tree differs; empty outside of git. */
function commit(): string {
  const git = Bun.which("git");
  if (git === null) return "";
  const result = Bun.spawnSync(
    [git, "-C", root, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
    {
      stdin: "ignore",
      stderr: "ignore",
    },
  );
  return result.success ? result.stdout.toString().trim() : "";
}

/** Compiles `entry` into the executable `out`; a build that fails leaves an older `out` as it was. */
export async function build(entry: string, out: string): Promise<void> {
  const { version } = await Bun.file(join(root, "package.json")).json();
  mkdirSync(dirname(out), { recursive: true });
  // In a directory of its own, then renamed: builds at the same time each leave a whole file, and one that
  // is running keeps its inode.
  const work = mkdtempSync(join(dirname(out), ".build-"));
  try {
    const result = await Bun.build({
      entrypoints: [entry],
      outdir: work,
      target: "bun",
      format: "esm",
      bytecode: true,
      minify: true,
      // Chunks keep a verb from loading what only others import: about 15 % of start-up. The source map is
      // read only when an error is printed.
      splitting: true,
      sourcemap: "linked",
      define: {
        CTR_BUN_VERSION: JSON.stringify(version),
        CTR_BUN_COMMIT: JSON.stringify(commit()),
        CTR_BUN_SECCOMP: JSON.stringify(await sourceDigest(root, "drivers/seccomp/compile.ts")),
      },
      compile: {
        outfile: join(work, "ctr-bun"),
        // A start is over before compiled code would pay: the engine's long verbs set it back (src/cli/engine.ts).
        jitPolicy: 100,
        // Else the executable would read .env and bunfig.toml of whatever directory it is started in.
        autoloadDotenv: false,
        autoloadBunfig: false,
      },
    });
    for (const log of result.logs) console.error(log);
    if (!result.success) throw new Error(`${entry} does not build`);
    const made = join(work, "ctr-bun");
    chmodSync(made, 0o755);
    renameSync(made, out);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const started = performance.now();
  const out = join(root, "dist/ctr-bun");
  await build(join(root, "src/main.ts"), out);
  const megabytes = (statSync(out).size / 1e6).toFixed(0);
  console.log(
    `built dist/ctr-bun: ${megabytes} MB in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
}
