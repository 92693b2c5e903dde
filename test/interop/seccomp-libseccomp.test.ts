/**
 * Our filters against libseccomp's, which runc and crun install: the same verdict on every call of every architecture.
 * Every difference is put down to a cause by test/support/seccomp/compare.ts; docs/seccomp.md explains the causes.
 */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compile } from "../../drivers/seccomp/compile.ts";
import { defaultProfile } from "../../drivers/seccomp/default-profile.ts";
import { fromDockerProfile } from "../../drivers/seccomp/docker-profile.ts";
import type { Host } from "../../src/driver.ts";
import { syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import {
  type LinuxSeccomp,
  type LinuxSyscall,
  SECCOMP_OPERATORS,
  type SeccompArchitecture,
} from "../../src/spec/runtime/seccomp.ts";
import { compareAll, newTally, type Tally } from "../support/seccomp/compare.ts";
import { measure } from "../support/seccomp/executed.ts";
import { libseccompOutcomes } from "../support/seccomp/libseccomp.ts";
import { KINDS, sampleProfiles } from "../support/seccomp/profiles.ts";

const hosts: Host["arch"][] = ["x86_64", "aarch64"];
const everywhere: SeccompArchitecture[] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
const capabilities = [[], ["CAP_SYS_ADMIN"], ["CAP_SYS_PTRACE", "CAP_SYS_TIME"], ["CAP_BPF", "CAP_PERFMON"]];

/** CTR_BUN_SEED and CTR_BUN_SECCOMP_PROFILES ask for other ones, and more of them. */
const seed = Number(process.env.CTR_BUN_SEED ?? 11);
const count = Number(process.env.CTR_BUN_SECCOMP_PROFILES ?? 200);

const total = { cases: 0, profiles: 0 };
function add(tally: Tally): void {
  total.cases += tally.cases;
  total.profiles += tally.profiles;
}

afterAll(() => {
  console.log(`${total.cases} cases of ${total.profiles} profiles compared with libseccomp`);
  expect(total.cases).toBeGreaterThan(1_000_000);
});

/** Compares profiles that libseccomp answers as they say: no difference at all. */
function same(profiles: readonly LinuxSeccomp[], arch: Host["arch"] = "x86_64"): void {
  const tally = newTally();
  compareAll(profiles, arch, tally);
  add(tally);
  expect({ ...tally, unexplained: tally.unexplained.slice(0, 3) }).toEqual({
    ...newTally(),
    profiles: profiles.length,
    cases: tally.cases,
  });
}

test.each(hosts)("our default profile on %s, for several capabilities", (arch) => {
  same(
    capabilities.flatMap((caps) => [
      defaultProfile(caps, arch),
      { ...defaultProfile(caps, arch), architectures: [] },
    ]),
    arch,
  );
  if (arch === "x86_64")
    same(capabilities.map((caps) => ({ ...defaultProfile(caps, arch), architectures: everywhere })));
});

test.each([
  ["Podman's", "usr/share/containers/seccomp.json"],
  ["Docker's", "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json"],
])("%s default profile, on both hosts", (_, file) => {
  const unpacked = resolve(import.meta.dir, "../../build/tools", file);
  let text: string;
  try {
    text = readFileSync(join("/", file), "utf8");
  } catch {
    text = readFileSync(unpacked, "utf8");
  }
  for (const arch of hosts) {
    same(
      capabilities.map((caps) => fromDockerProfile(JSON.parse(text), caps, arch, [6, 1])),
      arch,
    );
  }
});

test.each(SECCOMP_OPERATORS)("%s on every argument", (op) => {
  const values = [0n, 5n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0005n, 0xffff_ffff_ffff_fffen];
  same(
    values.map((value) => ({
      defaultAction: "SCMP_ACT_LOG",
      architectures: everywhere,
      syscalls: ["lseek", "fcntl", "ioctl", "dup3", "kill", "tgkill"].map((name, index) => ({
        names: [name],
        action: "SCMP_ACT_ERRNO",
        args: [{ index, op, value, valueTwo: 0x1_0000_0004n }],
      })),
    })),
  );
});

test("i386's socketcall and ipc", () => {
  const seven = (index: number) => ({ index, op: "SCMP_CMP_EQ" as const, value: 7 });
  const syscalls: LinuxSyscall[] = [
    {
      names: ["socket", "bind", "accept", "accept4", "recvmmsg", "sendmmsg", "send"],
      action: "SCMP_ACT_ALLOW",
    },
    { names: ["semop", "semctl", "semtimedop", "shmget", "msgctl"], action: "SCMP_ACT_TRAP" },
    { names: ["connect", "msgget"], action: "SCMP_ACT_KILL_PROCESS", args: [seven(0), seven(1)] },
  ];
  same([{ defaultAction: "SCMP_ACT_LOG", architectures: everywhere, syscalls }]);
});

test("an argument that is named twice", () => {
  const args = [1, 2, 0x1_0000_0001].map((value) => ({ index: 0, op: "SCMP_CMP_EQ" as const, value }));
  same([{ defaultAction: "SCMP_ACT_TRAP", syscalls: [{ names: ["kill"], action: "SCMP_ACT_ALLOW", args }] }]);
});

test("the same args with two actions are refused by both", () => {
  const args = [{ index: 0, op: "SCMP_CMP_EQ" as const, value: 1 }];
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_LOG",
    syscalls: [
      { names: ["kill"], action: "SCMP_ACT_ALLOW", args },
      { names: ["kill"], action: "SCMP_ACT_TRAP", args },
    ],
  };
  expect(libseccompOutcomes([{ profile, arch: "x86_64" }])).toEqual(["refused"]);
  expect(() => compile(profile, "x86_64", [6, 1])).toThrow("another action");
});

test.each(hosts.flatMap((arch) => KINDS.map((kind) => [kind, arch] as const)))(
  "generated profiles (%s, %s): every difference has its cause",
  (kind, arch) => {
    const tally = newTally();
    compareAll(sampleProfiles(kind, arch, count, seed), arch, tally);
    add(tally);
    const { unexplained, examples, ...counts } = tally;
    console.log(`${kind}, ${arch}, seed ${seed}: ${Bun.inspect(counts, { compact: true })}`);
    expect(unexplained.slice(0, 3)).toEqual([]);
    // Where no rules contradict each other, only what libseccomp itself gets wrong is left.
    if (kind === "names") expect([tally.order, tally.astray, tally.uneven]).toEqual([0, 0, 0]);
  },
);

test.each(capabilities.map((caps) => [caps]))(
  "the default profile with %j takes fewer instructions than libseccomp's",
  (caps) => {
    const profile = defaultProfile(caps, "x86_64");
    const outcomes = libseccompOutcomes([
      { profile, arch: "x86_64" },
      { profile, arch: "x86_64", optimize: 2 },
    ]);
    const [chain, tree] = outcomes.map((outcome) => (typeof outcome === "string" ? undefined : outcome));
    if (chain === undefined || tree === undefined) throw new Error("libseccomp made no filter");
    const { filter } = compile(profile, "x86_64", [6, 1]);
    const scopes = {
      "every call": [...new Set(syscallNumbers("x86_64").values())],
      "0 to 600": Array.from({ length: 601 }, (_, n) => n),
    };
    for (const [scope, numbers] of Object.entries(scopes)) {
      const of = (program: Uint8Array) => measure(program, profile, numbers);
      const [ours, linear, binary] = [of(filter), of(chain), of(tree)];
      const text = [ours, linear, binary].map(
        ({ average, worst }) => `${average.toFixed(2)} (worst ${worst})`,
      );
      console.log(`${scope}: ours ${text[0]}, libseccomp ${text[1]}, with its binary tree ${text[2]}`);
      for (const theirs of [linear, binary]) {
        expect(ours.average).toBeLessThan(theirs.average);
        expect(ours.worst).toBeLessThan(theirs.worst);
      }
    }
  },
);
