// Containers on disk: names are taken once, whoever comes first; what a dead process left is not in the way.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  claimContainer,
  containerDirectory,
  findContainer,
  listRecords,
  readRecord,
  releaseContainer,
  updateRecord,
  writeRecord,
} from "../../../src/engine/containers.ts";
import { checkName, NAME_PATTERN, randomID, randomName } from "../../../src/engine/names.ts";
import type { ContainerRecord } from "../../../src/engine/record.ts";

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true });
});

function newStore(): string {
  const root = mkdtempSync(join(tmpdir(), "ctr-bun-store-"));
  roots.push(root);
  return root;
}

const record = (id: string, name: string, created = "2026-01-01T00:00:00.000Z"): ContainerRecord => ({
  version: 1,
  id,
  name,
  created,
  image: { reference: "x", id: "sha256:0", manifest: "sha256:1" },
  snapshotter: "overlay",
  platform: "linux/amd64",
  config: {
    hostname: "h",
    user: "",
    env: [],
    entrypoint: undefined,
    cmd: ["sh"],
    workingDir: "/",
    labels: {},
    stopSignal: undefined,
    tty: false,
    interactive: false,
  },
  host: {
    network: "none",
    autoRemove: false,
    init: false,
    privileged: false,
    readonlyRoot: false,
    capAdd: [],
    capDrop: [],
    securityOpt: [],
    binds: [],
    tmpfs: [],
    dns: [],
    extraHosts: [],
    memory: 0,
    memorySwap: 0,
    cpuQuota: 0,
    pidsLimit: 0,
  },
  mounts: [],
  state: {
    status: "created",
    pid: 0,
    startedAt: undefined,
    finishedAt: undefined,
    exitCode: 0,
    oomKilled: false,
    error: "",
  },
});

function make(store: string, name?: string): ContainerRecord {
  const id = randomID();
  const made = record(id, claimContainer(store, id, name, "overlay").name);
  writeRecord(store, made);
  return made;
}

describe("names", () => {
  test("are taken once", () => {
    const store = newStore();
    const first = make(store, "web");
    expect(() => make(store, "web")).toThrow(
      expect.objectContaining({
        code: "NAME_IN_USE",
        message: expect.stringContaining(first.id.slice(0, 12)),
      }),
    );
    expect(listRecords(store)).toHaveLength(1);
  });

  test("are free again after rm", () => {
    const store = newStore();
    const { id } = make(store, "web");
    releaseContainer(store, id, "web");
    expect(existsSync(containerDirectory(store, id))).toBe(false);
    expect(make(store, "web").name).toBe("web");
  });

  test("that a process left behind when it was killed are free", () => {
    const store = newStore();
    const { id } = make(store, "web");
    rmSync(containerDirectory(store, id), { recursive: true });
    const { id: second } = make(store, "web");
    releaseContainer(store, id, "web");
    expect(findContainer(store, "web").id).toBe(second);
  });

  test("of our own making are names, and differ", () => {
    for (let tries = 0; tries < 100; tries++) expect(checkName(randomName(tries))).toMatch(NAME_PATTERN);
    const store = newStore();
    const names = Array.from({ length: 60 }, () => make(store).name);
    expect(new Set(names).size).toBe(60);
  });

  test("that would lead elsewhere are refused", () => {
    for (const text of ["", "a", "../x", "a/b", ".lock", "a b", "-x", "x".repeat(256)]) {
      expect(() => checkName(text)).toThrow("is not a name");
    }
    expect(checkName("/web")).toBe("web");
  });

  test("are taken once by many processes at the same time", async () => {
    const store = newStore();
    const script = `
      const { claimContainer } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/engine/containers.ts"))});
      const { randomID } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/engine/names.ts"))});
      let taken = 0;
      for (let n = 0; n < 20; n++) try { claimContainer(${JSON.stringify(store)}, randomID(), "name-" + n, "overlay"); taken++; } catch {}
      console.log(taken);`;
    const counts = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
        return Number(await new Response(child.stdout).text());
      }),
    );
    expect(counts.reduce((sum, each) => sum + each, 0)).toBe(20);
  });
});

describe("containers", () => {
  test("are found by name, ID and the start of an ID", () => {
    const store = newStore();
    const { id } = make(store, "web");
    for (const text of ["web", "/web", id, id.slice(0, 12), id.slice(0, 3)]) {
      expect(findContainer(store, text).id).toBe(id);
    }
  });

  test("that are not there are told in Docker's words", () => {
    const store = newStore();
    expect(() => findContainer(store, "ghost")).toThrow("No such container: ghost");
    expect(() => findContainer(store, "../names")).toThrow("No such container");
    expect(() => findContainer(join(store, "nowhere"), "x")).toThrow("No such container");
  });

  test("whose ID is not told apart are not guessed", () => {
    const store = newStore();
    for (const rest of ["a", "b"]) {
      const id = `ab${rest.repeat(62)}`;
      writeRecord(store, record(id, claimContainer(store, id, undefined, "overlay").name));
    }
    expect(() => findContainer(store, "ab")).toThrow(expect.objectContaining({ code: "AMBIGUOUS" }));
    expect(findContainer(store, "aba").id).toStartWith("aba");
  });

  test("are listed newest first", () => {
    const store = newStore();
    for (const day of [2, 3, 1]) {
      const id = randomID();
      const name = claimContainer(store, id, `day-${day}`, "overlay").name;
      writeRecord(store, record(id, name, `2026-01-0${day}T00:00:00.000Z`));
    }
    expect(listRecords(store).map(({ name }) => name)).toEqual(["day-3", "day-2", "day-1"]);
  });

  test("are open to no one else, and changed as a whole", () => {
    const store = newStore();
    const made = make(store);
    expect(statSync(containerDirectory(store, made.id)).mode & 0o777).toBe(0o700);
    updateRecord(store, made.id, (old) => ({ ...old, state: { ...old.state, exitCode: 3 } }));
    expect(readRecord(store, made.id)?.state.exitCode).toBe(3);
    releaseContainer(store, made.id, made.name);
    expect(updateRecord(store, made.id, (old) => old)).toBeUndefined();
  });
});
