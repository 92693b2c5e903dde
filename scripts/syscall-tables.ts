// Writes the tables of system calls in src/kernel/syscall-tables of the architectures that ctr-bun does not run on,
// anew from the headers of Linux that Debian packs for cross compilers (linux-libc-dev-*-cross, unpacked below
// build/headers, not installed). Needs gcc for its preprocessor. Those of the architectures that it runs on were taken
// from the kernel's own tables, and are compared with libseccomp's by the tests as these are.
//
//   bun scripts/syscall-tables.ts

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { syscallNumbers } from "../src/kernel/syscall-tables/tables.ts";

const root = resolve(import.meta.dir, "..");
const headers = join(root, "build/headers");
const folder = join(root, "src/kernel/syscall-tables");

/** Where a table comes from. */
interface Source {
  /** Of linux-libc-dev-*-cross, and the folder below usr/ that it unpacks to. */
  readonly debian: readonly [name: string, triplet: string];
  /** What a compiler for the architecture defines, as far as the headers ask. */
  readonly macros: readonly string[];
  /** What the numbers of later calls start from. */
  readonly base?: number;
  /** Calls of the architecture's own that are newer than the headers. */
  readonly own?: Readonly<Record<string, number>>;
  /** Where the numbers stand in the kernel's source. */
  readonly from: string;
}

const mips = ["mips64el", "mips64el-linux-gnuabi64"] as const;
const powerpc = ["powerpc", "powerpc-linux-gnu"] as const;
const parisc = ["hppa", "hppa-linux-gnu"] as const;
const riscv = ["riscv64", "riscv64-linux-gnu"] as const;
const s390 = ["s390x", "s390x-linux-gnu"] as const;

const sources: Readonly<Record<string, Source>> = {
  // Not in Debian 12. It has the generic numbers, and of the generic calls those that all have.
  loongarch64: {
    debian: riscv,
    macros: ["__SIZEOF_POINTER__=8", "__ARCH_WANT_SYS_CLONE3", "__ARCH_WANT_NEW_STAT"],
    from: "include/uapi/asm-generic/unistd.h",
  },
  m68k: {
    debian: ["m68k", "m68k-linux-gnu"],
    macros: [],
    from: "arch/m68k/kernel/syscalls/syscall.tbl",
  },
  mips: {
    debian: mips,
    macros: ["_MIPS_SIM=1"],
    base: 4000,
    from: "arch/mips/kernel/syscalls/syscall_o32.tbl",
  },
  mips64: {
    debian: mips,
    macros: ["_MIPS_SIM=3"],
    base: 5000,
    from: "arch/mips/kernel/syscalls/syscall_n64.tbl",
  },
  mips64n32: {
    debian: mips,
    macros: ["_MIPS_SIM=2"],
    base: 6000,
    from: "arch/mips/kernel/syscalls/syscall_n32.tbl",
  },
  parisc: { debian: parisc, macros: [], from: "arch/parisc/kernel/syscalls/syscall.tbl, 32 bits" },
  parisc64: {
    debian: parisc,
    macros: ["__LP64__"],
    from: "arch/parisc/kernel/syscalls/syscall.tbl, 64 bits",
  },
  ppc: { debian: powerpc, macros: [], from: "arch/powerpc/kernel/syscalls/syscall.tbl, 32 bits" },
  ppc64: {
    debian: powerpc,
    macros: ["__powerpc64__"],
    from: "arch/powerpc/kernel/syscalls/syscall.tbl, 64 bits",
  },
  riscv64: {
    debian: riscv,
    macros: ["__SIZEOF_POINTER__=8", "__LP64__", "__riscv_xlen=64"],
    own: { riscv_hwprobe: 258 },
    from: "asm-generic/unistd.h and riscv's asm/unistd.h",
  },
  s390: { debian: s390, macros: [], from: "arch/s390/kernel/syscalls/syscall.tbl, 31 bits" },
  s390x: { debian: s390, macros: ["__s390x__"], from: "arch/s390/kernel/syscalls/syscall.tbl, 64 bits" },
  sh: { debian: ["sh4", "sh4-linux-gnu"], macros: [], from: "arch/sh/kernel/syscalls/syscall.tbl" },
};

/** From here on every architecture has the same calls at the same numbers (Linux 6.2 and later). */
const SHARED = 451;

function run(command: readonly string[], cwd = root): string {
  const { success, stdout, stderr } = Bun.spawnSync([...command], { cwd, stdin: "ignore" });
  if (!success) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

/** The include folder of a package, which is unpacked on first use. */
function includes([name, triplet]: Source["debian"]): string {
  const found = join(headers, "usr", triplet, "include");
  if (existsSync(found)) return found;
  mkdirSync(headers, { recursive: true });
  const work = mkdtempSync(join(headers, ".download-"));
  try {
    run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", `linux-libc-dev-${name}-cross`], work);
    for (const each of readdirSync(work)) run(["dpkg", "-x", join(work, each), headers]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return found;
}

/** The calls in the headers, by name. */
function numbersIn({ debian, macros, from }: Source): Map<string, number> {
  const include = includes(debian);
  const isGeneric = from === "include/uapi/asm-generic/unistd.h";
  const header = join(include, isGeneric ? "asm-generic/unistd.h" : "asm/unistd.h");
  const defines = macros.map((macro) => `-D${macro}`);
  const text = run(["gcc", "-E", "-dM", "-undef", "-nostdinc", "-I", include, ...defines, header]);
  const said = new Map([...text.matchAll(/^#define (__NR\w+) (.+)$/gm)].map(([, name, is]) => [name, is]));
  const evaluate = (expression: string): number =>
    expression
      .replace(/[()]/g, "")
      .split("+")
      .map((term) => term.trim())
      .reduce((sum, term) => sum + (said.has(term) ? evaluate(said.get(term) ?? "") : Number(term)), 0);
  const numbers = new Map<string, number>();
  for (const [macro = "", is = ""] of said) {
    const name = macro.slice("__NR_".length);
    // Marks of a range's end, bases, and places that are kept free.
    const isCall =
      macro.startsWith("__NR_") && !/^([A-Z0-9]|syscalls$|arch_specific|reserved|unused)/.test(name);
    if (isCall) numbers.set(name, evaluate(is));
  }
  return numbers;
}

/** Lines of at most 110 characters: names in the order of their numbers, and a number before each that is not next. */
function table(numbers: ReadonlyMap<string, number>): string {
  const words: string[] = [];
  let next = -1;
  for (const [name, number] of [...numbers].sort(([a, one], [b, other]) => one - other || (a < b ? -1 : 1))) {
    if (number !== next) words.push(String(number));
    words.push(name);
    next = number + 1;
  }
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 110) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

const later = [...syscallNumbers("x86_64")].filter(([, number]) => number >= SHARED);
for (const [name, source] of Object.entries(sources)) {
  const numbers = numbersIn(source);
  for (const [call, number] of later) numbers.set(call, (source.base ?? 0) + number);
  for (const [call, number] of Object.entries(source.own ?? {})) numbers.set(call, number);
  const text = `/**
 * All system calls of ${name} up to Linux 6.18, from ${source.from}.
 * Form: names in the order of their numbers; a number says that the next name has it. tables.ts reads it, and
 * scripts/syscall-tables.ts wrote it.
 */
export const ${name} = (): string => \`
${table(numbers)}
\`;
`;
  const path = join(folder, `${name}.ts`);
  const isNew = !existsSync(path) || readFileSync(path, "utf8") !== text;
  if (isNew) writeFileSync(path, text);
  console.log(`${name.padEnd(12)} ${numbers.size} calls${isNew ? "" : ", as before"}`);
}
