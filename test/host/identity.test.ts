// Who a container is: an ID in whatever form somebody gives it, and a process that is not taken for another one that has
// its number.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle } from "../support/bundle.ts";
import { cgroupsOf, leftAfter, look } from "../support/left.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  bundle.configure(["sleep", "100"]);
});
afterAll(() => bundle.dispose());

const VERBS: readonly ((id: string) => string[])[] = [
  (id) => ["create", "--bundle", bundle.path, id],
  (id) => ["delete", "--force", id],
  (id) => ["run", "-d", "--bundle", bundle.path, id],
  ...["start", "state", "kill", "delete", "pause", "resume", "ps"].map((verb) => (id: string) => [verb, id]),
  (id) => ["exec", id, "true"],
  (id) => ["update", "--pids-limit", "5", id],
];

/** Those that lead somewhere, which might be taken away. */
const PATHS = ["", ".", "..", "/", "../victim", "a/../../victim", "a/b", "/etc"];
const OTHERS = [
  "a\\b",
  "a b",
  "a\nb",
  "a\tb",
  "é",
  "\u202ea",
  "$(id)",
  "a;b",
  "a*",
  "%2e%2e",
  "~",
  "a:b",
  "a@b",
];
const LONG = "x".repeat(1025);

/** All of them for create, whose ID becomes a directory; the paths for delete; for the others that they look at all. */
function formsFor(at: number): readonly string[] {
  if (at === 0) return [...PATHS, ...OTHERS, LONG];
  return at === 1 ? [...PATHS, LONG] : ["../victim"];
}

describe("an ID of a hostile form", () => {
  test("is refused by every verb, and nothing is made or taken away", async () => {
    const victim = join(bundle.path, "victim");
    mkdirSync(victim, { recursive: true });
    writeFileSync(join(victim, "file"), "");
    mkdirSync(bundle.state, { recursive: true });
    const before = () => [bundle.path, bundle.state, victim].map((path) => readdirSync(path).toSorted());
    const all = before();
    const cgroups = cgroupsOf("").toSorted();
    const faults = await Promise.all(
      VERBS.map(async (verb, at) => {
        const found: string[] = [];
        for (const form of formsFor(at)) {
          const child = Bun.spawn([CTR_BUN, "--root", bundle.state, ...verb(form)], {
            stdio: ["ignore", "pipe", "pipe"],
          });
          const [code, out, err] = [await child.exited, await child.stdout.text(), await child.stderr.text()];
          if (code === 0 || out !== "" || !err.includes("invalid container id"))
            found.push(`${verb(form).join(" ")}: ${code} ${out} ${err}`);
        }
        return found;
      }),
    );
    expect(faults.flat()).toEqual([]);
    expect(before()).toEqual(all);
    expect(cgroupsOf("").filter((path) => !cgroups.includes(path) && !path.includes("/test-"))).toEqual([]);
  });

  test("that is odd and allowed names one container and no other", async () => {
    for (const id of ["...", `-${freshID()}`, "state.json", `${freshID()}${"x".repeat(200)}`]) {
      const tail = id.startsWith("-") ? ["--", id] : [id];
      expect({ id, ...bundle.ctr("create", "--bundle", bundle.path, ...tail) }).toEqual({
        id,
        code: 0,
        out: "",
        err: "",
      });
      expect(JSON.parse(bundle.ctr("state", ...tail).out)).toMatchObject({ id, status: "created" });
      expect(bundle.ctr("start", ...tail).code).toBe(0);
      expect(bundle.ctr("delete", "--force", ...tail)).toEqual({ code: 0, out: "", err: "" });
      expect(await leftAfter(bundle, id, new Map())).toEqual([]);
    }
  });

  test("that is a file's name in every cgroup, or too long for a directory, is an error that leaves nothing", async () => {
    for (const id of ["cgroup.procs", "tasks", `${freshID()}${"x".repeat(300)}`]) {
      const { code, err } = bundle.ctr("create", "--bundle", bundle.path, id);
      expect({ id, code }).toEqual({ id, code: 1 });
      expect(err).toMatch(/ENAMETOOLONG|cgroup/);
      expect(readdirSync(bundle.state)).toEqual([]);
    }
  });
});

describe("a process that has the number of a container's", () => {
  /** A container whose process is gone, and whose number is now somebody else's. */
  async function taken(work: (id: string, stranger: number) => void | Promise<void>): Promise<void> {
    const id = freshID();
    const stranger = Bun.spawn(["sleep", "1000"]);
    try {
      expect(bundle.ctr("run", "-d", "--bundle", bundle.path, id).code).toBe(0);
      const { pid } = JSON.parse(bundle.ctr("state", id).out);
      const file = join(bundle.state, id, "state.json");
      const record = JSON.parse(readFileSync(file, "utf8"));
      process.kill(pid, "SIGKILL");
      while (![undefined, "Z"].includes(look(pid)?.state)) await Bun.sleep(5);
      writeFileSync(file, JSON.stringify({ ...record, pid: stranger.pid }));
      await work(id, stranger.pid);
      expect(look(stranger.pid)?.state).toBe("S");
    } finally {
      stranger.kill("SIGKILL");
      await stranger.exited;
      bundle.ctr("delete", "--force", id);
    }
  }

  test("is neither told of, signalled, entered nor waited for", async () => {
    for (const flags of [[], ["--force"]]) {
      await taken(async (id) => {
        expect(JSON.parse(bundle.ctr("state", id).out)).toMatchObject({ status: "stopped", pid: 0 });
        expect(bundle.ctr("kill", id, "KILL").err).toContain("container not running");
        expect(bundle.ctr("exec", id, "true").err).toContain("cannot exec in a stopped container");
        expect(bundle.ctr("pause", id).err).toContain("container not running");
        expect(bundle.ctr("start", id).err).toContain("cannot start a container that has stopped");
        const began = performance.now();
        expect(bundle.ctr("delete", ...flags, id)).toEqual({ code: 0, out: "", err: "" });
        // A process that does not end is waited for for ten seconds.
        expect(performance.now() - began).toBeLessThan(9000);
        expect(await leftAfter(bundle, id, new Map())).toEqual([]);
      });
    }
  });

  test("is not taken for the ctr-bun that makes it", async () => {
    const id = freshID();
    const stranger = Bun.spawn(["sleep", "1000"]);
    try {
      mkdirSync(join(bundle.state, id));
      const note = { pid: stranger.pid, started: "1", cgroupPaths: {}, cgroupDriver: undefined };
      writeFileSync(join(bundle.state, id, "creating.json"), JSON.stringify(note));
      expect(bundle.ctr("delete", id)).toEqual({ code: 0, out: "", err: "" });
      expect(look(stranger.pid)?.state).toBe("S");
    } finally {
      stranger.kill("SIGKILL");
      await stranger.exited;
      rmSync(join(bundle.state, id), { recursive: true, force: true });
    }
  });
});
