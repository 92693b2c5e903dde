/**
 * libseccomp, through a small C program: the filters that it makes of profiles, and its tables. Needs gcc and
 * libseccomp-dev, which `npm test` installs.
 */
import { answerOf } from "../../../drivers/seccomp/answer.ts";
import type { Host } from "../../../src/driver.ts";
import type {
  LinuxSeccomp,
  SeccompArchitecture,
  SeccompOperator,
} from "../../../src/spec/runtime/seccomp.ts";
import { built } from "./built.ts";

/** seccomp.h: SCMP_ARCH_* that libseccomp 2.5 knows. */
export const tokens: Readonly<Partial<Record<SeccompArchitecture, number>>> = {
  SCMP_ARCH_X86: 0x4000_0003,
  SCMP_ARCH_X86_64: 0xc000_003e,
  SCMP_ARCH_X32: 0x4000_003e,
  SCMP_ARCH_ARM: 0x4000_0028,
  SCMP_ARCH_AARCH64: 0xc000_00b7,
  SCMP_ARCH_MIPS: 0x0000_0008,
  SCMP_ARCH_MIPS64: 0x8000_0008,
  SCMP_ARCH_MIPS64N32: 0xa000_0008,
  SCMP_ARCH_MIPSEL: 0x4000_0008,
  SCMP_ARCH_MIPSEL64: 0xc000_0008,
  SCMP_ARCH_MIPSEL64N32: 0xe000_0008,
  SCMP_ARCH_PPC: 0x0000_0014,
  SCMP_ARCH_PPC64: 0x8000_0015,
  SCMP_ARCH_PPC64LE: 0xc000_0015,
  SCMP_ARCH_S390: 0x0000_0016,
  SCMP_ARCH_S390X: 0x8000_0016,
  SCMP_ARCH_PARISC: 0x0000_000f,
  SCMP_ARCH_PARISC64: 0x8000_000f,
  SCMP_ARCH_RISCV64: 0xc000_00f3,
};

/** enum scmp_compare */
const operators: Readonly<Record<SeccompOperator, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};

const native = { x86_64: "SCMP_ARCH_X86_64", aarch64: "SCMP_ARCH_AARCH64" } as const;

function ask(lines: readonly string[]): Buffer {
  const { exitCode, stdout, stderr } = Bun.spawnSync([built("libseccomp", "-lseccomp")], {
    stdin: Buffer.from(`${lines.join("\n")}\n`),
    maxBuffer: 1 << 30,
  });
  if (exitCode !== 0) throw new Error(`the helper ended with ${exitCode}: ${stderr.toString()}`);
  return stdout;
}

/** What runc asks of libseccomp for a profile, one line a call of its API. */
function orders(profile: LinuxSeccomp, arch: Host["arch"], optimize: number): string[] {
  const { defaultAction, defaultErrnoRet, architectures = [], syscalls = [] } = profile;
  const byDefault = answerOf(defaultAction, defaultErrnoRet, "");
  const known = architectures.flatMap((name) => tokens[name] ?? []);
  const lines = [
    `default ${byDefault}`,
    `native ${tokens[native[arch]]}`,
    `optimize ${optimize}`,
    ...known.map((token) => `arch ${token}`),
  ];
  for (const { names, action, errnoRet, args = [] } of syscalls) {
    const answer = answerOf(action, errnoRet, "");
    if (answer === byDefault) continue;
    for (const name of names) {
      for (const all of alternatives(args)) {
        const words = all.map(({ index, op, value, valueTwo = 0 }) => [
          index,
          operators[op],
          value,
          valueTwo,
        ]);
        lines.push(`rule ${answer} ${name} ${all.length} ${words.flat().join(" ")}`);
      }
    }
  }
  lines.push("export");
  return lines;
}

/** runc's reading: where an argument is named twice, each condition is a rule of its own. */
export function alternatives<T extends { readonly index: number }>(args: readonly T[]): (readonly T[])[] {
  const repeats = new Set(args.map(({ index }) => index)).size < args.length;
  return repeats ? args.map((arg) => [arg]) : [args];
}

/** A profile that libseccomp makes a filter of, for a host; `optimize` 2 asks for its binary tree. */
export interface Asked {
  readonly profile: LinuxSeccomp;
  readonly arch: Host["arch"];
  readonly optimize?: 1 | 2;
}

/** libseccomp's filters, without what runc puts before them, or why it makes none. */
export function libseccompOutcomes(asked: readonly Asked[]): (Uint8Array | "refused" | "endless")[] {
  const out = ask(asked.flatMap(({ profile, arch, optimize = 1 }) => orders(profile, arch, optimize)));
  let at = 0;
  return asked.map(() => {
    const end = out.indexOf(0x0a, at);
    const [word, length] = out.toString("latin1", at, end).split(" ");
    at = end + 1;
    if (word === "refused" || word === "endless") return word;
    if (word !== "filter") throw new Error(`the helper said ${word}`);
    at += Number(length);
    return new Uint8Array(out.subarray(at - Number(length), at));
  });
}

/** As {@link libseccompOutcomes}; undefined where it makes no filter. */
export function libseccompFilters(asked: readonly Asked[]): (Uint8Array | undefined)[] {
  return libseccompOutcomes(asked).map((outcome) => (typeof outcome === "string" ? undefined : outcome));
}

/** Numbers by libseccomp's tables; -1 for a name that it does not know, below that for one that the architecture lacks. */
export function libseccompNumbers(token: number, names: readonly string[]): number[] {
  return ask(names.map((name) => `resolve ${token} ${name}`))
    .toString()
    .trim()
    .split("\n")
    .map(Number);
}

/** Names by libseccomp's tables, undefined for a number without one. */
export function libseccompNames(token: number, numbers: readonly number[]): (string | undefined)[] {
  return ask(numbers.map((number) => `name ${token} ${number}`))
    .toString()
    .trim()
    .split("\n")
    .map((name) => (name === "-" ? undefined : name));
}
