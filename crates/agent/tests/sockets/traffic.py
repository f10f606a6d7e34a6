"""Moves known bytes through one connection with the calls it is told to use.

traffic.py FAMILY SENDER RECEIVER [hold]: `hold` exchanges one round, says so, waits for a line, and goes on.
"""
import ctypes
import os
import socket
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
SIZES = [1, 100, 3000, 20000]


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vector", ctypes.POINTER(Iovec)),
                ("vectors", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class Messages(ctypes.Structure):
    _fields_ = [("message", Message), ("length", ctypes.c_uint)]


def pattern(seed, size):
    return bytes((i * 7 + seed) % 251 for i in range(size))


def parts(data, count=5):
    step = max(1, len(data) // count)
    return [data[i:i + step] for i in range(0, len(data), step)]


def vectors_of(buffers):
    headers = (Messages * len(buffers))()
    keep = []
    for header, buffer in zip(headers, buffers):
        vector = (Iovec * 1)(Iovec(ctypes.addressof(buffer), len(buffer)))
        keep.append(vector)
        header.message.vector = ctypes.cast(vector, ctypes.POINTER(Iovec))
        header.message.vectors = 1
    return headers, keep


def sendmmsg(s, data):
    buffers = [(ctypes.c_char * len(part)).from_buffer_copy(part) for part in parts(data, 3)]
    headers, keep = vectors_of(buffers)
    sent = libc.sendmmsg(s.fileno(), headers, len(buffers), 0)
    assert sent == len(buffers), (sent, ctypes.get_errno())
    return len(data)


def recvmmsg(s, size):
    s.recv(1, socket.MSG_PEEK)
    buffers = [(ctypes.c_char * max(1, size // 3))() for _ in range(3)]
    headers, keep = vectors_of(buffers)
    got = libc.recvmmsg(s.fileno(), headers, 3, 0x10000, None)  # MSG_WAITFORONE
    assert got > 0, ctypes.get_errno()
    return b"".join(bytes(buffers[i])[:headers[i].length] for i in range(got))


def readv(s, size):
    buffers = [bytearray(max(1, size // 4)) for _ in range(5)]
    got = os.readv(s.fileno(), buffers)
    return b"".join(bytes(b) for b in buffers)[:got]


def recvmsg(s, size):
    buffers = [bytearray(max(1, size // 4)) for _ in range(5)]
    got = s.recvmsg_into(buffers)[0]
    return b"".join(bytes(b) for b in buffers)[:got]


def recv(s, size):
    s.recv(size, socket.MSG_PEEK)
    return s.recv(size)


SENDERS = {
    "write": lambda s, d: os.write(s.fileno(), d),
    "writev": lambda s, d: os.writev(s.fileno(), parts(d)),
    "send": lambda s, d: s.send(d),
    "sendmsg": lambda s, d: s.sendmsg(parts(d)),
    "sendmmsg": sendmmsg,
}
RECEIVERS = {
    "read": lambda s, n: os.read(s.fileno(), n),
    "readv": readv,
    "recv": recv,
    "recvmsg": recvmsg,
    "recvmmsg": recvmmsg,
}


def send_all(s, sender, data):
    while data:
        data = data[SENDERS[sender](s, data):]


def receive_all(s, receiver, expected):
    got = b""
    while len(got) < len(expected):
        piece = RECEIVERS[receiver](s, len(expected) - len(got))
        assert piece, "ended early"
        got += piece
    assert got == expected, "the program itself got other bytes"


def listener(family):
    if family == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.bind("\0limpid-traffic-%d" % os.getpid())
        s.listen()
        return s, lambda: connect(socket.AF_UNIX, s.getsockname())
    if family == "tcp6":
        s = socket.create_server(("::1", 0), family=socket.AF_INET6)
    elif family == "dual":
        s = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        s = socket.create_server(("127.0.0.1", 0))
    port = s.getsockname()[1]
    if family == "tcp6":
        return s, lambda: connect(socket.AF_INET6, ("::1", port))
    return s, lambda: connect(socket.AF_INET, ("127.0.0.1", port))


def connect(family, address):
    s = socket.socket(family)
    s.connect(address)
    return s


def round_of(s, seed, server, sender, receiver):
    for i, size in enumerate(SIZES):
        request, answer = pattern(seed + i, size), pattern(seed + i + 100, size + 5)
        if server:
            receive_all(s, receiver, request)
            send_all(s, sender, answer)
        else:
            send_all(s, sender, request)
            receive_all(s, receiver, answer)


def main():
    family, sender, receiver = sys.argv[1:4]
    hold = "hold" in sys.argv
    s, dial = listener(family)
    seeds = [50, 1] if hold else [1]

    def serve():
        accepted, _ = s.accept()
        for seed in seeds:
            round_of(accepted, seed, True, sender, receiver)
        assert accepted.recv(1) == b""
        accepted.close()

    server = threading.Thread(target=serve)
    server.start()
    client = dial()
    for seed in seeds:
        if hold and seed == 1:
            print("held", flush=True)
            sys.stdin.readline()
        round_of(client, seed, False, sender, receiver)
    client.close()
    server.join()


main()
