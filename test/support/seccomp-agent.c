// A seccomp agent (seccomp_unotify(2)): listens on a unix socket, takes listeners, and answers calls by rule.
//
//   agent SOCKET MODE [NUMBER=errno:N | NUMBER=value:N | NUMBER=file:PATH | NUMBER=continue]...
//
// MODE: answer; die (ends at the first call that a rule is for); mute (takes listeners and answers nothing); deaf (takes
// no connections, and lets one wait); refuse (closes connections without reading). A call that no rule is for goes on.
// Says "ready", for each listener "state JSON" and "closed" or "left open" of the connection that it came on, and
// "call NUMBER PID" for each call that a rule is for.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST 64

static void must(int result, const char *what) {
	if (result >= 0) return;
	perror(what);
	exit(1);
}

// The name of a socket is short, and its directory may be deep.
static int listen_at(char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int home = open(".", O_PATH | O_DIRECTORY);
	char *slash = strrchr(path, '/');
	must(home, "open");
	if (slash != NULL) {
		*slash = 0;
		must(chdir(path), path);
		path = slash + 1;
	}
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
	must(fchdir(home), "fchdir");
	return fd;
}

static int is_whole(const char *text, ssize_t length) {
	int depth = 0, quoted = 0;
	for (ssize_t at = 0; at < length; at++) {
		if (quoted && text[at] == '\\') at++;
		else if (text[at] == '"') quoted = !quoted;
		else if (!quoted && text[at] == '{') depth++;
		else if (!quoted && text[at] == '}' && --depth == 0) return 1;
	}
	return 0;
}

// All of the message, and the descriptor with its first part.
static int take(int listening) {
	static char text[1 << 23];
	char control[CMSG_SPACE(sizeof(int) * 4)];
	int connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	must(connection, "accept4");
	struct iovec part = {text, sizeof text - 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t length = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	must(length, "recvmsg");
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	if (rights == NULL || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(sizeof(int))) {
		printf("wrong descriptors\n");
		exit(1);
	}
	int listener;
	memcpy(&listener, CMSG_DATA(rights), sizeof listener);
	// runc 1.1 leaves the connection open: the end of the state is where its braces are balanced.
	while (!is_whole(text, length)) {
		ssize_t more = read(connection, text + length, sizeof text - 1 - length);
		must(more, "read");
		if (more == 0) break;
		length += more;
	}
	struct pollfd ended = {.fd = connection, .events = POLLIN};
	int isClosed = poll(&ended, 1, 200) == 1 && read(connection, text + length, 1) == 0;
	close(connection);
	printf("state %.*s\n%s\n", (int)length, text, isClosed ? "closed" : "left open");
	return listener;
}

static const char *rule_for(int number, char **rules) {
	for (; *rules != NULL; rules++) {
		char *end;
		if (strtol(*rules, &end, 10) == number && *end == '=') return end + 1;
	}
	return NULL;
}

static void answer(int listener, char **rules, int dies) {
	struct seccomp_notif call = {0};
	struct seccomp_notif_resp response = {0};
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
		if (errno == ENOENT || errno == EINTR) return;
		must(-1, "SECCOMP_IOCTL_NOTIF_RECV");
	}
	const char *rule = rule_for(call.data.nr, rules);
	if (rule != NULL) printf("call %d %d\n", call.data.nr, call.pid);
	if (rule != NULL && dies) exit(0);
	response.id = call.id;
	if (rule == NULL || strcmp(rule, "continue") == 0) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (strncmp(rule, "errno:", 6) == 0) response.error = -atoi(rule + 6);
	else if (strncmp(rule, "value:", 6) == 0) response.val = atoll(rule + 6);
	else {
		struct seccomp_notif_addfd added = {.id = call.id, .flags = SECCOMP_ADDFD_FLAG_SEND};
		int file = open(rule + 5, O_RDONLY | O_CLOEXEC);
		must(file, rule + 5);
		added.srcfd = file;
		must(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &added), "SECCOMP_IOCTL_NOTIF_ADDFD");
		close(file);
		return;
	}
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 && errno != ENOENT)
		must(-1, "SECCOMP_IOCTL_NOTIF_SEND");
}

int main(int argc, char **argv) {
	if (argc < 3) return 2;
	const char *mode = argv[2];
	char **rules = argv + 3;
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct pollfd watched[MOST] = {{.fd = listen_at(argv[1]), .events = POLLIN}};
	int count = 1;
	int deaf = strcmp(mode, "deaf") == 0;
	must(listen(watched[0].fd, deaf ? 0 : MOST), "listen");
	printf("ready\n");
	if (deaf) for (;;) pause();
	for (;;) {
		must(poll(watched, count, -1), "poll");
		for (int at = count - 1; at > 0; at--) {
			if (watched[at].revents & POLLIN && strcmp(mode, "mute") != 0)
				answer(watched[at].fd, rules, strcmp(mode, "die") == 0);
			else if (watched[at].revents & POLLIN) watched[at].events = 0;
			else if (watched[at].revents & POLLHUP) {
				close(watched[at].fd);
				watched[at] = watched[--count];
			}
		}
		if (watched[0].revents & POLLIN) {
			if (strcmp(mode, "refuse") == 0) close(accept4(watched[0].fd, NULL, NULL, SOCK_CLOEXEC));
			else if (count < MOST) watched[count++] = (struct pollfd){.fd = take(watched[0].fd), .events = POLLIN};
		}
	}
}
