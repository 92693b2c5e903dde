/*
 * Makes a filter with libseccomp from lines on standard input, and writes it to standard output.
 *   default ACTION | arch TOKEN | rule ACTION NAME COUNT [INDEX OPERATOR A B]...
 * Numbers as strtoull reads them; OPERATOR is enum scmp_compare. A name that libseccomp does not know is written
 * to standard error and left out; a rule that it refuses ends the program with 2.
 */
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next(void)
{
	char *word = strtok(NULL, " \n");
	return word ? strtoull(word, NULL, 0) : 0;
}

int main(void)
{
	static char line[4096];
	scmp_filter_ctx filter = NULL;

	while (fgets(line, sizeof line, stdin)) {
		char *verb = strtok(line, " \n");
		if (!verb)
			continue;
		if (strcmp(verb, "default") == 0) {
			filter = seccomp_init(next());
		} else if (strcmp(verb, "arch") == 0) {
			int rc = seccomp_arch_add(filter, next());
			if (rc && rc != -17 /* EEXIST: the native one */)
				return 1;
		} else if (strcmp(verb, "rule") == 0) {
			struct scmp_arg_cmp args[6];
			uint32_t action = next();
			char *name = strtok(NULL, " \n");
			unsigned count = next();
			int number = seccomp_syscall_resolve_name(name);
			for (unsigned i = 0; i < count; i++) {
				args[i].arg = next();
				args[i].op = next();
				args[i].datum_a = next();
				args[i].datum_b = next();
			}
			if (number == __NR_SCMP_ERROR) {
				fprintf(stderr, "%s\n", name);
				continue;
			}
			if (seccomp_rule_add_array(filter, action, number, count, args))
				return 2;
		}
	}
	return filter && seccomp_export_bpf(filter, 1) == 0 ? 0 : 1;
}
