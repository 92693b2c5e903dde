/**
 * The calls that programs spend their time with: their way through a filter is kept short.
 * What lives here: names. Not here: how much they weigh (compile.ts).
 */
import { syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import type { Abi } from "./abi.ts";

/** Servers wait, read and answer; runtimes of languages lock, and ask for memory and time; tools look at files. */
const names = `accept4 clock_gettime clock_nanosleep close epoll_ctl epoll_pwait epoll_wait fcntl fcntl64 fstat fstat64
  futex futex_time64 getdents64 getpid gettid ioctl lseek _llseek madvise mmap mmap2 mprotect munmap nanosleep
  newfstatat openat poll ppoll pread64 pwrite64 read readv recvfrom recvmsg rt_sigprocmask sched_yield sendmsg sendto
  stat64 statx write writev`;

/** Their numbers on an architecture, which has some of them. */
export function frequentNumbers({ table }: Abi): number[] {
  const numbers = syscallNumbers(table);
  return (names.match(/\S+/g) ?? []).flatMap((name) => numbers.get(name) ?? []);
}
