import { describe, expect, test } from "bun:test";
import { fromDockerProfile } from "../../../drivers/seccomp/docker-profile.ts";
import { CtrError } from "../../../src/error.ts";

const profile = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  archMap: [
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    { architecture: "SCMP_ARCH_RISCV64", subArchitectures: null },
  ],
  syscalls: [
    { names: ["read"], action: "SCMP_ACT_ALLOW", args: [], comment: "", includes: {}, excludes: {} },
    { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" }, args: null },
    { names: ["futex_waitv"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "6.10" } },
    { names: ["bpf"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_BPF", "CAP_PERFMON"] } },
    { names: ["set_tls"], action: "SCMP_ACT_ALLOW", includes: { arches: ["arm", "arm64"] } },
    {
      names: ["clone"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 2114060288, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      excludes: { caps: ["CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"], arches: ["s390", "s390x"] },
    },
    { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38, excludes: { caps: ["CAP_SYS_ADMIN"] } },
    {
      name: "personality",
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 18446744073709551615n, op: "SCMP_CMP_EQ" }],
    },
  ],
};

const names = (caps: string[], arch: "x86_64" | "aarch64" = "x86_64") =>
  fromDockerProfile(profile, caps, arch, [6, 8]).syscalls?.flatMap((rule) => rule.names);

function fieldOf(value: unknown): string | undefined {
  try {
    fromDockerProfile(value, [], "x86_64", [6, 8]);
  } catch (thrown) {
    if (thrown instanceof CtrError) return thrown.field ?? "";
  }
  return undefined;
}

describe("Docker's form", () => {
  test("architectures are those mapped from the host's", () => {
    expect(fromDockerProfile(profile, [], "x86_64", [6, 8]).architectures).toEqual([
      "SCMP_ARCH_X86_64",
      "SCMP_ARCH_X86",
      "SCMP_ARCH_X32",
    ]);
    expect(fromDockerProfile(profile, [], "aarch64", [6, 8]).architectures).toEqual([
      "SCMP_ARCH_AARCH64",
      "SCMP_ARCH_ARM",
    ]);
  });

  test("rules are those for the container's capabilities, the host's architecture and kernel", () => {
    expect(names([])).toEqual(["read", "ptrace", "clone", "clone3", "personality"]);
    expect(names([], "aarch64")).toEqual(["read", "ptrace", "set_tls", "clone", "clone3", "personality"]);
  });

  test("includes wants all capabilities, one is enough for excludes", () => {
    expect(names(["CAP_BPF"])).toEqual(["read", "ptrace", "clone", "clone3", "personality"]);
    expect(names(["CAP_BPF", "CAP_PERFMON"])).toContain("bpf");
    expect(names(["CAP_SYS_RESOURCE"])).not.toContain("clone");
    expect(names(["CAP_SYS_ADMIN"])).not.toContain("clone3");
  });

  test("what is OCI's own is kept", () => {
    const { syscalls, defaultErrnoRet } = fromDockerProfile(profile, [], "x86_64", [6, 8]);
    expect(defaultErrnoRet).toBe(1);
    expect(syscalls?.at(-1)?.args).toEqual([{ index: 0, value: 18446744073709551615n, op: "SCMP_CMP_EQ" }]);
    expect(syscalls?.at(-2)).toMatchObject({ action: "SCMP_ACT_ERRNO", errnoRet: 38 });
  });

  test("faults are told with their place", () => {
    const rule = (more: object) => ({
      ...profile,
      syscalls: [{ names: ["read"], action: "SCMP_ACT_ALLOW", ...more }],
    });
    expect(fieldOf(rule({}))).toBeUndefined();
    expect(fieldOf(rule({ action: "SCMP_ACT_MAYBE" }))).toBe("syscalls[0].action");
    expect(fieldOf(rule({ includes: { minKernel: "new" } }))).toBe("syscalls[0].includes.minKernel");
    expect(fieldOf(rule({ names: [] }))).toBe("syscalls[0].names");
    expect(fieldOf(rule({ name: "write" }))).toBe("syscalls[0]");
    expect(fieldOf({ ...profile, architectures: ["SCMP_ARCH_X86_64"] })).toBe("");
    expect(fieldOf({ ...profile, defaultAction: undefined })).toBe("defaultAction");
  });
});

test("a profile in OCI's form comes through as it is", () => {
  const plain = {
    defaultAction: "SCMP_ACT_ALLOW" as const,
    architectures: ["SCMP_ARCH_X86" as const],
    flags: ["SECCOMP_FILTER_FLAG_LOG" as const],
    listenerPath: "/run/agent.sock",
    syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" as const }],
  };
  expect(fromDockerProfile(plain, [], "x86_64", [6, 8])).toEqual(plain);
});
