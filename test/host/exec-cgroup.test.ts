// exec --cgroup: a further program in a cgroup below the container's, on this host's hierarchies.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";

let bundle: Bundle;
let id: string;
/** The container's cgroup in every hierarchy. */
let cgroups: string[];
beforeAll(() => {
  bundle = makeBundle();
  id = freshID();
  bundle.configure(["sleep", "100"]);
  bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
  const record = JSON.parse(readFileSync(join(bundle.state, id, "state.json"), "utf8"));
  cgroups = Object.values(record.cgroupPaths);
});
afterAll(() => {
  bundle.ctr("delete", "--force", id);
  bundle.dispose();
});

/** Cgroups of a program that is executed, one a line. */
function where(...options: string[]): string[] {
  return bundle
    .ctr("exec", ...options, id, "cat", "/proc/self/cgroup")
    .out.trim()
    .split("\n");
}

test("one path is meant for every hierarchy", () => {
  for (const path of cgroups) mkdirSync(join(path, "sub/deeper"), { recursive: true });
  const inside = where();
  expect(inside.length).toBeGreaterThan(1);
  const held = (line: string) => line.endsWith(`/${id}`);
  expect(where("--cgroup", "sub/deeper")).toEqual(
    inside.map((line) => (held(line) ? `${line}/sub/deeper` : line)),
  );
  expect(where("--cgroup", "/")).toEqual(inside);
});

test("a controller's path is meant for that alone", () => {
  for (const path of cgroups) mkdirSync(join(path, "sub"), { recursive: true });
  const changed = where("--cgroup", "pids:sub").filter((line) => line.endsWith("/sub"));
  expect(changed.map((line) => line.split(":")[1])).toEqual(["pids"]);
});

test("one that is not there, or not below, is an error", () => {
  const missing = bundle.ctr("exec", "--cgroup", "missing", id, "true");
  expect(missing.code).toBe(255);
  expect(missing.err).toContain("/missing");
  expect(missing.err).toContain("ENOENT");
  const out = bundle.ctr("exec", "--cgroup", "../..", id, "true");
  expect({ code: out.code, err: out.err.split("\n")[0] }).toEqual({
    code: 255,
    err: "ctr-bun: --cgroup: ../.. is not a sub cgroup path",
  });
});

test("the last process that the pids limit allows can be one that is executed, and it can make no more", () => {
  const full = freshID();
  bundle.configure(["sleep", "100"], ({ linux }) => {
    linux.resources = { pids: { limit: 2 } };
  });
  try {
    bundle.ctr("run", "--detach", "--bundle", bundle.path, full);
    expect(bundle.ctr("exec", full, "sh", "-c", "exec 2>&1; echo in; (:); true").out).toMatch(
      /^in\nsh: can't fork/,
    );
  } finally {
    bundle.ctr("delete", "--force", full);
  }
});
