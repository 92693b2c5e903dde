/**
 * The system calls of ctr-bun's default profile, by what they are for, and by the capability that opens more.
 * What lives here: names. Not here: rules on arguments, and the profile made of it all (default-profile.ts).
 *
 * Left out on purpose, whatever the capabilities: the kernel's keyrings (not kept apart by container: add_key,
 * keyctl, request_key), io_uring (work outside of what a filter sees), userfaultfd (makes kernel bugs easy to use),
 * kexec, swap, NFS, obsolete calls (_sysctl, uselib, ustat, sysfs, vm86), moving of memory between nodes.
 */

/** Open to every container, on every host; of its architectures some have a name and some have not. */
export const always: Readonly<Record<string, string>> = {
  files: `access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat
    faccessat2 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
    file_getattr file_setattr flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64
    futimesat getcwd getdents getdents64 ioctl lchown lchown32 link linkat _llseek lseek lstat lstat64 mkdir
    mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat rename
    renameat renameat2 rmdir stat stat64 statfs statfs64 statx symlink symlinkat sync syncfs truncate
    truncate64 umask unlink unlinkat utimensat utimensat_time64 utimes`,
  mountsSeen: "listmount statmount",
  attributes: `fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr
    listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat`,
  data: `cachestat fadvise64 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile
    sendfile64 splice sync_file_range tee vmsplice write writev`,
  waitingForData: `epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2
    fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch _newselect pipe pipe2 poll
    ppoll ppoll_time64 pselect6 pselect6_time64 signalfd signalfd4`,
  asynchronousIo: "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit",
  // socket is a rule of its own. i386's socketcall (byHost) is another way to all of these, out of its sight.
  sockets: `accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg
    recvmmsg_time64 recvmsg sendmmsg sendmsg sendto setsockopt shutdown socketpair`,
  memory: `brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall
    mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
    process_mrelease remap_file_pages`,
  processes: `execve execveat exit exit_group fork getpgid getpgrp getpid getppid getsid gettid kill pause
    pidfd_open pidfd_send_signal prctl setpgid setsid vfork wait4 waitid`,
  threads: `futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list rseq
    set_robust_list set_tid_address`,
  signals: `restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
    rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaction sigaltstack sigpending
    sigprocmask sigreturn sigsuspend tgkill tkill`,
  // Since Linux 4.8 a filter also sees what a tracer makes of a call, so tracing is no way around it.
  watchingProcesses: "process_vm_readv process_vm_writev ptrace",
  identity: `capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32
    getresgid getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32
    setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32
    setreuid setreuid32 setuid setuid32`,
  confinement: `landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr
    lsm_list_modules lsm_set_self_attr seccomp`,
  scheduling: `getcpu getpriority ioprio_get ioprio_set nice sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield setpriority`,
  limits: "getrlimit getrusage prlimit64 setrlimit ugetrlimit",
  // Reading clocks, and asking to set them, which the kernel itself refuses without CAP_SYS_TIME.
  time: `adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times`,
  systemV: `msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt
    shmget`,
  messageQueues: `mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
    mq_timedsend_time64 mq_unlink`,
  system: "getrandom sysinfo uname",
};

/** Open to every container, where only the architectures of one host have it. */
export const byHost = {
  x86_64: `alarm arch_prctl epoll_ctl_old epoll_wait_old fadvise64_64 get_thread_area ipc modify_ldt select
    set_thread_area signal socketcall time uprobe uretprobe utime waitpid`,
  aarch64: `arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush get_tls recv send set_tls
    sync_file_range2`,
} as const;

/** Opened by a capability (capabilities(7)): the kernel's own checks are still made. */
export const byCapability: Readonly<Record<string, string>> = {
  CAP_BPF: "bpf",
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_PERFMON: "perf_event_open",
  CAP_SYSLOG: "syslog",
  CAP_SYS_ADMIN: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount
    mount_setattr move_mount open_tree open_tree_attr perf_event_open pivot_root quotactl quotactl_fd setdomainname
    sethostname setns syslog umount umount2 unshare`,
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module finit_module init_module",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise",
  CAP_SYS_RAWIO: "ioperm iopl",
  CAP_SYS_TIME: "clock_settime clock_settime64 settimeofday stime",
  CAP_SYS_TTY_CONFIG: "vhangup",
};
