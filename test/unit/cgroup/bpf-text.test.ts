/** Device programs as text, and what the text says of them: held to what the program does, for any rules. */
import { describe, expect, test } from "bun:test";
import { ALL_ACCESS, accessText, devicePolicy } from "../../../drivers/cgroup-common/devices.ts";
import { deviceProgram, programLines } from "../../../drivers/cgroup-v2/devices.ts";
import { disassembleBpf } from "../../../drivers/cgroup-v2/disassemble.ts";
import { answerText, type Known, programAnswers } from "../../../drivers/cgroup-v2/explain.ts";
import { assembleBpf, type BpfInstruction, decodeBpf } from "../../../src/kernel/bpf-code.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { recordPlan } from "../../../src/plan/record.ts";
import type { LinuxDeviceCgroup } from "../../../src/spec/runtime/resources.ts";
import { chooseSeed, seeded } from "../../support/random.ts";
import { planInput, smallConfig } from "../plan/inputs.ts";
import { traceDeviceProgram } from "./bpf.ts";
import { unified } from "./fixtures.ts";

const LISTS = 2000;
const QUESTIONS = 20;
const seed = chooseSeed();
const { below } = seeded(seed);
const pick = <T>(...from: readonly [T, ...T[]]): T => from[below(from.length)] ?? from[0];

/** Few numbers, so that rules meet; the largest ones, so that signs are thought of. */
const number = (): number => pick(0, 1, 3, 5, 136, 0x7fffffff, 0x80000000, 0xffffffff);

function someRule(): LinuxDeviceCgroup {
  const type = pick("a", "b", "c", "c", "b", undefined);
  const wild = (): number | undefined => pick(undefined, -1, number(), number());
  const [major, minor, access] = [wild(), wild(), pick(undefined, "r", "w", "m", "rw", "rwm", "wm")];
  return {
    allow: below(2) === 0,
    ...(type === undefined ? {} : { type }),
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    ...(access === undefined ? {} : { access }),
  };
}

/** The specification's reading, rule by rule for one device: what it may do in the end. */
function allowedBy(
  rules: readonly LinuxDeviceCgroup[],
  type: "b" | "c",
  major: number,
  minor: number,
): number {
  let allowed = 0;
  let all = false;
  for (const rule of rules) {
    if ((rule.type ?? "a") === "a") {
      allowed = rule.allow ? ALL_ACCESS : 0;
      all = rule.allow;
      continue;
    }
    if (rule.type !== type) continue;
    if (rule.major !== undefined && rule.major !== -1 && rule.major !== major) continue;
    if (rule.minor !== undefined && rule.minor !== -1 && rule.minor !== minor) continue;
    const bits = [...(rule.access ?? "rwm")].reduce(
      (sum, letter) => sum | ({ r: 2, w: 4, m: 1 }[letter] ?? 0),
      0,
    );
    allowed = rule.allow ? allowed | bits : allowed & ~bits;
  }
  // The devices of every container are added, unless nothing is denied anyway.
  const last = rules.findLastIndex((rule) => (rule.type ?? "a") === "a");
  const denies = rules.slice(last + 1).some((rule) => !rule.allow);
  if (all && !denies) return ALL_ACCESS;
  const always = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "10:200"].includes(`${major}:${minor}`);
  return type === "c" && (always || major === 136) ? ALL_ACCESS : allowed | 1;
}

describe("a device program", () => {
  test(`gives the verdict of its rules, and its text says so (${LISTS} lists, CTR_BUN_SEED=${seed})`, () => {
    const wrong: string[] = [];
    for (let list = 0; list < LISTS; list++) {
      const rules = Array.from({ length: below(12) }, someRule);
      const code = assembleBpf(deviceProgram(devicePolicy(rules)));
      const answers = programAnswers(decodeBpf(code));
      for (let question = 0; question < QUESTIONS; question++) {
        const [type, major, minor] = [pick("b" as const, "c" as const), number(), number()];
        const asked = below(ALL_ACCESS) + 1;
        const device = { type: type === "b" ? 1 : 2, major, minor };
        const { answer, end } = traceDeviceProgram(code, device, asked);
        const expected = (asked & ~allowedBy(rules, type, major, minor)) === 0 ? 1 : 0;
        const about = () => `${type} ${major}:${minor} ${accessText(asked)} of ${JSON.stringify(rules)}`;
        if (answer !== expected) wrong.push(`${answer} for ${about()}`);
        const said = answers.get(end);
        const known: Known = said?.known ?? { type: -1 };
        const fits =
          (known.type ?? device.type) === device.type &&
          (known.major ?? major) === major &&
          (known.minor ?? minor) === minor &&
          (known.within === undefined || (asked & ~known.within) === 0) &&
          (known.beyond === undefined || (asked & ~known.beyond) !== 0);
        if (!fits || said?.allow !== (expected === 1))
          wrong.push(`${said === undefined ? "nothing" : answerText(said)} is said of ${about()}`);
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  });

  test("is text with labels, and a note at each test and each answer", () => {
    const policy = devicePolicy([
      { allow: false },
      { allow: true, type: "b", major: 8, access: "r" },
      { allow: true, type: "c", major: 4294967295, minor: 2 },
    ]);
    const text = programLines({ directory: "/", policy });
    const notes = text.flatMap((line) => line.split(" ; ").slice(1));
    expect(notes.filter((note) => /allow$|deny$/.test(note))).toEqual([
      "c 4294967295:2 rwm allow",
      ...["1:3", "1:8", "1:7", "5:0", "1:5", "1:9", "5:2", "10:200"].map((name) => `c ${name} rwm allow`),
      "b 8:* rm allow",
      "b 8:* not only rm deny",
      "c 136:* rwm allow",
      "c *:* m allow",
      "c *:* not only m deny",
      "b *:* m allow",
      "b *:* not only m deny",
      "what comes here deny",
    ]);
    const targets = text.flatMap((line) => /goto (L\d+)/.exec(line)?.[1] ?? []);
    for (const label of targets) {
      const at = text.indexOf(`${label}:`);
      expect(text[at + 1]?.trim()).toStartWith(`${label.slice(1)}: `);
    }
    expect(text[0]).toMatch(/^ {3}0: r2 = \*\(u32 \*\)\(r1 \+0\) +; access and type$/);
    expect(text.find((line) => line.includes("major 4294967295"))).toContain("if r4 != r1 goto");
  });

  test("stands below its step in a plan", () => {
    const config = smallConfig({ linux: { resources: { devices: [{ allow: false }] } } });
    const input = planInput(config, { host: unified });
    const text = recordPlan(makePlan(input), true, ({ kind, name, call, args }) =>
      kind === "cgroup" ? (input.registry.get(kind, name).describe?.(call, args) ?? []) : [],
    );
    expect(text).toContain('cgroup v2: device-program {"directory"');
    expect(text).toContain("; c 1:3 rwm allow\n");
  });
});

describe("a program of others", () => {
  const of = (code: readonly BpfInstruction[]): string[] =>
    disassembleBpf(assembleBpf(code)).map((line) => line.replaceAll(/ +/g, " ").trim());

  test("that compares what is left of the access with all of it is understood", () => {
    // As runc has it: access & mask, compared with access.
    expect(
      of([
        { op: "ldxw", register: 2, source: 1, offset: 0 },
        { op: "and32", register: 2, immediate: 0xffff },
        { op: "ldxw", register: 3, source: 1, offset: 0 },
        { op: "rsh32", register: 3, immediate: 16 },
        { op: "jne", register: 2, immediate: 2, target: 10 },
        { op: "mov32", register: 1, source: 3 },
        { op: "and32", register: 1, immediate: 6 },
        { op: "jne", register: 1, source: 3, target: 10 },
        { op: "mov32", register: 0, immediate: 1 },
        { op: "exit" },
        { op: "mov32", register: 0, immediate: 0 },
        { op: "exit" },
      ]).filter((line) => line.includes(";")),
    ).toEqual([
      "0: r2 = *(u32 *)(r1 +0) ; access and type",
      "2: r3 = *(u32 *)(r1 +0) ; access and type",
      "4: if r2 != 2 goto L10 ; type c",
      "7: if r1 != r3 goto L10 ; only rw",
      "9: exit ; c *:* rw allow",
      "11: exit ; what comes here deny",
    ]);
  });

  test("whose rules share an answer is not said to allow more than it does", () => {
    // As systemd has it: each rule jumps to the one end.
    const rule = (minor: number, at: number): BpfInstruction[] => [
      { op: "jne", register: 3, immediate: minor, target: at + 2 },
      { op: "ja", target: 8 },
    ];
    const text = of([
      { op: "ldxw", register: 3, source: 1, offset: 8 },
      ...rule(3, 1),
      ...rule(5, 3),
      { op: "mov32", register: 0, immediate: 0 },
      { op: "exit" },
      { op: "exit" },
      { op: "mov32", register: 0, immediate: 1 },
      { op: "exit" },
    ]);
    expect(text.filter((line) => line.includes(" ; ")).map((line) => line.replace(/^.* ; /, ""))).toEqual([
      "minor",
      "minor 3",
      "a *:3 rwm",
      "minor 5",
      "a *:5 rwm",
      "what comes here deny",
      "what comes here allow",
    ]);
  });

  test("is text, whatever is in it, and nothing is said of what is not understood", () => {
    const word = (code: number, registers: number, offset: number, immediate: number): number[] => {
      const bytes = new Uint8Array(8);
      const view = new DataView(bytes.buffer);
      view.setUint8(0, code);
      view.setUint8(1, registers);
      view.setInt16(2, offset, true);
      view.setInt32(4, immediate, true);
      return [...bytes];
    };
    const bytes = Uint8Array.from([
      ...word(0x18, 0x11, 0, 7), // the address of a map
      ...word(0x00, 0x00, 0, 0),
      ...word(0x7b, 0x1a, -8, 0),
      ...word(0x62, 0x0a, -16, 5),
      ...word(0x85, 0x00, 0, 1),
      ...word(0x16, 0x00, 1, 0),
      ...word(0x05, 0x00, 1, 0),
      ...word(0xc7, 0x01, 0, 3),
      ...word(0xdc, 0x01, 0, 16),
      ...word(0x84, 0x01, 0, 0),
      ...word(0xff, 0x00, 0, 0),
      ...word(0x05, 0x00, -4, 0),
      ...word(0x95, 0x00, 0, 0),
    ]);
    expect(disassembleBpf(bytes).map((line) => line.trim())).toEqual([
      "0: r1 = 0x7 (pseudo 1) ll",
      "2: *(u64 *)(r10 -8) = r1",
      "3: *(u32 *)(r10 -16) = 5",
      "4: call helper 1",
      "5: if w0 == 0 goto L7",
      "6: goto L8",
      "L7:",
      "7: r1 s>>= 3",
      "L8:",
      "8: r1 = be16 r1",
      "9: w1 = -w1",
      "10: unknown instruction 0xff",
      "11: goto L8",
      "12: exit",
    ]);
  });
});
