"""Asks a server over connections that stay, one question at a time, so many a second: paced.py http|redis PORT RATE SECONDS"""

import socket
import sys
import time

QUESTIONS = {
    "http": (b"GET /small.txt HTTP/1.1\r\nHost: bench\r\n\r\n", b"x" * 612),
    "redis": (b"*2\r\n$3\r\nGET\r\n$6\r\nnobody\r\n", b"$-1\r\n"),
}
CONNECTIONS = 8
# A connection is a new one after so many questions.
QUESTIONS_EACH = 2000


def main():
    question, end = QUESTIONS[sys.argv[1]]
    port, rate, seconds = map(int, sys.argv[2:])
    connections, began, asked = [None] * CONNECTIONS, time.monotonic(), 0
    while time.monotonic() < began + seconds:
        time.sleep(max(0, began + asked / rate - time.monotonic()))
        at = asked % CONNECTIONS
        if asked // CONNECTIONS % QUESTIONS_EACH == 0:
            connections[at] = socket.create_connection(("127.0.0.1", port), 10)
        connections[at].sendall(question)
        answer = b""
        while not answer.endswith(end):
            more = connections[at].recv(65536)
            if not more:
                sys.exit("the server has closed the connection")
            answer += more
        asked += 1
    print(asked)


main()
