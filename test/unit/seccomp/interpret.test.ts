import { expect, test } from "bun:test";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import { BPF_LD_W_ABS, BPF_RET_K } from "../../../src/kernel/seccomp.ts";

function filter(...instructions: [code: number, jt: number, jf: number, k: number][]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, jt, jf, k]] of instructions.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k, true);
  }
  return bytes;
}

test("what is no filter is refused instead of answered", () => {
  const call = { number: 0, audit: 0 };
  expect(() => interpret(filter([BPF_LD_W_ABS, 0, 0, 0]), call)).toThrow("ends without an answer");
  expect(() => interpret(filter([0x99, 0, 0, 0], [BPF_RET_K, 0, 0, 0]), call)).toThrow("0x99");
  expect(() => interpret(filter([BPF_LD_W_ABS, 0, 0, 64], [BPF_RET_K, 0, 0, 0]), call)).toThrow(
    "reads at 64",
  );
});
