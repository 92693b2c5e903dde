/**
 * What a program that decides on devices means, instruction by instruction: which field of the question a test looks at,
 * and at each end, of which device and access the answer is. Found out by following what registers hold and what is known
 * on every way to an instruction; where ways meet, what all of them know is left. Nothing is guessed: what cannot be
 * followed (loops, memory, maps) has no note.
 * Not here: the text of instructions (disassemble.ts).
 */
import { BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR } from "../../src/kernel/bpf.ts";
import { type BpfWord, bpfTarget, isWideBpf } from "../../src/kernel/bpf-code.ts";
import { ALL_ACCESS, accessText, deviceName } from "../cgroup-common/devices.ts";

/** What a register holds; undefined: nobody knows. `access` is what is asked for, and `mask` of it. */
type Value =
  | { readonly is: "context" }
  | { readonly is: "number"; readonly value: number }
  | { readonly is: "both" | "type" | "major" | "minor" }
  | { readonly is: "access"; readonly mask: number };

/** What is known of the question. `within`: no other access is asked for; `beyond`: some other is. */
export interface Known {
  readonly type?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly within?: number;
  readonly beyond?: number;
}

interface State {
  readonly registers: readonly (Value | undefined)[];
  readonly known: Known;
  /** Something was found out since ways met last: then `known` is what leads here, else only what all ways have. */
  readonly tested: boolean;
}

const [LDX, ALU, JMP, JMP32, ALU64] = [1, 4, 5, 6, 7] as const;
const FROM_REGISTER = 0x08;
const [AND, RIGHT, MOV] = [0x5, 0x7, 0xb] as const;
const [JA, EQUAL, SET, NOT_EQUAL, CALL, EXIT] = [0x0, 0x1, 0x4, 0x5, 0x8, 0x9] as const;

/** Notes by the index of the instruction. */
export function explainProgram(words: readonly BpfWord[]): Map<number, string> {
  const notes = new Map<number, string>();
  followProgram(words, (index, note) => notes.set(index, note));
  return notes;
}

/** An end of the program: what is known of the questions that come to it, and the answer. */
export interface Answer {
  readonly known: Known;
  readonly tested: boolean;
  readonly allow: boolean;
}

/** The ends of the program, by the index of the instruction; only those that can be told. */
export function programAnswers(words: readonly BpfWord[]): Map<number, Answer> {
  const answers = new Map<number, Answer>();
  followProgram(
    words,
    () => undefined,
    (index, answer) => answers.set(index, answer),
  );
  return answers;
}

function followProgram(
  words: readonly BpfWord[],
  note: (index: number, text: string) => void,
  end: (index: number, answer: Answer) => void = () => undefined,
): void {
  const states: (State | undefined)[] = [
    { registers: [undefined, { is: "context" }, ...new Array(9).fill(undefined)], known: {}, tested: false },
  ];
  const come = (index: number, state: State): void => {
    const there = states[index];
    states[index] = there === undefined ? state : meet(there, state);
  };
  // A way back would have to be followed again and again.
  if (words.some((word, index) => (bpfTarget(word, index) ?? index + 1) <= index)) return;
  for (let index = 0; index < words.length; index++) {
    const [word, state] = [words[index], states[index]];
    if (word === undefined || state === undefined) continue;
    const kind = word.code & 7;
    const operation = word.code >> 4;
    if ((kind !== JMP && kind !== JMP32) || operation === CALL) {
      const [next, text] = step(word, state);
      if (text !== undefined) note(index, text);
      come(index + (isWideBpf(word) ? 2 : 1), next);
      continue;
    }
    if (operation === EXIT) {
      const result = state.registers[0];
      if (result?.is !== "number") continue;
      const allow = result.value !== 0;
      const answer = { known: state.known, tested: state.tested, allow };
      note(index, answerText(answer));
      end(index, answer);
      continue;
    }
    const target = bpfTarget(word, index) ?? index + 1;
    if (operation === JA) {
      if (state.tested) note(index, questionText(state.known));
      come(target, state);
      continue;
    }
    const test = readTest(word, state.registers);
    if (test !== undefined) note(index, test.about);
    come(index + 1, learn(state, test?.otherwise ?? {}));
    come(target, learn(state, test?.jumps ?? {}));
  }
}

function learn(state: State, more: Known): State {
  return Object.keys(more).length === 0
    ? { ...state, tested: false }
    : { ...state, known: { ...state.known, ...more }, tested: true };
}

/** What both know. */
function meet(a: State, b: State): State {
  const known: Record<string, number> = {};
  for (const [key, value] of Object.entries(a.known)) {
    if (b.known[key as keyof Known] === value) known[key] = value;
  }
  const registers = a.registers.map((value, index) =>
    JSON.stringify(value) === JSON.stringify(b.registers[index]) ? value : undefined,
  );
  const same = [a, b].every((each) => Object.keys(each.known).length === Object.keys(known).length);
  return { registers, known, tested: same && a.tested && b.tested };
}

/** What is behind an instruction that does not jump. */
function step(word: BpfWord, state: State): [State, string | undefined] {
  const { code, destination, source, offset, immediate } = word;
  const { registers } = state;
  const kind = code & 7;
  let value: Value | undefined;
  let text: string | undefined;
  if (kind === LDX && registers[source]?.is === "context") {
    [value, text] = loaded(code & 0xf8, offset);
  } else if (kind === ALU || kind === ALU64) {
    const operand: Value | undefined =
      (code & FROM_REGISTER) === 0 ? { is: "number", value: immediate } : registers[source];
    value = computed(code >> 4, registers[destination], operand);
  } else if (kind === JMP) {
    // A call leaves nothing in the registers that it takes.
    return [{ ...state, registers: registers.map((old, at) => (at < 6 ? undefined : old)) }, undefined];
  } else if (kind !== LDX && !isWideBpf(word)) {
    return [state, undefined];
  }
  const next = [...registers];
  next[destination] = value;
  return [{ ...state, registers: next }, text];
}

/** A field of struct bpf_cgroup_dev_ctx. */
function loaded(mode: number, offset: number): [Value | undefined, string | undefined] {
  const [WORD, HALF] = [0x60, 0x68];
  if (mode === WORD && offset === 0) return [{ is: "both" }, "access and type"];
  if (mode === HALF && offset === 0) return [{ is: "type" }, "type"];
  if (mode === HALF && offset === 2) return [{ is: "access", mask: 0xffff }, "access"];
  if (mode === WORD && offset === 4) return [{ is: "major" }, "major"];
  if (mode === WORD && offset === 8) return [{ is: "minor" }, "minor"];
  return [undefined, undefined];
}

function computed(operation: number, old: Value | undefined, operand: Value | undefined): Value | undefined {
  if (operation === MOV) return operand;
  if (operand?.is !== "number" || old === undefined) return undefined;
  if (operation === AND && old.is === "both" && operand.value === 0xffff) return { is: "type" };
  if (operation === RIGHT && old.is === "both" && operand.value === 16) return { is: "access", mask: 0xffff };
  if (operation === AND && old.is === "access") return { is: "access", mask: old.mask & operand.value };
  return undefined;
}

interface Test {
  readonly about: string;
  /** What is known besides where it jumps, and where it goes on. */
  readonly jumps: Known;
  readonly otherwise: Known;
}

function readTest(word: BpfWord, registers: readonly (Value | undefined)[]): Test | undefined {
  const { code, destination, source, immediate } = word;
  const left = registers[destination];
  const right: Value | undefined =
    (code & FROM_REGISTER) === 0 ? { is: "number", value: immediate } : registers[source];
  const operation = code >> 4;
  if (operation === EQUAL || operation === NOT_EQUAL) {
    const found = comparison(left, right) ?? comparison(right, left);
    if (found === undefined) return undefined;
    const [about, same, other] = found;
    return operation === EQUAL
      ? { about, jumps: same, otherwise: other }
      : { about, jumps: other, otherwise: same };
  }
  if (operation === SET && left?.is === "access" && right?.is === "number") {
    const mask = left.mask & right.value;
    return {
      about: accessNote(mask),
      jumps: { beyond: ~mask & ALL_ACCESS },
      otherwise: { within: ~mask & ALL_ACCESS },
    };
  }
  return undefined;
}

/** What a comparison is about, and what is known when both are the same, and when not. */
function comparison(
  field: Value | undefined,
  other: Value | undefined,
): [about: string, same: Known, other: Known] | undefined {
  if (field?.is === "access") {
    // Of what is asked for, this part is nothing: no more is asked for than the rest.
    if (other?.is === "number" && other.value === 0) {
      const rest = ~field.mask & ALL_ACCESS;
      return [accessNote(field.mask & ALL_ACCESS), { within: rest }, { beyond: rest }];
    }
    // Of what is asked for, this part is all.
    const whole = other?.is === "access" && (other.mask & ALL_ACCESS) === ALL_ACCESS;
    if (whole)
      return [
        `only ${accessText(field.mask)}`,
        { within: field.mask & ALL_ACCESS },
        { beyond: field.mask & ALL_ACCESS },
      ];
    return undefined;
  }
  if (other?.is !== "number") return undefined;
  const value = other.value >>> 0;
  if (field?.is === "type") return [`type ${typeLetter(value)}`, { type: value }, {}];
  if (field?.is === "major") return [`major ${value}`, { major: value }, {}];
  if (field?.is === "minor") return [`minor ${value}`, { minor: value }, {}];
  return undefined;
}

function accessNote(mask: number): string {
  return `asks for ${[...accessText(mask)].join(" or ") || "nothing"}`;
}

function typeLetter(type: number): string {
  if (type === BPF_DEVCG_DEV_BLOCK) return "b";
  return type === BPF_DEVCG_DEV_CHAR ? "c" : `${type}`;
}

/** `c 1:3 rwm allow`, `b 8:* not only r deny`; `what comes here deny` where ways have met that nothing tells apart. */
export function answerText({ known, tested, allow }: Answer): string {
  return `${tested ? questionText(known) : "what comes here"} ${allow ? "allow" : "deny"}`;
}

function questionText({ type, major, minor, within, beyond }: Known): string {
  const access =
    within !== undefined
      ? accessText(within)
      : beyond !== undefined
        ? `not only ${accessText(beyond)}`
        : "rwm";
  const letter = type === BPF_DEVCG_DEV_BLOCK ? "b" : "c";
  const name = deviceName({ type: letter, major, minor });
  return `${type === undefined ? name.replace(letter, "a") : name} ${access}`;
}
