// Drivers from files: the contract is checked, and a file that others may write is not run.

import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRegistry, type Host } from "../../../src/driver.ts";
import { addUserDrivers } from "../../../src/engine/user-drivers.ts";

const directory = mkdtempSync(join(tmpdir(), "ctr-bun-drivers-"));
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => chmodSync(directory, 0o755));

const uid = process.getuid?.() ?? 0;
const host = {} as Host;
let count = 0;

function driverFile(text: string, mode = 0o644): string {
  const path = join(directory, `driver-${count++}.ts`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const snapshotter = (name: string, ok = true) =>
  `const name: string = ${JSON.stringify(name)};
   export default { kind: "snapshotter", name, probe: () => (${ok} ? { ok: true } : { ok: false, why: "no" }),
     open: (root: string) => ({ name, root }) };`;

function builtin() {
  const registry = createRegistry();
  const ours = {
    kind: "snapshotter",
    name: "overlay",
    probe: () => ({ ok: true }) as const,
  } as const;
  registry.add({ kind: "snapshotter", name: "overlay", load: () => ours });
  return registry;
}

describe("a driver of a user's own", () => {
  test("is found by name, and chosen before ours", async () => {
    const registry = builtin();
    await addUserDrivers(registry, [driverFile(snapshotter("mine"))], uid);
    expect(registry.get("snapshotter", "mine").open("/r") as unknown).toMatchObject({ root: "/r" });
    expect(registry.choose("snapshotter", host).name).toBe("mine");
    expect(registry.get("snapshotter", "overlay").name).toBe("overlay");
    expect(registry.names("snapshotter")).toEqual(["mine", "overlay"]);
  });

  test("that does not work here gives way to ours", async () => {
    const registry = builtin();
    await addUserDrivers(registry, [driverFile(snapshotter("mine", false))], uid);
    expect(registry.choose("snapshotter", host).name).toBe("overlay");
  });

  test("may be one of several in a file", async () => {
    const text = `const one = (name: string) => ({ kind: "seccomp", name, probe: () => ({ ok: true }),
        compile() {}, verdict() {}, readProfile() {}, defaultProfile() {} });
      export default [one("a"), one("b")];`;
    const registry = builtin();
    await addUserDrivers(registry, [driverFile(text)], uid);
    expect(registry.names("seccomp")).toEqual(["a", "b"]);
  });

  test("that is none is refused with what is missing", async () => {
    const cases: [string, string][] = [
      ["export const x = 1;", "has no driver as its default export"],
      ['export default { kind: "toaster", name: "x", probe() {} };', "toaster"],
      ['export default { kind: "seccomp", name: "../x", probe() {} };', "name"],
      ['export default { kind: "seccomp", name: "x" };', "without probe()"],
      ['export default { kind: "seccomp", name: "x", probe() {} };', "without compile()"],
      ['export default { kind: "snapshotter", name: "x", probe() {} };', "without open()"],
      ["this is no program", "cannot be loaded"],
    ];
    for (const [text, words] of cases) {
      await expect(addUserDrivers(builtin(), [driverFile(text)], uid)).rejects.toThrow(words);
    }
    await expect(addUserDrivers(builtin(), [join(directory, "nope.ts")], uid)).rejects.toThrow(
      "no such driver",
    );
    await expect(addUserDrivers(builtin(), [directory], uid)).rejects.toThrow("not a regular file");
  });
});

describe("a driver that others could change", () => {
  const refused = (file: string) =>
    expect(addUserDrivers(builtin(), [file], uid)).rejects.toMatchObject({ code: "UNSAFE_DRIVER" });

  test("by writing the file is refused", async () => {
    await refused(driverFile(snapshotter("mine"), 0o666));
    await refused(driverFile(snapshotter("mine"), 0o664));
  });

  test("by writing its folder is refused, a sticky one too", async () => {
    const file = driverFile(snapshotter("mine"));
    for (const mode of [0o777, 0o775, 0o1777]) {
      chmodSync(directory, mode);
      await refused(file);
    }
  });

  test("by replacing a folder above is refused", async () => {
    const inner = join(directory, "open", "inner");
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, "d.ts"), snapshotter("mine"));
    chmodSync(join(directory, "open"), 0o777);
    await refused(join(inner, "d.ts"));
  });

  test("is judged where a link leads, not where it stands", async () => {
    const link = join(directory, "link.ts");
    symlinkSync(driverFile(snapshotter("mine"), 0o666), link);
    await refused(link);
  });
});
