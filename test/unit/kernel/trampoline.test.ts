/**
 * The checked-in bytes of the trampolines are what their sources assemble to; and the aarch64 one, which no test of
 * `sys` reaches on an x86-64 host, is called by a small program under qemu-aarch64.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TRAMPOLINES } from "../../../src/kernel/raw.ts";
import { assemble, sameCode } from "../machine/assemble.ts";
import { commandFor } from "../machine/runner.ts";

const kernel = join(import.meta.dir, "../../../src/kernel");
let work = "";
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "trampoline-"));
});
afterAll(() => rmSync(work, { recursive: true }));

for (const arch of ["x86_64", "aarch64"] as const) {
  test(`raw.ts holds what trampoline-${arch}.s assembles to`, () => {
    const code = assemble(arch, join(kernel, `trampoline-${arch}.s`));
    const { assembled, checkedIn } = sameCode(code, TRAMPOLINES[arch]);
    expect(checkedIn).toBe(assembled);
  });
}

/** Links `main` with the trampoline and runs it. */
function runOnAarch64(main: string): { code: number | null; stdout: string } {
  const source = join(work, "main.s");
  const object = join(work, "main.o");
  const file = join(work, "main");
  writeFileSync(source, `.globl _start\n_start:\n${main}\n.include "${kernel}/trampoline-aarch64.s"\n`);
  for (const command of [
    ["aarch64-linux-gnu-as", "-o", object, source],
    ["aarch64-linux-gnu-ld", "-o", file, object],
  ]) {
    const made = Bun.spawnSync(command, { stderr: "pipe" });
    if (!made.success) throw new Error(made.stderr.toString());
  }
  const child = Bun.spawnSync(commandFor("aarch64", file), { stdin: "ignore", timeout: 20_000 });
  return { code: child.exitCode, stdout: child.stdout.toString() };
}

const exitWithX0 = "mov x8, #94\n svc #0\n";

test("the aarch64 call passes six arguments in order and returns the kernel's result", () => {
  // copy_file_range looks at all six: from `in` at offset 2, three bytes, to `out` at offset 1.
  const input = join(work, "in");
  const output = join(work, "out");
  writeFileSync(input, "abcdefgh");
  writeFileSync(output, "........");
  const open = (path: string, flags: number, register: string) => `
  mov w0, #56
  mov x1, #-100
  adr x2, ${path}
  mov x3, #${flags}
  mov x4, #0
  bl call
  mov ${register}, x0`;
  const { code } = runOnAarch64(`
${open("input", 0, "x21")}
${open("output", 1, "x22")}
  sub sp, sp, #16
  mov x9, #2
  mov x10, #1
  stp x9, x10, [sp]
  mov w0, #285
  mov x1, x21
  mov x2, sp
  mov x3, x22
  add x4, sp, #8
  mov x5, #3
  mov x6, #0
  bl call
  ${exitWithX0}
input: .asciz "${input}"
output: .asciz "${output}"
.balign 4`);
  expect(code).toBe(3);
  expect(readFileSync(output, "utf8")).toBe(".cde....");
});

test("the aarch64 call returns -errno", () => {
  const { code } = runOnAarch64(`
  mov w0, #57
  mov x1, #-1
  bl call
  neg x0, x0
  ${exitWithX0}`);
  expect(code).toBe(9); // EBADF of close(-1)
});

test("the aarch64 spawn walks its rows in the child and ends in its execve", () => {
  // Not execveat, which qemu-aarch64 7.2 does not know; the rows are alike.
  const { code, stdout } = runOnAarch64(`
  mov w0, #-1
  adr x1, rows
  bl call
  mov x19, x0
  mov w0, #260
  mov x1, x19
  sub sp, sp, #16
  mov x2, sp
  mov x3, #0
  mov x4, #0
  bl call
  cmp x0, x19
  b.ne other
  ldrb w0, [sp, #1]
  b end
other: mov x0, #99
end: ${exitWithX0}
.balign 8
  .quad 0, 0
rows:
  .quad 64, 1, text, 6, 0, 0, 0
  .quad 221, program, argv, envp, 0, 0, 0
argv: .quad shell, dash, script, 0
envp: .quad variable, 0
text: .ascii "first\\n"
program: .asciz "/bin/sh"
shell: .asciz "sh"
dash: .asciz "-c"
script: .asciz "echo $SECOND; exit 7"
variable: .asciz "SECOND=second"
.balign 8`);
  expect(stdout).toBe("first\nsecond\n");
  expect(code).toBe(7);
});

test("a row that fails ends the aarch64 child with 127, and no later row runs", () => {
  const { code, stdout } = runOnAarch64(`
  mov w0, #-1
  adr x1, rows
  bl call
  mov x1, x0
  mov w0, #260
  sub sp, sp, #16
  mov x2, sp
  mov x3, #0
  mov x4, #0
  bl call
  ldrb w0, [sp, #1]
  ${exitWithX0}
.data
.balign 8
  .quad 0, 0
rows:
  .quad 57, -1, 0, 0, 0, 0, 0
  .quad 64, 1, text, 6, 0, 0, 0
text: .ascii "never\\n"
.text`);
  expect(stdout).toBe("");
  expect(code).toBe(127);
});
