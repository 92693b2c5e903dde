/*
 * Much at the same time, for a run that is recorded call by call: threads, a timer whose signal comes in the middle of
 * calls, children that execute this file again, one that is killed. Says what it came to, which is always the same.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, TURNS = 200 };

static volatile sig_atomic_t ticks;
static void tick(int number) { (void)number; ticks++; }

static void *turn(void *sum) {
	for (int i = 0; i < TURNS; i++) {
		struct timespec moment = { 0, 1000 };
		if (getppid() >= 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) != EINVAL) ++*(int *)sum;
	}
	return NULL;
}

static int child(const char *self, const char *what) {
	pid_t pid = fork();
	if (pid == 0) {
		execl(self, self, what, NULL);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv) {
	if (argc > 1 && strcmp(argv[1], "three") == 0) return 3;
	if (argc > 1 && strcmp(argv[1], "wait") == 0) for (;;) pause();

	struct sigaction action = { .sa_handler = tick, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	setitimer(ITIMER_REAL, &often, NULL);

	pthread_t threads[THREADS];
	int sums[THREADS] = { 0 };
	for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, turn, &sums[i]);

	/* A read that restarts, however often the timer interrupts it. */
	int ends[2];
	if (pipe(ends) != 0) return 90;
	pid_t writer = fork();
	if (writer == 0) {
		usleep(100000);
		_exit(write(ends[1], "x", 1) == 1 ? 0 : 91);
	}
	char byte;
	ssize_t got = read(ends[0], &byte, 1);

	int total = 0, status[3] = { 0 };
	for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL), total += sums[i];
	waitpid(writer, &status[0], 0);
	waitpid(child(argv[0], "three"), &status[1], 0);
	pid_t waiting = child(argv[0], "wait");
	usleep(50000);
	kill(waiting, SIGTERM);
	waitpid(waiting, &status[2], 0);
	printf("read %zd, turns %d, ticked %d, ends %x %x %x\n", got, total, ticks > 10, status[0], status[1], status[2]);
	return 7;
}
