"""Asks a DNS server: dns_client.py PORT udp|tcp COUNT IN_FLIGHT TYPE NAME [connected] [nameless] [ports]

COUNT questions over one socket, IN_FLIGHT of them at once (over TCP in one call); prints how many answers have come, by code.
`nameless`: who has sent an answer is not asked for. With `ports` each IN_FLIGHT of them have a socket of their own, on one
of eight ports that are used again and again.
"""

import collections
import socket
import struct
import sys

port, transport, count, in_flight, kind, name = sys.argv[1:7]
count, in_flight, connected = int(count), int(in_flight), "connected" in sys.argv
TYPES = {"A": 1, "AAAA": 28, "TXT": 16}
address = ("127.0.0.1", int(port))
question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + struct.pack(">BHH", 0, TYPES[kind], 1)


def message(number):
    message = struct.pack(">6H", number % 65536, 0x0100, 1, 0, 0, 0) + question
    return struct.pack(">H", len(message)) + message if transport == "tcp" else message


def exactly(server, length):
    data = b""
    while len(data) < length:
        more = server.recv(length - len(data))
        if not more:
            sys.exit("the server has closed the connection")
        data += more
    return data


def answer(server):
    if transport == "tcp":
        return exactly(server, struct.unpack(">H", exactly(server, 2))[0])
    return server.recv(65536) if "nameless" in sys.argv else server.recvfrom(65536)[0]


def bound(round):
    ends = socket.socket(type=socket.SOCK_DGRAM)
    ends.bind(("0.0.0.0", ports[round % len(ports)]))
    return ends


def ask(server, numbers):
    if transport == "tcp":
        server.sendall(b"".join(map(message, numbers)))
    else:
        for number in numbers:
            server.send(message(number)) if connected else server.sendto(message(number), address)
    waiting = {number % 65536 for number in numbers}
    while waiting:
        said = answer(server)
        waiting.remove(struct.unpack(">H", said[:2])[0])
        codes[said[3] & 15] += 1


codes = collections.Counter()
with socket.socket(type=socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM) as server:
    server.settimeout(20)
    if transport == "tcp" or connected:
        server.connect(address)
    rounds = [range(first, min(first + in_flight, count)) for first in range(0, count, in_flight)]
    if "ports" not in sys.argv:
        for numbers in rounds:
            ask(server, numbers)
    else:
        held = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(8)]
        [one.bind(("0.0.0.0", 0)) for one in held]
        ports = [one.getsockname()[1] for one in held]
        [one.close() for one in held]
        for round, numbers in enumerate(rounds):
            with bound(round) as again:
                again.settimeout(20)
                ask(again, numbers)
print(*(f"{code}:{number}" for code, number in sorted(codes.items())))
