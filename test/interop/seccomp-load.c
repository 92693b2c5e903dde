/* load FILE PROGRAM [ARG...]: runs a program under a filter, struct sock_filter[] as it is in a file. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
	static struct sock_filter code[4096];
	int file = argc < 3 ? -1 : open(argv[1], O_RDONLY);
	ssize_t size = read(file, code, sizeof code);
	struct sock_fprog program = { size / sizeof *code, code };
	if (size <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		perror("load");
		return 125;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
