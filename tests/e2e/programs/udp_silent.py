"""Reads datagrams and answers none: udp_silent.py PORT"""

import socket
import sys

with socket.socket(type=socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", int(sys.argv[1])))
    print("listens", flush=True)
    while True:
        server.recvfrom(4096)
