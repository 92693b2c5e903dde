/** Assembles one of the project's sources with binutils, for tests that compare bytes. Nothing is kept. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MachineArch } from "../../../src/machine/program.ts";

const TOOLS = {
  x86_64: { as: ["as", "--64"], objcopy: "objcopy", packages: "binutils" },
  aarch64: {
    as: ["aarch64-linux-gnu-as"],
    objcopy: "aarch64-linux-gnu-objcopy",
    packages: "binutils-aarch64-linux-gnu",
  },
} as const;

function tool(command: readonly string[], packages: string): void {
  const [name = ""] = command;
  if (Bun.which(name) === null) throw new Error(`${name} is not installed (Debian package ${packages})`);
  const result = Bun.spawnSync([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  if (!result.success) throw new Error(`${command.join(" ")}: ${result.stderr.toString()}`);
}

/** The machine code of a source: its text section alone. */
export function assemble(arch: MachineArch, source: string): Uint8Array {
  const { as, objcopy, packages } = TOOLS[arch];
  const work = mkdtempSync(join(tmpdir(), "assemble-"));
  try {
    const object = join(work, "object");
    const binary = join(work, "binary");
    tool([...as, "-o", object, source], packages);
    tool([objcopy, "-O", "binary", "-j", ".text", object, binary], packages);
    return new Uint8Array(readFileSync(binary));
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** What a checked-in constant holds, without the padding that a section may end in. */
export function sameCode(assembled: Uint8Array, checkedIn: string): { assembled: string; checkedIn: string } {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  return { assembled: hex(assembled), checkedIn: hex(Buffer.from(checkedIn, "base64")) };
}
