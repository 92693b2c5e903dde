/**
 * The door: one function that makes a system call and returns the kernel's own result, and one that starts a
 * program from a table of system calls. Everything else in kernel/ goes through here, and only kernel/ imports bun:ffi.
 *
 * libc's syscall() reports through errno, which other code on the thread may overwrite before JavaScript reads it.
 * So a page of our own machine code (trampoline-*.s) is mapped once, and called with linkSymbols.
 */
import { dlopen, FFIType, linkSymbols, type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { SYSCALLS, type Syscall } from "./syscalls.ts";

/** What a system call takes: a number, or memory whose address is meant. `null` is 0. */
export type SyscallArg = number | bigint | Uint8Array | null;

const arm = process.arch === "arm64";
if (process.arch !== "x64" && !arm)
  throw new Error(`ctr-bun runs on x86-64 and aarch64, not on ${process.arch}`);

/** Assembled trampoline-x86_64.s and trampoline-aarch64.s, base64. */
export const TRAMPOLINES = {
  x86_64:
    "g///dBpIifhIifdIidZIicpNicJNichMi0wkCA8Fw1NBVEiJ80mJ9Lg4AAAAvxFBAAAx9jHSRTHSRTHADwVIhcB0BEFcW8NIiwNIi3sISItzEEiLUxhMi1MgTItDKEyLSzAPBUiFwHgGSIPDOOvYSPfYSYlEJPhJiVwk8LjnAAAAv38AAAAPBQ8LV4s9b/8AAEiJ5roEAAAAuAEAAAAPBV/DuA8AAAAPBQ==",
  aarch64:
    "HwQAMUABAFToAwCq4AMBquEDAqriAwOq4wMEquQDBarlAwaqAQAA1MADX9bqAwGq6QMBqogbgNIgIojSAQCA0gIAgNIDAIDSBACA0gEAANRAAAC0wANf1igBQPkghUCpIo1BqSSVQqkBAADUYAD4tynhAJH5//8X4AMAy0CBH/hJAR/4yAuA0uAPgNIBAADUAAAg1OAPH7hA+wcY4QMAkYIAgNIICIDSAQAA1P9DAJHAA1/W",
};

const PROT_READ_WRITE = 3;
const PROT_READ_EXEC = 5;
const MAP_PRIVATE_ANONYMOUS = 0x22;
/** Bytes of code; as many follow that can be written: the cell with the signal handler's descriptor. */
const PAGE = 65536;

type Entry = (nr: number, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown) => number;

interface Linked {
  readonly call: Entry;
  readonly page: number;
}

function link(): Linked {
  const { ptr: pointer, i32, i64_fast } = FFIType;
  const args = [i32, pointer, pointer, i32, i32, i32, i32] as const;
  const libc = dlopen("libc.so.6", { syscall: { args, returns: pointer } }).symbols;
  const nr = arm ? 1 : 0;
  const size = PAGE as Pointer;
  const both = (2 * PAGE) as Pointer;
  const page = libc.syscall(SYSCALLS.mmap[nr], null, both, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (page === null || page < 4096) throw new Error("no memory for the system call trampoline");
  const code = Buffer.from(arm ? TRAMPOLINES.aarch64 : TRAMPOLINES.x86_64, "base64");
  new Uint8Array(toArrayBuffer(page, 0, PAGE)).set(code);
  if (libc.syscall(SYSCALLS.mprotect[nr], page, size, PROT_READ_EXEC, 0, 0, 0) !== null) {
    throw new Error("this kernel does not let memory become executable (a security module forbids it)");
  }
  const seven = [i32, pointer, pointer, pointer, pointer, pointer, pointer] as const;
  const linked = linkSymbols({ entry: { ptr: page, args: seven, returns: i64_fast } });
  return { call: linked.symbols.entry as unknown as Entry, page: Number(page) };
}

const { call: entry, page } = link();
const column = arm ? 1 : 0;

/**
 * Makes a system call and returns what the kernel returned: a value, or -errno. Memory given as a Uint8Array is
 * alive during the call; what the kernel keeps beyond it, the caller must keep.
 */
export function sys(
  name: Syscall,
  a: SyscallArg = 0,
  b: SyscallArg = 0,
  c: SyscallArg = 0,
  d: SyscallArg = 0,
  e: SyscallArg = 0,
  f: SyscallArg = 0,
): number {
  return entry(SYSCALLS[name][column], a, b, c, d, e, f);
}

/** The number of a system call on this architecture. */
export function syscallNumber(name: Syscall): number {
  return SYSCALLS[name][column];
}

/**
 * Address of a buffer, for structs that hold pointers. The buffer must stay referenced while the kernel uses it, and a
 * view of it (`viewOf`, `subarray`, `.buffer`) must be made before, not after: making one moves a small buffer's bytes.
 */
export function addressOf(buffer: Uint8Array): number {
  return buffer.byteLength === 0 ? 0 : ptr(buffer);
}

/** Bytes that a spawn table needs before its rows: two words for the errno and the row that failed. */
export const SPAWN_HEADER = 16;
/** Bytes of one row of a spawn table. */
export const SPAWN_ROW = 56;

/**
 * Starts a child that shares this process's memory until its last row (an execve) succeeds. `table` is
 * {@link SPAWN_HEADER} bytes and then rows {nr, a, b, c, d, e, f} of 8 bytes each. Signals must be blocked meanwhile.
 * Returns the child's pid or -errno of clone; a row's failure stands in the header.
 */
export function spawnTable(table: Uint8Array): number {
  return entry(-1, addressOf(table) + SPAWN_HEADER, 0, 0, 0, 0, 0);
}

/** Offsets of `handler` and `restorer` in the trampoline (nm of the assembled source). */
const HANDLER = arm ? 0x94 : 0x8a;
const RESTORER = arm ? undefined : 0xa2;

/**
 * Makes the trampoline's handler write the number of every signal that is set to it (4 bytes) to `fd`. Returns the
 * addresses for struct sigaction: the handler, and what it returns to (x86-64 only).
 */
export function signalHandler(fd: number): { handler: number; restorer: number | undefined } {
  new DataView(toArrayBuffer((page + PAGE) as Pointer, 0, 4)).setInt32(0, fd, true);
  return { handler: page + HANDLER, restorer: RESTORER === undefined ? undefined : page + RESTORER };
}
