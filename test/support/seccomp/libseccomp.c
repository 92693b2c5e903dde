/*
 * Makes filters with libseccomp from lines on standard input, as many as are asked for. Numbers as strtoull reads them.
 *   default ACTION            begins a filter
 *   native TOKEN              the architecture that it is for, in place of this host's
 *   arch TOKEN                one more
 *   optimize LEVEL            SCMP_FLTATR_CTL_OPTIMIZE: 2 is the binary tree
 *   rule ACTION NAME COUNT [INDEX OPERATOR A B]...
 *   export
 * OPERATOR is enum scmp_compare. On standard output, in the order of the lines:
 *   export: "filter LENGTH\n" and so many bytes; "refused\n" if libseccomp takes a rule or the whole for none,
 *     "endless\n" if it takes more than 5 s of processor time
 *   resolve TOKEN NAME: the number, "NUMBER\n" (__NR_SCMP_ERROR, -1, for none)
 *   name TOKEN NUMBER: its name, or "-\n"
 * Rules with a name that libseccomp does not know are left out, as runc leaves them out.
 */
#define _GNU_SOURCE
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXISTS (-17)

static scmp_filter_ctx filter;
static int refused;

static uint64_t next(void)
{
	char *word = strtok(NULL, " \n");
	return word ? strtoull(word, NULL, 0) : 0;
}

static void must(int rc)
{
	if (rc && !refused)
		refused = rc;
}

/* An architecture may be there already. */
static void must_have(int rc)
{
	must(rc == EXISTS ? 0 : rc);
}

static void rule(void)
{
	struct scmp_arg_cmp args[6];
	uint32_t action = next();
	char *name = strtok(NULL, " \n");
	unsigned count = next();
	int number = seccomp_syscall_resolve_name(name);

	for (unsigned i = 0; i < count && i < 6; i++) {
		args[i].arg = next();
		args[i].op = next();
		args[i].datum_a = next();
		args[i].datum_b = next();
	}
	if (number != __NR_SCMP_ERROR)
		must(seccomp_rule_add_array(filter, action, number, count, args));
}

/* One of the lines that make a filter. */
static void make(char *line)
{
	char *verb = strtok(line, " \n");

	if (strcmp(verb, "default") == 0) {
		filter = seccomp_init(next());
		refused = filter ? 0 : -1;
	} else if (strcmp(verb, "native") == 0) {
		uint32_t token = next();
		must_have(seccomp_arch_add(filter, token));
		if (token != seccomp_arch_native())
			must(seccomp_arch_remove(filter, SCMP_ARCH_NATIVE));
	} else if (strcmp(verb, "arch") == 0) {
		must_have(seccomp_arch_add(filter, next()));
	} else if (strcmp(verb, "optimize") == 0) {
		must(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, next()));
	} else if (strcmp(verb, "rule") == 0) {
		rule();
	}
}

/* Lines up to "export", in a child: there are profiles over which libseccomp never comes to an end. */
static void filter_of(char *line, size_t size, int file)
{
	static char bytes[1 << 24];
	struct rlimit seconds = { 5, 5 };
	off_t length;
	int status, pipes[2];
	FILE *lines;
	pid_t child;

	fflush(stdout);
	if (ftruncate(file, 0) || lseek(file, 0, SEEK_SET) || pipe(pipes) || (child = fork()) < 0)
		exit(1);
	if (child == 0) {
		close(pipes[1]);
		lines = fdopen(pipes[0], "r");
		setrlimit(RLIMIT_CPU, &seconds);
		while (fgets(line, size, lines))
			if (!refused)
				make(line);
		_exit(refused || seccomp_export_bpf(filter, file));
	}
	close(pipes[0]);
	lines = fdopen(pipes[1], "w");
	do {
		fputs(line, lines);
	} while (fgets(line, size, stdin) && strcmp(line, "export\n"));
	fclose(lines);
	if (waitpid(child, &status, 0) != child)
		exit(1);
	length = lseek(file, 0, SEEK_CUR);
	if (WIFSIGNALED(status)) {
		printf("endless\n");
	} else if (WEXITSTATUS(status)) {
		printf("refused\n");
	} else {
		if (length > (off_t)sizeof bytes || pread(file, bytes, length, 0) != length)
			exit(1);
		printf("filter %ld\n", (long)length);
		fwrite(bytes, 1, length, stdout);
	}
}

int main(void)
{
	static char line[1 << 16];
	int file = memfd_create("filter", MFD_CLOEXEC);

	signal(SIGPIPE, SIG_IGN);
	/* What this kernel can do makes no difference to what a filter looks like. */
	seccomp_api_set(6);
	while (fgets(line, sizeof line, stdin)) {
		if (strncmp(line, "default ", 8) == 0) {
			filter_of(line, sizeof line, file);
			continue;
		}
		char *verb = strtok(line, " \n");
		if (verb && strcmp(verb, "resolve") == 0) {
			uint32_t token = next();
			printf("%d\n", seccomp_syscall_resolve_name_arch(token, strtok(NULL, " \n")));
		} else if (verb && strcmp(verb, "name") == 0) {
			uint32_t token = next();
			char *name = seccomp_syscall_resolve_num_arch(token, next());
			printf("%s\n", name ? name : "-");
			free(name);
		}
	}
	return 0;
}
