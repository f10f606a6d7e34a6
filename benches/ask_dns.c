/* Asks a DNS server over UDP as a resolver in a C library does, each question from a new socket: ask_dns PORT RATE SECONDS
 * Prints how many questions were sent and how many answers came; the rate is that of all WORKERS together. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 4
#define WAIT_MS 5000

struct counts {
	unsigned long sent, answered;
};

static unsigned char question[] = "\0\0\1\0\0\1\0\0\0\0\0\0\3web\4shop\4test\0\0\1\0\1";

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void wait_for(double when)
{
	double left = when - now();
	struct timespec time = { (time_t)left, (long)((left - (time_t)left) * 1e9) };
	if (left > 0)
		nanosleep(&time, NULL);
}

static void ask(struct sockaddr_in *server, struct counts *counts)
{
	char answer[512];
	int ends = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd ready = { ends, POLLIN, 0 };

	question[0] = counts->sent >> 8, question[1] = counts->sent;
	if (ends < 0 || connect(ends, (void *)server, sizeof *server) || send(ends, question, sizeof question - 1, 0) < 0) {
		perror("ask_dns");
		exit(1);
	}
	counts->sent++;
	if (poll(&ready, 1, WAIT_MS) == 1 && recv(ends, answer, sizeof answer, 0) > 0)
		counts->answered++;
	close(ends);
}

int main(int count, char **arguments)
{
	if (count != 4)
		return 2;
	struct sockaddr_in server = { AF_INET, htons(atoi(arguments[1])), { htonl(INADDR_LOOPBACK) }, { 0 } };
	double every = WORKERS / atof(arguments[2]), begin = now(), end = begin + atof(arguments[3]);
	struct counts *counts = mmap(NULL, sizeof *counts * WORKERS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct counts all = { 0, 0 };
	int status, failed = 0;

	for (int worker = 0; worker < WORKERS; worker++)
		if (fork() == 0) {
			for (double next = begin; next < end && now() < end; next += every) {
				wait_for(next);
				ask(&server, &counts[worker]);
			}
			_exit(0);
		}
	while (wait(&status) > 0)
		failed |= status;
	for (int worker = 0; worker < WORKERS; worker++)
		all.sent += counts[worker].sent, all.answered += counts[worker].answered;
	printf("sent %lu answered %lu in %.6f\n", all.sent, all.answered, now() - begin);
	return failed != 0;
}
