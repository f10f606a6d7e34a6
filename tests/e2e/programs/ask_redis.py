"""Asks Redis over one kept connection, 100 times a second, until told to stop."""

import signal
import socket
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
    peer.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")
    if not peer.recv(4096):
        sys.exit(1)
    time.sleep(0.01)
