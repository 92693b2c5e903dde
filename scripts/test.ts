// Everything that `npm test` does once bun is there: build, check, test images, then one group of tests after the
// other. Ends with a table of times and, as its last line, the counts. Installing is test.mjs's; the tests are in test/.

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Counts, type Group, groups, runGroup } from "./lib/groups.ts";
import { asGroup, endGroups } from "./lib/process-group.ts";
import { onEnd } from "./lib/run.ts";

const root = resolve(import.meta.dir, "..");
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const table: string[] = [];

function row(name: string, milliseconds: number, about: string): void {
  const minutes = Math.floor(milliseconds / 60_000);
  const seconds = ((milliseconds % 60_000) / 1000).toFixed(1);
  table.push(`  ${name.padEnd(9)} ${`${minutes}:${seconds.padStart(4, "0")}`.padStart(8)}  ${about}`);
}

function add(counts: Counts): void {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}

/** Runs one step of the set-up as a command; its output is shown if it takes part in a failure. */
async function step(name: string, about: string, command: string[]): Promise<boolean> {
  console.log(`== ${name}: ${about}`);
  const started = performance.now();
  const child = asGroup(
    Bun.spawn(command, { cwd: root, stdin: "ignore", stdout: "inherit", stderr: "inherit", detached: true }),
  );
  const passed = (await child.exited) === 0;
  row(name, performance.now() - started, passed ? "" : "failed");
  return passed;
}

/** Prints the table and the counts, and ends with the exit code that they stand for. */
function end(): never {
  if (total.passed + total.failed === 0) {
    console.log("no test ran");
    total.failed = 1;
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(["", ...table, "", `${total.passed} passed, ${total.failed} failed${skipped}`].join("\n"));
  process.exit(total.failed > 0 ? 1 : 0);
}

function chosen(names: string[]): readonly Group[] {
  for (const name of names) {
    if (groups.some((group) => group.name === name)) continue;
    console.log(`no group is called ${name}; there are ${groups.map((group) => group.name).join(", ")}`);
    total.failed += 1;
    end();
  }
  return names.length === 0 ? groups : groups.filter((group) => names.includes(group.name));
}

onEnd(async () => {
  await endGroups();
  console.log("interrupted");
  total.failed += 1;
  end();
});

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { filter: { type: "string" } },
});
const toRun = chosen(positionals);
const bun = process.execPath;
row("set-up", Number(process.env.CTR_BUN_SETUP_SECONDS ?? 0) * 1000, "packages of Debian and npm");

const needs = new Set(toRun.flatMap((group) => group.needs));
let ready = await step("build", "dist/ctr-bun", [bun, "scripts/build.ts"]);
if (needs.has("images")) {
  ready = (await step("images", "test images, cached in build/images", [bun, "scripts/images.ts"])) && ready;
}
if (needs.has("vm")) {
  ready =
    (await step("kernel", "for the virtual machine, cached in build/vm", [bun, "scripts/vm/kernel.ts"])) &&
    ready;
}
if (!ready) {
  total.failed += 1;
  end();
}

if (positionals.length === 0) {
  const passed = await step("check", "types, lint, format, import rules", [
    "npm",
    "run",
    "--silent",
    "check",
  ]);
  add(passed ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 });
}
for (const group of toRun) {
  console.log(`== ${group.name}: ${group.about}`);
  const started = performance.now();
  const counts = await runGroup(root, group, values.filter);
  const took = performance.now() - started;
  const over = took > group.budget * 60_000 ? `, over its ${group.budget} min` : "";
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  row(group.name, took, `${counts.passed} passed, ${counts.failed} failed${skipped}${over}`);
  add(counts);
}
end();
