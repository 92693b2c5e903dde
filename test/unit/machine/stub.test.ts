/** The checked-in bytes of the stubs are what their sources assemble to. What they do: run.test.ts. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { STUB_AARCH64 } from "../../../src/machine/stub-aarch64.ts";
import { STUB_X86_64 } from "../../../src/machine/stub-x86_64.ts";
import { assemble, sameCode } from "./assemble.ts";

const machine = join(import.meta.dir, "../../../src/machine");

for (const [arch, constant] of [
  ["x86_64", STUB_X86_64],
  ["aarch64", STUB_AARCH64],
] as const) {
  test(`stub-${arch}.ts holds what stub-${arch}.s assembles to`, () => {
    const { assembled, checkedIn } = sameCode(assemble(arch, join(machine, `stub-${arch}.s`)), constant);
    expect(checkedIn).toBe(assembled);
  });

  test(`the code of the ${arch} stub fits into the page before the data`, () => {
    expect(Buffer.from(constant, "base64").byteLength).toBeLessThan(4096 - 64 - 3 * 56);
  });
}
