/**
 * Writes a classic BPF program from its end to its beginning: a jump only goes forward, so every target is
 * already in place when a jump to it is written. What lives here: instructions, labels, jumps that are too far.
 * Not here: what the instructions ask (tree.ts, condition.ts), or running them (interpret.ts).
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
  BPF_MAXINSNS,
  BPF_RET_K,
  SOCK_FILTER_SIZE,
} from "../../src/kernel/seccomp.ts";

/** An instruction as a place to go to: how many instructions stand behind it. */
export type Label = number;

/** A comparison of the accumulator with a constant, unsigned. */
export type Comparison = "jeq" | "jgt" | "jge" | "jset";

/** A program being written. All methods give the label of what they wrote. */
export interface ProgramWriter {
  /** Ends with an answer of SECCOMP_RET_*; the same one again gives the same label. */
  ret(answer: number): Label;
  /** Loads the 32-bit word at a byte offset of seccomp_data, then goes to `next`. */
  load(offset: number, next: Label): Label;
  and(mask: number, next: Label): Label;
  /** Goes to `yes` or `no`. What was already written the same way is used again. */
  jump(comparison: Comparison, k: number, yes: Label, no: Label): Label;
  /** The program that starts at `entry`, as struct sock_filter[] in little endian (both hosts are). */
  finish(entry: Label): Uint8Array;
}

const opcodes: Readonly<Record<Comparison, number>> = {
  jeq: BPF_JMP_JEQ_K,
  jgt: BPF_JMP_JGT_K,
  jge: BPF_JMP_JGE_K,
  jset: BPF_JMP_JSET_K,
};

/** jt and jf are 8 bits wide. */
const FARTHEST = 255;

/** An empty program. */
export function programWriter(): ProgramWriter {
  // Last instruction first: four columns, and the label of an instruction is its index.
  const codes: number[] = [];
  const operands: number[] = [];
  const jumpsTrue: number[] = [];
  const jumpsFalse: number[] = [];
  const known = new Map<string, Label>();
  const returns = new Map<number, Label>();
  /** The copy of a label's instruction that was written last: a return again, or a jump to it. */
  const nearest = new Map<Label, Label>();

  function write(code: number, k: number, jt = 0, jf = 0): Label {
    operands.push(k);
    jumpsTrue.push(jt);
    jumpsFalse.push(jf);
    return codes.push(code) - 1;
  }

  /** Instructions that a jump standing `ahead` of the next one to be written would skip to reach a label. */
  const distance = (target: Label, ahead: number): number => codes.length + ahead - target - 1;

  /** A label near enough for a conditional jump that has at most `ahead` instructions written before it. */
  function reach(target: Label, ahead: number): Label {
    if (distance(target, ahead) <= FARTHEST) return target;
    const copy = nearest.get(target);
    if (copy !== undefined && distance(copy, ahead) <= FARTHEST) return copy;
    const isReturn = codes[target] === BPF_RET_K;
    const made = isReturn ? write(BPF_RET_K, operands[target] ?? 0) : always(target);
    nearest.set(target, made);
    return made;
  }

  function always(target: Label): Label {
    return write(BPF_JMP_JA, distance(target, 0));
  }

  /**
   * Falls into `next`. Where that is not what was written last, it takes one more instruction: the same answer or the
   * same question again where it can be, else a jump.
   */
  function into(next: Label): void {
    if (next === codes.length - 1) return;
    const code = codes[next] ?? 0;
    const [yes, no] = [next - 1 - (jumpsTrue[next] ?? 0), next - 1 - (jumpsFalse[next] ?? 0)];
    const isQuestion = Object.values(opcodes).includes(code);
    if (code === BPF_RET_K) write(code, operands[next] ?? 0);
    else if (isQuestion && distance(yes, 0) <= FARTHEST && distance(no, 0) <= FARTHEST) {
      write(code, operands[next] ?? 0, distance(yes, 0), distance(no, 0));
    } else always(next);
  }

  function once(key: string, make: () => Label): Label {
    let label = known.get(key);
    if (label === undefined) {
      label = make();
      known.set(key, label);
    }
    return label;
  }

  return {
    ret(answer) {
      let label = returns.get(answer);
      if (label === undefined) {
        label = write(BPF_RET_K, answer);
        returns.set(answer, label);
      }
      return label;
    },
    load: (offset, next) =>
      once(`ld ${offset} ${next}`, () => {
        into(next);
        return write(BPF_LD_W_ABS, offset);
      }),
    and: (mask, next) =>
      once(`and ${mask} ${next}`, () => {
        into(next);
        return write(BPF_ALU_AND_K, mask);
      }),
    jump(comparison, k, yes, no) {
      if (yes === no) return yes;
      return once(`${comparison} ${k} ${yes} ${no}`, () => {
        const nearYes = reach(yes, 1);
        const nearNo = reach(no, 0);
        return write(opcodes[comparison], k, distance(nearYes, 0), distance(nearNo, 0));
      });
    },
    finish(entry) {
      const length = entry + 1;
      if (length > BPF_MAXINSNS) throw tooLong(length);
      const bytes = new Uint8Array(length * SOCK_FILTER_SIZE);
      const view = new DataView(bytes.buffer);
      for (let index = 0; index < length; index++) {
        const from = entry - index;
        const at = index * SOCK_FILTER_SIZE;
        view.setUint16(at, codes[from] ?? 0, true);
        view.setUint8(at + 2, jumpsTrue[from] ?? 0);
        view.setUint8(at + 3, jumpsFalse[from] ?? 0);
        view.setUint32(at + 4, operands[from] ?? 0, true);
      }
      return bytes;
    },
  };
}

function tooLong(length: number): Error {
  return fail({
    code: "SECCOMP",
    field: "linux.seccomp",
    message: `the filter would have ${length} instructions, and the kernel takes ${BPF_MAXINSNS}`,
    hint: "fewer rules with args, or fewer architectures",
  });
}
