/*
 * Makes the system calls that its arguments say, and prints what each came to: MODE:LABEL:NUMBER[:ARGUMENT,...]
 *   call    as syscall(2) does; prints "LABEL RESULT", or the errno below zero
 *   fork    in a child; prints "LABEL killed SIGNAL" or "LABEL exit CODE"
 *   thread  in a thread; prints "LABEL returned" or "LABEL gone"
 *   forkthread  in a thread of a child; prints what becomes of the child
 *   int80   by int $0x80, the way of 32-bit programs, which 64-bit ones have too
 *   int80fork
 *   trap    with a handler of SIGSYS, which prints what it is told
 *   filter  puts itself under a filter that kills for it
 *   status  the line LABEL of /proc/self/status
 * Static, as a program of 64 bits and as one of 32.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  const char *mode, *label;
  unsigned long number;
  unsigned long args[6];
} Call;

static long by_syscall(const Call *c) {
  const unsigned long *a = c->args;
  long result = syscall((long)c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result == -1 ? -errno : result;
}

static long by_int80(const Call *c) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(c->number), "b"(c->args[0]), "c"(c->args[1]), "d"(c->args[2]), "S"(c->args[3])
                   : "memory"
#ifdef __x86_64__
                   , "r8", "r9", "r10", "r11"
#endif
  );
  return (int)result;
}

static void told(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("signal %d code %d call %d arch %x errno %d\n", signal, info->si_code, info->si_syscall, info->si_arch,
         info->si_errno);
}

static void *in_thread(void *at) {
  by_syscall(at);
  return at;
}

static void in_child(const Call *c, long (*make)(const Call *)) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    make(c);
    _exit(7);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) printf("%s killed %d\n", c->label, WTERMSIG(status));
  else printf("%s exit %d\n", c->label, WEXITSTATUS(status));
}

static long by_thread(const Call *c) {
  pthread_t thread;
  void *ended = NULL;
  pthread_create(&thread, NULL, in_thread, (void *)c);
  pthread_join(thread, &ended);
  return ended == c;
}

static void show_status(const char *label) {
  char line[256];
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL) return;
  while (fgets(line, sizeof line, file) != NULL) {
    size_t length = strlen(label);
    if (strncmp(line, label, length) == 0 && line[length] == ':') fputs(line, stdout);
  }
  fclose(file);
}

static void under_filter(const Call *c) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)c->number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void make(const Call *c) {
  if (strcmp(c->mode, "call") == 0) printf("%s %ld\n", c->label, by_syscall(c));
  else if (strcmp(c->mode, "int80") == 0) printf("%s %ld\n", c->label, by_int80(c));
  else if (strcmp(c->mode, "fork") == 0) in_child(c, by_syscall);
  else if (strcmp(c->mode, "int80fork") == 0) in_child(c, by_int80);
  else if (strcmp(c->mode, "forkthread") == 0) in_child(c, by_thread);
  else if (strcmp(c->mode, "filter") == 0) under_filter(c);
  else if (strcmp(c->mode, "status") == 0) show_status(c->label);
  else if (strcmp(c->mode, "trap") == 0) {
    struct sigaction action = {.sa_sigaction = told, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    by_syscall(c);
    signal(SIGSYS, SIG_DFL);
  } else if (strcmp(c->mode, "thread") == 0) {
    printf("%s %s\n", c->label, by_thread(c) ? "returned" : "gone");
  } else printf("no mode %s\n", c->mode);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc; i++) {
    Call c = {0};
    char *rest = argv[i];
    c.mode = strsep(&rest, ":");
    c.label = strsep(&rest, ":");
    char *number = strsep(&rest, ":");
    if (number != NULL) c.number = strtoul(number, NULL, 0);
    for (int k = 0; k < 6 && rest != NULL; k++) {
      char *one = strsep(&rest, ",");
      c.args[k] = strtoul(one, NULL, 0);
    }
    make(&c);
  }
  return 0;
}
