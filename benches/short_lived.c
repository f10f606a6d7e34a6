/* Short-lived processes, each a program of its own that asks an HTTP server once over a new connection:
 * short_lived PORT RATE SECONDS; prints how many there were. With the port alone it is one of them. */
#include <arpa/inet.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int ask(int port)
{
	static const char request[] = "GET /small.txt HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
	struct sockaddr_in server = { AF_INET, htons(port), { htonl(INADDR_LOOPBACK) }, { 0 } };
	int ends = socket(AF_INET, SOCK_STREAM, 0);
	char answer[4096];

	if (ends < 0 || connect(ends, (void *)&server, sizeof server) || send(ends, request, strlen(request), 0) < 0)
		return 1;
	while (recv(ends, answer, sizeof answer, 0) > 0)
		;
	return 0;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
	if (count == 2)
		return ask(atoi(arguments[1]));
	if (count != 4)
		return 2;
	double every = 1 / atof(arguments[2]), begin = now(), end = begin + atof(arguments[3]);
	char *one[] = { arguments[0], arguments[1], NULL }, *environment[] = { NULL };
	unsigned long started = 0, failed = 0;
	int status;
	pid_t pid;

	for (double next = begin; next < end; next += every) {
		double left = next - now();
		struct timespec time = { (time_t)left, (long)((left - (time_t)left) * 1e9) };
		if (left > 0)
			nanosleep(&time, NULL);
		failed += posix_spawn(&pid, "/proc/self/exe", NULL, NULL, one, environment) != 0;
		started++;
		while (waitpid(-1, &status, WNOHANG) > 0)
			failed += status != 0;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	printf("started %lu failed %lu\n", started, failed);
	return failed > started / 100;
}
