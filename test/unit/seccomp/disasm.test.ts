import { expect, test } from "bun:test";
import { compile } from "../../../drivers/seccomp/compile.ts";
import { disasm } from "../../../drivers/seccomp/disasm.ts";

test("a filter as text names calls, words and answers", () => {
  const { filter } = compile(
    {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86"],
      syscalls: [
        { names: ["read", "write", "exit_group"], action: "SCMP_ACT_ALLOW" },
        {
          names: ["kill"],
          action: "SCMP_ACT_LOG",
          args: [
            { index: 0, op: "SCMP_CMP_GT", value: 0x1_0000_0000 },
            { index: 1, op: "SCMP_CMP_MASKED_EQ", value: 0xf0, valueTwo: 0x10 },
          ],
        },
      ],
    },
    "x86_64",
    [6, 1],
  );
  expect(disasm(filter)).toMatchInlineSnapshot(`
    "0000 ld [4]                               # architecture
    0001 jeq 0xc000003e ? 0002 : 0013         # x86_64
    0002 ld [0]                               # number
    0003 jge 0xe7 ? 0007 : 0004               # exit_group
    0004 jge 0x3f ? 0029 : 0005               # uname
    0005 jge 0x2 ? 0006 : 0028                # open
    0006 jge 0x3e ? 0010 : 0029               # kill
    0007 jge 0x40000000 ? 0009 : 0008         # read of x32
    0008 jge 0xe8 ? 0029 : 0028               # epoll_wait
    0009 jge 0xffffffff ? 0029 : 0030
    0010 ld [20]                              # args[0], upper word
    0011 jgt 0x1 ? 0024 : 0012
    0012 jeq 0x1 ? 0022 : 0029
    0013 jeq 0x40000003 ? 0014 : 0030         # i386
    0014 ld [0]                               # number
    0015 jge 0xfc ? 0020 : 0016               # exit_group
    0016 jge 0x26 ? 0029 : 0017               # rename
    0017 jge 0x5 ? 0019 : 0018                # open
    0018 jge 0x3 ? 0028 : 0029                # read
    0019 jge 0x25 ? 0022 : 0029               # kill
    0020 jge 0xfd ? 0021 : 0028               # lookup_dcookie
    0021 ret 0x50026                          # ERRNO 38 (ENOSYS)
    0022 ld [16]                              # args[0], lower word
    0023 jgt 0x0 ? 0024 : 0029
    0024 ld [24]                              # args[1], lower word
    0025 and 0xf0
    0026 jeq 0x10 ? 0027 : 0029
    0027 ret 0x7ffc0000                       # LOG
    0028 ret 0x7fff0000                       # ALLOW
    0029 ret 0x50001                          # ERRNO 1 (EPERM)
    0030 ret 0x0                              # KILL_THREAD
    "
  `);
});

test("what no filter has is shown as it is", () => {
  expect(disasm(Uint8Array.of(0x99, 0, 1, 2, 3, 0, 0, 0))).toContain("0x99 1 2 0x3");
});
