// Which of the two levels a command line is for. main.ts runs as soon as it is loaded, so it is asked as a whole.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const main = resolve(import.meta.dir, "../../../src/main.ts");
let store: string;
beforeAll(() => {
  store = mkdtempSync(join(tmpdir(), "ctr-bun-level-"));
});
afterAll(() => rmSync(store, { recursive: true, force: true }));

function words(...argv: string[]): string {
  const env = { ...process.env, CTR_BUN_STORE: store };
  const { stdout, stderr } = Bun.spawnSync([process.execPath, main, ...argv], { env, stdin: "ignore" });
  return stdout.toString() + stderr.toString();
}

test("--version has runc's lines", () => {
  expect(words("--version")).toMatch(/^ctr-bun version \S+\ncommit: \S+\nspec: 1\.\d+\.\d+\n/);
});

test("run with --bundle among its own flags is the OCI level's, whatever stands behind the image", () => {
  expect(words("run", "--pid-file", "x", "--bundle", "/nowhere", "id")).toContain("config.json not found");
  expect(words("run", "-b", "/nowhere", "id")).toContain("config.json not found");
  expect(words("run", "--pull", "never", "image", "--bundle", "/nowhere")).not.toContain(
    "config.json not found",
  );
});

test("oci, and runc's global options, mean the OCI level", () => {
  expect(words("oci", "state", "nope")).toContain("container does not exist");
  expect(words("--root", join(store, "state"), "kill", "nope")).toContain("container does not exist");
});

test("verbs that only the OCI level has are its own", () => {
  for (const verb of ["pause", "resume"]) expect(words(verb, "nope")).toContain("container does not exist");
});

test("update of what no container of the OCI level is, is the engine's; with runc's --resources it is not", () => {
  expect(words("update", "--memory", "64m", "nope")).toContain("No such container: nope");
  expect(words("update", "--memory", "64m", "--resources", "/nowhere", "nope")).toContain("/nowhere");
  expect(words("update", "-r=/nowhere", "nope")).not.toContain("unknown flag");
  expect(words("oci", "update", "--memory", "64m", "nope")).toContain("container does not exist");
});

test("standard output that takes nothing is an error", () => {
  const { exitCode, stderr } = Bun.spawnSync([
    "sh",
    "-c",
    `"${process.execPath}" "${main}" oci help > /dev/full`,
  ]);
  expect(exitCode).toBe(1);
  expect(stderr.toString()).toContain("cannot write to standard output: no space left on device");
});
