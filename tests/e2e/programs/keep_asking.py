"""Asks for /ok over one kept connection until told to stop; prints what it has asked and what went wrong."""

import http.client
import signal
import sys
import time

running = True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
asked = wrong = slow = 0
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.002
while running:
    started = time.monotonic()
    try:
        connection.request("GET", "/ok")
        answer = connection.getresponse()
        wrong += answer.read() != b"fine\n" or answer.status != 200
    except OSError as error:
        print(error, file=sys.stderr)
        wrong += 1
        connection.close()
    asked += 1
    slow += time.monotonic() - started > 5
    time.sleep(pause)
print(asked, wrong, slow, flush=True)
