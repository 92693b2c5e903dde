/**
 * Our filters against those that runc installs, read back out of the kernel: libseccomp's, and before it what runc adds
 * for calls that are newer than the profile. Every number up to 1100 and those at the borders, of every architecture:
 * the same verdict, but for two reasons that are told apart below.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Abi, abisOf } from "../../drivers/seccomp/abi.ts";
import { BAD_ARCH, NO_SUCH_CALL } from "../../drivers/seccomp/answer.ts";
import { compile } from "../../drivers/seccomp/compile.ts";
import { defaultProfile } from "../../drivers/seccomp/default-profile.ts";
import { fromDockerProfile } from "../../drivers/seccomp/docker-profile.ts";
import { type Call, interpret } from "../../drivers/seccomp/interpret.ts";
import { AUDIT_ARCH_X86_64, X32_SYSCALL_BIT } from "../../src/kernel/seccomp.ts";
import { writeJson } from "../../src/spec/json.ts";
import type { LinuxSeccomp, LinuxSyscall, SeccompArchitecture } from "../../src/spec/runtime/seccomp.ts";
import { CTR_BUN, freshID } from "../support/bundle.ts";
import { specConfig } from "../support/config.ts";
import { argumentsFor } from "../support/seccomp/arguments.ts";
import { built } from "../support/seccomp/built.ts";
import { libseccompNumbers, tokens } from "../support/seccomp/libseccomp.ts";
import { filtersOf } from "../support/seccomp/readback.ts";
import { command } from "../support/two-runtimes.ts";

const kernel = [6, 1] as const;
const folder = mkdtempSync(join(tmpdir(), "ctr-bun-seccomp-runc-"));
const counted = { profiles: 0, cases: 0, newer: 0, none: 0 };
beforeAll(() => {
  mkdirSync(join(folder, "rootfs"));
  for (const runtime of ["runc", "gcc"])
    if (Bun.which(runtime) === null) throw new Error(`${runtime} is missing: npm test installs it`);
  copyFileSync(built("pause", "-nostdlib", "-static"), join(folder, "rootfs/pause"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  const { profiles, cases, newer, none } = counted;
  console.log(
    `${cases} cases of ${profiles} profiles compared with runc's filters, ${newer} newer than its libseccomp, ${none} of numbers that are no calls`,
  );
  expect(cases).toBeGreaterThan(100_000);
});

/** The filters of a container's program under a runtime. */
async function installed(runtime: string, seccomp: LinuxSeccomp): Promise<Uint8Array[]> {
  const bundle = mkdtempSync(join(folder, "bundle-"));
  const config = specConfig("../rootfs", ["/pause"]);
  config.linux.seccomp = seccomp;
  writeFileSync(join(bundle, "config.json"), writeJson(config));
  const id = freshID();
  const ask = (...args: string[]) => command([runtime, "--root", join(folder, "state"), ...args]);
  const pidFile = join(bundle, "pid");
  try {
    const ran = await ask("run", "--detach", "--pid-file", pidFile, "--bundle", bundle, id);
    if (ran.code !== 0) throw new Error(`${runtime}: ${ran.err}`);
    return await filtersOf(Number(readFileSync(pidFile, "utf8")));
  } finally {
    await ask("delete", "--force", id);
  }
}

/** Numbers to try on an architecture: up to 1100, the same with x32's bit, those of tables, ARM's private ones, the last. */
const NUMBERS: readonly number[] = [
  ...Array.from({ length: 1101 }, (_, number) => number),
  ...Array.from({ length: 1101 }, (_, number) => 0x4000_0000 + number),
  ...[0xf_0000, 0xf_0001, 0xf_0005, 0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000],
  ...[0xffff_fffe, 0xffff_ffff],
];

const PLAIN: readonly (readonly bigint[])[] = [[], Array(6).fill(0xffff_ffff_ffff_ffffn)];

/** Whether runc's libseccomp has the name, on any architecture. */
function knownNames(names: readonly string[]): ReadonlySet<string> {
  const numbers = libseccompNumbers(tokens.SCMP_ARCH_X86_64 ?? 0, names);
  return new Set(names.filter((_, index) => numbers[index] !== -1));
}

/** The profile without the names that runc's libseccomp does not know, and so leaves out. */
function withoutNewer(profile: LinuxSeccomp): LinuxSeccomp {
  const known = knownNames([...new Set((profile.syscalls ?? []).flatMap(({ names }) => names))]);
  const syscalls = (profile.syscalls ?? []).flatMap((entry) => {
    const names = entry.names.filter((name) => known.has(name));
    return names.length === 0 ? [] : { ...entry, names };
  });
  return { ...profile, syscalls };
}

/** Every way to call that this host's filters may meet, and two that they may not: what seccomp_data.arch says, its tables. */
const ways: readonly { readonly audit: number; readonly abis: readonly Abi[] }[] = [
  ...Map.groupBy([...abisOf("x86_64"), ...abisOf("aarch64")], ([, { audit }]) => audit),
].map(([audit, abis]) => ({ audit, abis: abis.map(([, abi]) => abi) }));

/**
 * Why a verdict may be another one. `newer`: the profile names calls that runc's libseccomp does not know, and without
 * these names the two agree. `none`: numbers above x32's, which no kernel has as calls; where x32 is not covered they are
 * KILL_THREAD in libseccomp and here, but runc looks at x32's bit alone, and has them for newer calls of x86-64.
 */
function reasonFor(
  { number, audit }: Call,
  { answer, theirAnswer, asKnown }: { answer: number; theirAnswer: number; asKnown: number },
): "newer" | "none" | undefined {
  if (asKnown === theirAnswer) return "newer";
  const isNone = audit === AUDIT_ARCH_X86_64 && number >= 0x8000_0000 && (number & X32_SYSCALL_BIT) === 0;
  return isNone && answer === BAD_ARCH && theirAnswer === NO_SUCH_CALL ? "none" : undefined;
}

/** Compares one profile, and gives cases that differ without a reason, in words. */
async function differences(profile: LinuxSeccomp): Promise<string[]> {
  const [theirs, ...others] = await installed("runc", profile);
  if (theirs === undefined || others.length > 0)
    throw new Error(`runc installed ${others.length + 1} filters`);
  const ours = compile(profile, "x86_64", kernel).filter;
  const known = compile(withoutNewer(profile), "x86_64", kernel).filter;
  const found: string[] = [];
  counted.profiles++;
  for (const { audit, abis } of ways) {
    const tried = abis.map((abi) => argumentsFor(profile, abi));
    for (const number of NUMBERS) {
      for (const args of [...PLAIN, ...tried.flatMap((some) => some.get(number) ?? [])]) {
        const call = { number, audit, args };
        const [answer, theirAnswer] = [interpret(ours, call), interpret(theirs, call)];
        counted.cases++;
        if (answer === theirAnswer) continue;
        const reason = reasonFor(call, { answer, theirAnswer, asKnown: interpret(known, call) });
        if (reason !== undefined) counted[reason]++;
        else
          found.push(
            `${audit.toString(16)} ${number}(${args.join()}): ${inWords(answer)}, runc ${inWords(theirAnswer)}`,
          );
      }
    }
  }
  return found;
}
const inWords = (answer: number): string => `0x${answer.toString(16)}`;

/** Two at a time. */
async function same(profiles: readonly LinuxSeccomp[]): Promise<void> {
  const left = [...profiles.entries()];
  const found: string[] = [];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, profile] = next;
      found.push(...(await differences(profile)).map((text) => `profile ${index}: ${text}`));
    }
  };
  await Promise.all([work(), work()]);
  expect(found.slice(0, 20)).toEqual([]);
}

const capabilities = [[], ["CAP_SYS_ADMIN", "CAP_BPF"], ["CAP_SYS_PTRACE", "CAP_SYS_TIME", "CAP_PERFMON"]];
const X64: SeccompArchitecture[] = ["SCMP_ARCH_X86_64"];
const LISTS: readonly SeccompArchitecture[][] = [
  [],
  X64,
  [...X64, "SCMP_ARCH_X86"],
  [...X64, "SCMP_ARCH_X32"],
  [...X64, "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  ["SCMP_ARCH_X86"],
];

test("our default profile, for several capabilities and architectures", () =>
  same([
    ...capabilities.map((caps) => defaultProfile(caps, "x86_64")),
    ...[LISTS[0], LISTS[4]].map((architectures) => ({ ...defaultProfile([], "x86_64"), architectures })),
  ]));

test.each([
  ["Podman's", "usr/share/containers/seccomp.json"],
  ["Docker's", "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json"],
])("%s default profile", (_, file) =>
  same(
    capabilities.map((caps) => fromDockerProfile(JSON.parse(installedText(file)), caps, "x86_64", kernel)),
  ),
);

/** A file of a package, installed or unpacked by `npm test`. */
function installedText(file: string): string {
  try {
    return readFileSync(join("/", file), "utf8");
  } catch {
    return readFileSync(resolve(import.meta.dir, "../../build/tools", file), "utf8");
  }
}

/** What runc's init may call between the load of the filter and its program, and the program itself. */
const init: LinuxSyscall = {
  names:
    "execve pause getdents64 futex read write close openat fstatfs fcntl getpid gettid tgkill rt_sigreturn rt_sigprocmask sigaltstack nanosleep sched_yield epoll_pwait epoll_ctl mmap munmap madvise exit_group clock_gettime".split(
      " ",
    ),
  action: "SCMP_ACT_ALLOW",
};
const high = 0x5_0000_0001n;
const rules: LinuxSyscall[] = [
  init,
  { names: ["kill", "clone3", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
  { names: ["kexec_load", "waitpid"], action: "SCMP_ACT_KILL_THREAD" },
  { names: ["socket", "bind"], action: "SCMP_ACT_TRAP", args: [{ index: 0, op: "SCMP_CMP_EQ", value: 38 }] },
  { names: ["ioctl"], action: "SCMP_ACT_LOG", args: [{ index: 1, op: "SCMP_CMP_GT", value: high }] },
  {
    names: ["personality", "clone"],
    action: "SCMP_ACT_TRACE",
    errnoRet: 7,
    args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: 0x7e02_0000, valueTwo: 0x2000_0000 }],
  },
  {
    names: ["prctl"],
    action: "SCMP_ACT_KILL_PROCESS",
    args: [
      { index: 0, op: "SCMP_CMP_NE", value: high },
      { index: 4, op: "SCMP_CMP_LE", value: 0xffff_ffffn },
    ],
  },
];

/** Every default with two lists of architectures, and the usual one with all. */
describe("a profile of every action, of each architecture", () => {
  test.each([
    ["SCMP_ACT_ERRNO", 1, LISTS],
    ["SCMP_ACT_ERRNO", 4094, [X64]],
    ["SCMP_ACT_KILL_PROCESS", undefined, [[], LISTS[2]]],
    ["SCMP_ACT_TRAP", undefined, [X64, LISTS[4]]],
    ["SCMP_ACT_ALLOW", undefined, [[], LISTS[3]]],
    ["SCMP_ACT_LOG", undefined, [X64, LISTS[2]]],
    ["SCMP_ACT_TRACE", 65535, [[], LISTS[4]]],
  ] as const)("%s by default (errno %p)", (defaultAction, defaultErrnoRet, lists) =>
    same(
      lists.map((architectures) => ({
        defaultAction,
        ...(defaultErrnoRet !== undefined && { defaultErrnoRet }),
        architectures: [...(architectures ?? [])],
        syscalls: rules,
      })),
    ),
  );
});

test("an errno that the kernel would make another one is refused by both", async () => {
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["kill"], action: "SCMP_ACT_ERRNO", errnoRet: 4095 }],
  };
  await expect(installed("runc", profile)).rejects.toThrow(
    "error adding seccomp filter rule for syscall kill",
  );
  await expect(installed(CTR_BUN, profile)).rejects.toThrow(
    "linux.seccomp.syscalls[0].errnoRet: SCMP_ACT_ERRNO takes an errno up to 4094, got 4095",
  );
});

test("under ctr-bun the kernel holds the filter that compile gives, and no other", async () => {
  const profile = fromDockerProfile(
    JSON.parse(installedText("usr/share/containers/seccomp.json")),
    [],
    "x86_64",
    kernel,
  );
  expect(await installed(CTR_BUN, profile)).toEqual([compile(profile, "x86_64", kernel).filter]);
});
