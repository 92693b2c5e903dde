/**
 * Runs a filter on a system call as the kernel would (net/core/filter.c, kernel/seccomp.c): to say what a call
 * would get without making it. Not here: what the answer means (answer.ts).
 */
import { fail } from "../../src/error.ts";
import {
  BPF_ALU_AND_K,
  BPF_JMP_JA,
  BPF_JMP_JEQ_K,
  BPF_JMP_JGE_K,
  BPF_JMP_JGT_K,
  BPF_JMP_JSET_K,
  BPF_LD_W_ABS,
  BPF_RET_K,
  SECCOMP_DATA_ARCH,
  SECCOMP_DATA_ARGS,
  SECCOMP_DATA_NR,
  SECCOMP_DATA_SIZE,
  SOCK_FILTER_SIZE,
} from "../../src/kernel/seccomp.ts";

/** A system call as a filter sees it (struct seccomp_data, without the instruction pointer). */
export interface Call {
  readonly number: number;
  /** AUDIT_ARCH_* */
  readonly audit: number;
  /** What is left out is 0. */
  readonly args?: readonly bigint[];
}

/**
 * What the filter answers, SECCOMP_RET_* with its data.
 * @param filter struct sock_filter[], little endian as both hosts are
 * @param visit is told every instruction that is executed, by its place in the filter
 * @throws CtrError SECCOMP for what is no filter: an unknown instruction, or an end without an answer
 */
export function interpret(filter: Uint8Array, call: Call, visit?: (index: number) => void): number {
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  const data = dataOf(call);
  let accumulator = 0;
  for (let at = 0; at + SOCK_FILTER_SIZE <= filter.byteLength; at += SOCK_FILTER_SIZE) {
    visit?.(at / SOCK_FILTER_SIZE);
    const code = program.getUint16(at, true);
    const k = program.getUint32(at + 4, true);
    switch (code) {
      case BPF_LD_W_ABS:
        if (k > SECCOMP_DATA_SIZE - 4 || k % 4 !== 0) throw broken(`reads at ${k}`);
        accumulator = data[k >> 2] ?? 0;
        break;
      case BPF_ALU_AND_K:
        accumulator = (accumulator & k) >>> 0;
        break;
      case BPF_JMP_JA:
        at += k * SOCK_FILTER_SIZE;
        break;
      case BPF_RET_K:
        return k;
      default:
        at += program.getUint8(at + (compare(code, accumulator, k) ? 2 : 3)) * SOCK_FILTER_SIZE;
    }
  }
  throw broken("ends without an answer");
}

function compare(code: number, accumulator: number, k: number): boolean {
  switch (code) {
    case BPF_JMP_JEQ_K:
      return accumulator === k;
    case BPF_JMP_JGT_K:
      return accumulator > k;
    case BPF_JMP_JGE_K:
      return accumulator >= k;
    case BPF_JMP_JSET_K:
      return (accumulator & k) !== 0;
    default:
      throw broken(`has an instruction 0x${code.toString(16)}`);
  }
}

function dataOf({ number, audit, args = [] }: Call): Uint32Array {
  const words = new Uint32Array(SECCOMP_DATA_SIZE / 4);
  words[SECCOMP_DATA_NR / 4] = number;
  words[SECCOMP_DATA_ARCH / 4] = audit;
  for (let index = 0; index < Math.min(args.length, 6); index++) {
    const at = SECCOMP_DATA_ARGS / 4 + index * 2;
    const arg = args[index] ?? 0n;
    words[at] = Number(arg & 0xffff_ffffn);
    words[at + 1] = Number((arg >> 32n) & 0xffff_ffffn);
  }
  return words;
}

function broken(what: string): Error {
  return fail({ code: "SECCOMP", message: `the filter ${what}` });
}
