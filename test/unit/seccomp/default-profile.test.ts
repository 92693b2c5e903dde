import { describe, expect, test } from "bun:test";
import { byCapability } from "../../../drivers/seccomp/default-calls.ts";
import { seccompDriver } from "../../../drivers/seccomp/driver.ts";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import type { Host } from "../../../src/driver.ts";
import {
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
} from "../../../src/kernel/seccomp.ts";
import { type SyscallTable, syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import { parseDocument } from "../../../src/spec/parse.ts";
import { LinuxSeccomp } from "../../../src/spec/runtime/seccomp.ts";

const EPERM = SECCOMP_RET_ERRNO | 1;
const ENOSYS = SECCOMP_RET_ERRNO | 38;
const hosts: Host["arch"][] = ["x86_64", "aarch64"];

function under(arch: Host["arch"], ...capabilities: string[]) {
  const program = seccompDriver.compile(seccompDriver.defaultProfile(capabilities, arch), arch, [6, 1]);
  return {
    program,
    verdict: (name: string, ...args: bigint[]) => seccompDriver.verdict(program, arch, name, args),
  };
}

describe.each(hosts)("on %s", (arch) => {
  test("it is a valid profile with no name that means nothing here", () => {
    const profile = seccompDriver.defaultProfile(["CAP_SYS_ADMIN"], arch);
    expect(parseDocument(LinuxSeccomp, profile, "default profile")).toEqual(profile);
    expect(under(arch).program).toMatchObject({ unknown: [], notify: [], flags: 4 });
  });

  test("what programs live on is allowed", () => {
    const { verdict } = under(arch);
    const names =
      "read write openat mmap futex execve exit_group rt_sigreturn clock_gettime statx getrandom ptrace";
    for (const name of names.split(" ")) expect([name, verdict(name)]).toEqual([name, SECCOMP_RET_ALLOW]);
  });

  test("what reaches past the container is EPERM", () => {
    const { verdict } = under(arch);
    const names = `mount umount2 pivot_root setns unshare bpf perf_event_open init_module kexec_load reboot swapon
      keyctl add_key request_key io_uring_setup userfaultfd open_by_handle_at settimeofday syslog quotactl acct
      open_tree move_mount fsopen fsmount mount_setattr chroot pidfd_getfd process_madvise nfsservctl`;
    for (const name of names.match(/\S+/g) ?? []) expect([name, verdict(name)]).toEqual([name, EPERM]);
  });

  test("processes and threads are made, namespaces are not", () => {
    const { verdict } = under(arch);
    expect(verdict("clone", 17n)).toBe(SECCOMP_RET_ALLOW);
    expect(verdict("clone", 0x3d0f00n)).toBe(SECCOMP_RET_ALLOW);
    for (const flag of [
      0x2_0000n,
      0x200_0000n,
      0x400_0000n,
      0x800_0000n,
      0x1000_0000n,
      0x2000_0000n,
      0x4000_0000n,
    ]) {
      expect([flag, verdict("clone", flag | 17n)]).toEqual([flag, EPERM]);
    }
    expect(verdict("clone3")).toBe(ENOSYS);
  });

  test("sockets, but not to the kernel's ciphers, and not to the hypervisor", () => {
    const { verdict } = under(arch);
    const [AF_ALG, AF_VSOCK] = [38n, 40n];
    for (let family = 0n; family < 50n; family++) {
      const expected = family === AF_ALG || family === AF_VSOCK ? EPERM : SECCOMP_RET_ALLOW;
      expect([family, verdict("socket", family)]).toEqual([family, expected]);
    }
  });

  test("personalities that switch no protection off", () => {
    const { verdict } = under(arch);
    for (const value of [0n, 8n, 0x2_0000n, 0x2_0008n, 0xffff_ffffn]) {
      expect(verdict("personality", value)).toBe(SECCOMP_RET_ALLOW);
    }
    for (const value of [4n, 0x4_0000n, 0x40_0000n, 1n << 32n, 0xffff_ffff_ffff_ffffn]) {
      expect(verdict("personality", value)).toBe(EPERM);
    }
  });

  test("calls newer than the profile are ENOSYS", () => {
    const { program } = under(arch);
    const audit = arch === "x86_64" ? 0xc000_003e : 0xc000_00b7;
    expect(interpret(program.filter, { number: 470, audit })).toBe(ENOSYS);
  });

  test.each(Object.entries(byCapability))("%s opens its calls", (capability, names) => {
    const { verdict } = under(arch, capability);
    const here = names.match(/\S+/g)?.filter((name) => syscallNumbers(arch).has(name)) ?? [];
    for (const name of here) expect([name, verdict(name, 0x1000_0000n)]).toEqual([name, SECCOMP_RET_ALLOW]);
  });
});

test.each<[Host["arch"], number, SyscallTable]>([
  ["x86_64", AUDIT_ARCH_I386, "i386"],
  ["aarch64", AUDIT_ARCH_ARM, "arm"],
])("32-bit programs on %s live under it as well", (arch, audit, table) => {
  const { program } = under(arch);
  const verdict = (name: string, ...args: bigint[]) =>
    interpret(program.filter, { number: syscallNumbers(table).get(name) ?? -1, audit, args });
  const allowed = [
    "mmap2",
    "fcntl64",
    "clock_gettime64",
    "futex_time64",
    "getuid32",
    "_llseek",
    "ugetrlimit",
  ];
  for (const name of allowed) expect([name, verdict(name)]).toEqual([name, SECCOMP_RET_ALLOW]);
  expect([verdict("mount"), verdict("clone", 0x1000_0000n), verdict("socket", 40n)]).toEqual([
    EPERM,
    EPERM,
    EPERM,
  ]);
});
