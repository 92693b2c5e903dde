/**
 * A filter as text for people: one line an instruction, with the names of calls, actions and errnos.
 * Not here: why a rule is as it is (the profile says that).
 */
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
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
  SOCK_FILTER_SIZE,
  X32_SYSCALL_BIT,
} from "../../src/kernel/seccomp.ts";
import { type SyscallTable, syscallNames } from "../../src/kernel/syscall-tables/tables.ts";
import { answerText } from "./answer.ts";

/** struct sock_filter */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** What is known where an instruction stands: what was loaded last, and the architecture. */
interface Known {
  readonly loaded: number | undefined;
  readonly audit: number | undefined;
}

const tables: Readonly<Record<number, SyscallTable>> = {
  [AUDIT_ARCH_X86_64]: "x86_64",
  [AUDIT_ARCH_I386]: "i386",
  [AUDIT_ARCH_AARCH64]: "aarch64",
  [AUDIT_ARCH_ARM]: "arm",
};

const jumps: Readonly<Record<number, string>> = {
  [BPF_JMP_JEQ_K]: "jeq",
  [BPF_JMP_JGT_K]: "jgt",
  [BPF_JMP_JGE_K]: "jge",
  [BPF_JMP_JSET_K]: "jset",
};

/**
 * The filter as text: `0003 jeq 0x3d ? 0009 : 0004  # wait4`. Jumps name the line that they go to, the first one
 * where the comparison holds.
 */
export function disasm(filter: Uint8Array): string {
  const program = instructionsOf(filter);
  const known: (Known | undefined)[] = [{ loaded: undefined, audit: undefined }];
  const lines = program.map((instruction, at) => {
    const here = known[at] ?? { loaded: undefined, audit: undefined };
    const [text, comment] = line(instruction, at, here);
    for (const [to, state] of follow(instruction, at, here)) known[to] = merge(known[to], state);
    return `${place(at)} ${comment === undefined ? text : `${text.padEnd(36)} # ${comment}`}`;
  });
  return `${lines.join("\n")}\n`;
}

/** The fields of every instruction. */
export function instructionsOf(filter: Uint8Array): Instruction[] {
  const view = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  return Array.from({ length: Math.floor(filter.byteLength / SOCK_FILTER_SIZE) }, (_, index) => {
    const at = index * SOCK_FILTER_SIZE;
    const code = view.getUint16(at, true);
    return { code, jt: view.getUint8(at + 2), jf: view.getUint8(at + 3), k: view.getUint32(at + 4, true) };
  });
}

const place = (at: number): string => String(at).padStart(4, "0");

/** Where an instruction leads, and what is known there. Jumps only go forward, so one pass sees it all. */
function follow({ code, jt, jf, k }: Instruction, at: number, here: Known): [number, Known][] {
  if (code === BPF_RET_K) return [];
  if (code === BPF_JMP_JA) return [[at + 1 + k, here]];
  if (code === BPF_LD_W_ABS) return [[at + 1, { ...here, loaded: k }]];
  if (!(code in jumps)) return [[at + 1, here]];
  const isArch = code === BPF_JMP_JEQ_K && here.loaded === SECCOMP_DATA_ARCH;
  return [
    [at + 1 + jt, isArch ? { ...here, audit: k } : here],
    [at + 1 + jf, here],
  ];
}

/** What two ways to the same instruction agree on. */
function merge(one: Known | undefined, other: Known): Known {
  if (one === undefined) return other;
  return {
    loaded: one.loaded === other.loaded ? one.loaded : undefined,
    audit: one.audit === other.audit ? one.audit : undefined,
  };
}

function line(
  { code, jt, jf, k }: Instruction,
  at: number,
  here: Known,
): [text: string, comment: string | undefined] {
  const hex = `0x${k.toString(16)}`;
  const jump = jumps[code];
  if (jump !== undefined) {
    return [`${jump} ${hex} ? ${place(at + 1 + jt)} : ${place(at + 1 + jf)}`, operandText(k, here)];
  }
  switch (code) {
    case BPF_LD_W_ABS:
      return [`ld [${k}]`, wordText(k)];
    case BPF_ALU_AND_K:
      return [`and ${hex}`, undefined];
    case BPF_JMP_JA:
      return [`ja ${place(at + 1 + k)}`, undefined];
    case BPF_RET_K:
      return [`ret ${hex}`, answerText(k)];
    default:
      return [`0x${code.toString(16)} ${jt} ${jf} ${hex}`, "not an instruction that filters are made of"];
  }
}

function wordText(offset: number): string {
  if (offset === SECCOMP_DATA_NR) return "number";
  if (offset === SECCOMP_DATA_ARCH) return "architecture";
  if (offset < SECCOMP_DATA_ARGS) return "instruction pointer";
  const word = (offset - SECCOMP_DATA_ARGS) / 4;
  return `args[${word >> 1}], ${word % 2 === 0 ? "lower" : "upper"} word`;
}

function operandText(k: number, { loaded, audit }: Known): string | undefined {
  if (loaded === SECCOMP_DATA_ARCH) return tables[k];
  const table = audit === undefined ? undefined : tables[audit];
  if (loaded !== SECCOMP_DATA_NR || table === undefined) return undefined;
  if (table !== "x86_64" || k < X32_SYSCALL_BIT) return syscallNames(table).get(k);
  const name = syscallNames("x32").get(k);
  return name === undefined ? undefined : `${name} of x32`;
}
