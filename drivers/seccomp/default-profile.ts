/**
 * ctr-bun's own default profile: a list of what is allowed, wider with each capability that the container has.
 * Not here: the names (default-calls.ts), or other people's profiles (docker-profile.ts).
 */
import type { Host } from "../../src/driver.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import type { LinuxSeccomp, LinuxSyscall, SeccompArchitecture } from "../../src/spec/runtime/seccomp.ts";
import { always, byCapability, byHost } from "./default-calls.ts";

/** x32 is left out: hardly a kernel has it switched on, and hardly a program is made for it. */
const architectures: Readonly<Record<Host["arch"], SeccompArchitecture[]>> = {
  x86_64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
  aarch64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

/** All namespaces that clone(2) can make; CLONE_NEWTIME is only for clone3 and unshare. */
const newNamespaces =
  CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

/**
 * include/linux/socket.h: sockets that hand data to the kernel's ciphers, much code that hardly a program uses, and those
 * to the hypervisor and its other guests, which no namespace keeps apart.
 */
const AF_ALG = 38;
const AF_VSOCK = 40;

/**
 * personality(2): PER_LINUX and PER_LINUX32, each also with UNAME26, and the question which one it is. The others
 * switch protections off (READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE) or bring old code to life.
 */
const personalities = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/**
 * The default profile for a container with these capabilities (`CAP_SYS_ADMIN`, ...), its bounding set. What it
 * does not allow is EPERM.
 */
export function defaultProfile(capabilities: readonly string[], arch: Host["arch"]): LinuxSeccomp {
  const opened = capabilities.map((name) => (Object.hasOwn(byCapability, name) ? byCapability[name] : ""));
  const text = [...Object.values(always), byHost[arch], ...opened].join(" ");
  const syscalls: LinuxSyscall[] = [
    { names: [...new Set(text.match(/\S+/g))], action: "SCMP_ACT_ALLOW" },
    // Rules, since two conditions on one argument of one rule are alternatives.
    ...(
      [
        ["SCMP_CMP_LT", AF_ALG],
        ["SCMP_CMP_EQ", AF_ALG + 1],
        ["SCMP_CMP_GT", AF_VSOCK],
      ] as const
    ).map(
      ([op, value]): LinuxSyscall => ({
        names: ["socket"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value, op }],
      }),
    ),
    ...personalities.map(
      (value): LinuxSyscall => ({
        names: ["personality"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
      }),
    ),
  ];
  if (!capabilities.includes("CAP_SYS_ADMIN")) {
    syscalls.push(
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: newNamespaces, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
      // Its flags are behind a pointer, out of a filter's sight: ENOSYS makes the C libraries fall back to clone.
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ERRNO.ENOSYS },
    );
  }
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: ERRNO.EPERM,
    architectures: architectures[arch],
    syscalls,
  };
}
