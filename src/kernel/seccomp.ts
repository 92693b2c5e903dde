/**
 * Numbers of seccomp(2) filters: what a filter may answer, its flags, what it reads, and the classic BPF opcodes
 * that it is made of. Not here: making a filter (drivers/seccomp), or the call itself.
 */

// include/uapi/linux/seccomp.h: an answer is an action in the upper 16 bits and data in the lower.
export const SECCOMP_RET_KILL_PROCESS = 0x8000_0000;
export const SECCOMP_RET_KILL_THREAD = 0;
export const SECCOMP_RET_TRAP = 0x0003_0000;
export const SECCOMP_RET_ERRNO = 0x0005_0000;
export const SECCOMP_RET_USER_NOTIF = 0x7fc0_0000;
export const SECCOMP_RET_TRACE = 0x7ff0_0000;
export const SECCOMP_RET_LOG = 0x7ffc_0000;
export const SECCOMP_RET_ALLOW = 0x7fff_0000;
export const SECCOMP_RET_ACTION_FULL = 0xffff_0000;
export const SECCOMP_RET_DATA = 0x0000_ffff;

export const SECCOMP_FILTER_FLAG_TSYNC = 1;
export const SECCOMP_FILTER_FLAG_LOG = 2;
export const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
export const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32;

// seccomp(2): what else it is asked for
export const SECCOMP_GET_NOTIF_SIZES = 3;

// On a listener: _IOWR('!', 0, struct seccomp_notif), _IOWR('!', 1, struct seccomp_notif_resp)
export const SECCOMP_IOCTL_NOTIF_RECV = 0xc050_2100;
export const SECCOMP_IOCTL_NOTIF_SEND = 0xc018_2101;
/** The call is made after all. What its pointers lead to may be another thing by then: no decision for safety. */
export const SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1;

// struct seccomp_data: byte offsets; each argument is 64 bits, and a filter loads 32 at a time.
export const SECCOMP_DATA_NR = 0;
export const SECCOMP_DATA_ARCH = 4;
export const SECCOMP_DATA_ARGS = 16;
export const SECCOMP_DATA_SIZE = 64;

// include/uapi/linux/audit.h: EM_* of elf-em.h with __AUDIT_ARCH_64BIT and __AUDIT_ARCH_LE
export const AUDIT_ARCH_X86_64 = 0xc000_003e;
export const AUDIT_ARCH_I386 = 0x4000_0003;
export const AUDIT_ARCH_AARCH64 = 0xc000_00b7;
export const AUDIT_ARCH_ARM = 0x4000_0028;

// arch/x86/include/uapi/asm/unistd.h: in the number of every x32 call, whose audit architecture is x86-64's
export const X32_SYSCALL_BIT = 0x4000_0000;
// arch/arm/include/uapi/asm/unistd.h: the calls private to ARM start here
export const ARM_NR_BASE = 0xf_0000;

// include/uapi/linux/bpf_common.h: class, size, mode, operation and source of an instruction, as filters use them
export const BPF_LD_W_ABS = 0x20;
export const BPF_ALU_AND_K = 0x54;
export const BPF_JMP_JA = 0x05;
export const BPF_JMP_JEQ_K = 0x15;
export const BPF_JMP_JGT_K = 0x25;
export const BPF_JMP_JGE_K = 0x35;
export const BPF_JMP_JSET_K = 0x45;
export const BPF_RET_K = 0x06;

/** Instructions that one program may have. */
export const BPF_MAXINSNS = 4096;
/** Bytes of a struct sock_filter: u16 code, u8 jt, u8 jf, u32 k. */
export const SOCK_FILTER_SIZE = 8;
