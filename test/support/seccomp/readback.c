/*
 * Writes the seccomp filters that a process is under, as the kernel holds them, to standard output: for each one,
 * the one installed last first, the count of its instructions as a 32-bit number, then its instructions.
 * Needs CAP_SYS_ADMIN, and must itself be under no filter (ptrace(2), PTRACE_SECCOMP_GET_FILTER).
 *   seccomp-readback PID
 */
#include <errno.h>
#include <linux/filter.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	static struct sock_filter filter[4096];
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) || waitpid(pid, NULL, __WALL) < 0)
		return fail("seizing");
	for (long index = 0;; index++) {
		long count = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, index, NULL);
		uint32_t length = count;

		if (count < 0 && errno == ENOENT)
			break;
		if (count < 0 || ptrace(PTRACE_SECCOMP_GET_FILTER, pid, index, filter) != count)
			return fail("PTRACE_SECCOMP_GET_FILTER");
		fwrite(&length, sizeof length, 1, stdout);
		fwrite(filter, sizeof *filter, count, stdout);
	}
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return 0;
}
