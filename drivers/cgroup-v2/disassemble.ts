/**
 * An eBPF program as text for people: any instruction in the words of the kernel's verifier, jumps with labels, and, for
 * programs that decide on devices (ours, runc's, crun's, systemd's), what each test and each answer means.
 * Not here: how that is found out (explain.ts), or where programs come from.
 * Source: Documentation/bpf/standardization/instruction-set.rst; print_bpf_insn() of kernel/bpf/disasm.c.
 */
import { type BpfWord, bpfTarget, decodeBpf, isWideBpf } from "../../src/kernel/bpf-code.ts";
import { explainProgram } from "./explain.ts";

const [LD, LDX, ST, STX, ALU, JMP32, ALU64] = [0, 1, 2, 3, 4, 6, 7] as const;
const [ABS, IND, MEM, MEMSX, ATOMIC] = [0x20, 0x40, 0x60, 0x80, 0xc0] as const;
/** Sizes of memory, by BPF_SIZE(). */
const SIZES: Readonly<Record<number, string>> = { 0: "u32", 8: "u16", 16: "u8", 24: "u64" };
const ALU_OPS = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "", "%=", "^=", "=", "s>>="];
const [NEG, MOV, END] = [0x8, 0xb, 0xd] as const;
const TESTS = ["", "==", ">", ">=", "&", "!=", "s>", "s>=", "", "", "<", "<=", "s<", "s<="];
const [JA, CALL, EXIT] = [0x0, 0x8, 0x9] as const;
const FROM_REGISTER = 0x08;
const PSEUDO_CALL = 1;

/** One line an instruction: `   7: if r4 != 1 goto L12  ; major 1`; a target of jumps has its label on a line before. */
export function disassembleBpf(code: Uint8Array): string[] {
  const words = decodeBpf(code);
  const notes = explainProgram(words);
  const targets = new Set(words.flatMap((word, index) => bpfTarget(word, index) ?? []));
  const width = String(words.length).length;
  const lines: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    if (word === undefined) break;
    if (targets.has(index)) lines.push(`L${index}:`);
    const text = instructionText(word, index, words[index + 1]);
    const note = notes.get(index);
    const line = `${String(index).padStart(width + 2)}: ${text}`;
    lines.push(note === undefined ? line : `${line.padEnd(width + 38)} ; ${note}`);
    // An immediate of 64 bits takes the place of two.
    if (isWideBpf(word)) index++;
  }
  return lines;
}

function instructionText(word: BpfWord, index: number, next: BpfWord | undefined): string {
  switch (word.code & 7) {
    case LD:
      return loadText(word, next);
    case LDX:
    case ST:
    case STX:
      return memoryText(word);
    case ALU:
    case ALU64:
      return arithmeticText(word);
    default:
      return jumpText(word, index);
  }
}

function loadText(word: BpfWord, next: BpfWord | undefined): string {
  const { code, destination, source, immediate } = word;
  const size = SIZES[code & 0x18];
  if (isWideBpf(word)) {
    const value = (BigInt((next?.immediate ?? 0) >>> 0) << 32n) | BigInt(immediate >>> 0);
    return `r${destination} = 0x${value.toString(16)}${source === 0 ? "" : ` (pseudo ${source})`} ll`;
  }
  if ((code & 0xe0) === ABS) return `r0 = *(${size} *)skb[${immediate}]`;
  if ((code & 0xe0) === IND) return `r0 = *(${size} *)skb[r${source} + ${immediate}]`;
  return unknown(word);
}

function memoryText(word: BpfWord): string {
  const { code, destination, source, offset, immediate } = word;
  const mode = code & 0xe0;
  const size = SIZES[code & 0x18] ?? "";
  const at = (register: number, sized: string): string =>
    `*(${sized} *)(r${register} ${offset < 0 ? "-" : "+"}${Math.abs(offset)})`;
  if ((code & 7) === LDX) {
    if (mode === MEM) return `r${destination} = ${at(source, size)}`;
    if (mode === MEMSX) return `r${destination} = ${at(source, size.replace("u", "s"))}`;
    return unknown(word);
  }
  if (mode === MEM) {
    return `${at(destination, size)} = ${(code & 7) === ST ? immediate : `r${source}`}`;
  }
  if (mode === ATOMIC && (code & 7) === STX)
    return `lock ${at(destination, size)} op 0x${immediate.toString(16)} r${source}`;
  return unknown(word);
}

function arithmeticText(word: BpfWord): string {
  const { code, destination, source, offset, immediate } = word;
  // The kernel calls the lower halves of registers w.
  const letter = (code & 7) === ALU ? "w" : "r";
  const to = `${letter}${destination}`;
  const operation = code >> 4;
  if (operation === NEG) return `${to} = -${to}`;
  if (operation === END) {
    const order = (code & 7) === ALU64 ? "bswap" : (code & FROM_REGISTER) === 0 ? "le" : "be";
    return `r${destination} = ${order}${immediate} r${destination}`;
  }
  const sign = ALU_OPS[operation];
  if (sign === undefined || sign === "") return unknown(word);
  const operand = (code & FROM_REGISTER) === 0 ? `${immediate}` : `${letter}${source}`;
  if (offset !== 0 && operation === MOV) return `${to} = (s${offset})${operand}`;
  return `${to} ${offset === 0 ? sign : `s${sign}`} ${operand}`;
}

function jumpText(word: BpfWord, index: number): string {
  const { code, destination, source, immediate } = word;
  const operation = code >> 4;
  if (operation === EXIT) return "exit";
  if (operation === CALL) return source === PSEUDO_CALL ? `call pc+${immediate}` : `call helper ${immediate}`;
  const goto = `goto L${bpfTarget(word, index)}`;
  if (operation === JA) return goto;
  const test = TESTS[operation];
  if (test === undefined || test === "") return unknown(word);
  const letter = (code & 7) === JMP32 ? "w" : "r";
  const operand = (code & FROM_REGISTER) === 0 ? `${immediate}` : `${letter}${source}`;
  return `if ${letter}${destination} ${test} ${operand} ${goto}`;
}

function unknown({ code }: BpfWord): string {
  return `unknown instruction 0x${code.toString(16).padStart(2, "0")}`;
}
