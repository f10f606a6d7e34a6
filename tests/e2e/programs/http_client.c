// HTTP over bare sockets, once with every call that moves bytes, on connections that live for a millisecond, and as a
// pipeline. Prints how many answers it has got: the truth that Limpid's counts are compared with.
//
//   http_client HOST PORT MODE COUNT      HOST: an address of either family or a path; MODE: a line of CALLS, or pipeline
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static const char *calls[] = {"write", "send", "sendmsg", "writev", NULL};
static const char *path = "/ok";

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int dial(const char *host, const char *port)
{
	if (host[0] == '/') {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		snprintf(address.sun_path, sizeof address.sun_path, "%s", host);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
			fail("connect");
		return fd;
	}
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		fail("getaddrinfo");
	int fd = socket(found->ai_family, SOCK_STREAM, 0);
	if (connect(fd, found->ai_addr, found->ai_addrlen) != 0)
		fail("connect");
	freeaddrinfo(found);
	return fd;
}

// The request in two pieces, so that the calls with vectors have something to gather.
static void ask(int fd, const char *call, int last)
{
	char first[200], rest[200];
	int a = snprintf(first, sizeof first, "GET %s HTTP/1.1\r\nHo", path);
	int b = snprintf(rest, sizeof rest, "st: e2e\r\n%s\r\n", last ? "Connection: close\r\n" : "");
	struct iovec parts[3] = {{first, a}, {NULL, 0}, {rest, b}};
	char whole[400];
	memcpy(whole, first, a);
	memcpy(whole + a, rest, b);
	ssize_t sent;
	if (strcmp(call, "sendmsg") == 0)
		sent = sendmsg(fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 3}, MSG_NOSIGNAL);
	else if (strcmp(call, "writev") == 0)
		sent = writev(fd, parts, 3);
	else if (strcmp(call, "send") == 0)
		sent = send(fd, whole, a + b, MSG_NOSIGNAL);
	else
		sent = write(fd, whole, a + b);
	if (sent != a + b)
		fail(call);
}

// Reads with the call that goes with the sending one, a peek before it now and then: bytes looked at are not bytes moved.
static ssize_t take(int fd, const char *call, char *buffer, size_t size, int peek)
{
	struct iovec parts[2] = {{buffer, 7}, {buffer + 7, size - 7}};
	if (peek && recv(fd, buffer, size, MSG_PEEK) < 0)
		fail("peek");
	if (strcmp(call, "sendmsg") == 0)
		return recvmsg(fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 2}, 0);
	if (strcmp(call, "writev") == 0)
		return readv(fd, parts, 2);
	if (strcmp(call, "send") == 0)
		return recv(fd, buffer, size, 0);
	return read(fd, buffer, size);
}

// Answers have a Content-Length and no body that holds "HTTP/1.1".
static int answers(int fd, const char *call, int wanted)
{
	static char data[1 << 20];
	size_t have = 0;
	for (;;) {
		int complete = 0;
		data[have] = 0;
		for (char *at = strstr(data, "HTTP/1.1 "); at; at = strstr(at + 9, "HTTP/1.1 ")) {
			char *length = strstr(at, "Content-Length: "), *body = strstr(at, "\r\n\r\n");
			if (length && body && body + 4 + atoi(length + 16) <= data + have)
				complete++;
		}
		if (complete >= wanted)
			return complete;
		ssize_t got = take(fd, call, data + have, sizeof data - 1 - have, wanted == 1 && have == 0);
		if (got <= 0)
			return complete;
		have += got;
	}
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	const char *mode = argv[3];
	int count = atoi(argv[4]), done = 0;
	if (argc > 5)
		path = argv[5];
	if (strcmp(mode, "pipeline") == 0) {
		int fd = dial(argv[1], argv[2]);
		enum { DEPTH = 50 };
		for (; count > 0; count -= DEPTH) {
			static char batch[DEPTH * 64];
			int size = 0;
			for (int i = 0; i < DEPTH; i++)
				size += sprintf(batch + size, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", path);
			if (write(fd, batch, size) != size)
				fail("write");
			done += answers(fd, "read", DEPTH);
		}
		close(fd);
	} else if (strcmp(mode, "short") == 0) {
		for (; count > 0; count--) {
			int fd = dial(argv[1], argv[2]);
			ask(fd, calls[count % 4], 1);
			done += answers(fd, calls[count % 4], 1);
			close(fd);
		}
	} else {
		int fd = dial(argv[1], argv[2]);
		for (; count > 0; count--) {
			ask(fd, mode, 0);
			done += answers(fd, mode, 1);
		}
		close(fd);
	}
	printf("%d\n", done);
	return 0;
}
