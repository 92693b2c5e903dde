/**
 * eBPF instructions as bytes: an assembler for the few that device programs need, and reading any. Pure.
 * Not here: what a program decides, or its text (drivers/cgroup-v2), loading and attaching (bpf.ts).
 *
 * Numbers from include/uapi/linux/bpf.h, bpf_common.h; the encoding from Documentation/bpf/standardization/
 * instruction-set.rst.
 */
import { fail } from "../error.ts";
import { viewOf } from "./memory.ts";

/** sizeof(struct bpf_insn) */
export const BPF_INSN_SIZE = 8;

/** Operations, without their operand. */
const OPCODES = {
  /** 32-bit load from memory at register `source` + `offset`. */
  ldxw: 0x61,
  mov32: 0xb4,
  and32: 0x54,
  rsh32: 0x74,
  jne: 0x55,
  ja: 0x05,
  exit: 0x95,
} as const;
/** The operand is register `source`, not the immediate. */
const FROM_REGISTER = 0x08;

/** One instruction. `target` is the index of the instruction that a jump goes to. */
export interface BpfInstruction {
  readonly op: keyof typeof OPCODES;
  readonly register?: number;
  readonly source?: number;
  readonly offset?: number;
  readonly immediate?: number;
  readonly target?: number;
}

/** Instructions as the kernel reads them: struct bpf_insn, 8 bytes each. */
export function assembleBpf(instructions: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = viewOf(bytes);
  instructions.forEach((instruction, index) => {
    const { op, register = 0, source, immediate = 0, target } = instruction;
    const offset = target === undefined ? (instruction.offset ?? 0) : target - index - 1;
    if (offset < -32768 || offset > 32767) {
      throw fail({ code: "BPF", message: `an eBPF jump is too long: ${offset} instructions` });
    }
    const register_operand = source !== undefined && op !== "ldxw" ? FROM_REGISTER : 0;
    view.setUint8(index * 8, OPCODES[op] | register_operand);
    view.setUint8(index * 8 + 1, register | ((source ?? 0) << 4));
    view.setInt16(index * 8 + 2, offset, true);
    view.setInt32(index * 8 + 4, immediate | 0, true);
  });
  return bytes;
}

/** One instruction as it is: struct bpf_insn. */
export interface BpfWord {
  readonly code: number;
  readonly destination: number;
  readonly source: number;
  readonly offset: number;
  readonly immediate: number;
}

/** Reads instructions; what is left over of a last one is dropped. */
export function decodeBpf(bytes: Uint8Array): BpfWord[] {
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.byteLength / BPF_INSN_SIZE) }, (_none, index) => {
    const at = index * BPF_INSN_SIZE;
    const registers = view.getUint8(at + 1);
    return {
      code: view.getUint8(at),
      destination: registers & 15,
      source: registers >> 4,
      offset: view.getInt16(at + 2, true),
      immediate: view.getInt32(at + 4, true),
    };
  });
}

const [JMP, JMP32] = [5, 6] as const;
const [JA, CALL, EXIT] = [0x0, 0x8, 0x9] as const;
/** BPF_LD | BPF_IMM | BPF_DW */
const LD_IMM64 = 0x18;

/** Where a jump goes, as the index of an instruction; undefined for what is none. */
export function bpfTarget({ code, offset, immediate }: BpfWord, index: number): number | undefined {
  const kind = code & 7;
  const operation = code >> 4;
  if ((kind !== JMP && kind !== JMP32) || operation === CALL || operation === EXIT) return undefined;
  // BPF_JMP32 | BPF_JA has a long offset, where the immediate is.
  return index + 1 + (kind === JMP32 && operation === JA ? immediate : offset);
}

/** An immediate of 64 bits takes the place of two instructions. */
export function isWideBpf({ code }: BpfWord): boolean {
  return code === LD_IMM64;
}
