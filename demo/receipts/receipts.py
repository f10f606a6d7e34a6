"""Receipts: each is written to a file and synced before it is confirmed. nginx calls it by a Unix socket, not over TCP."""

import itertools
import os
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer

SOCKET, FOLDER = sys.argv[1:]
KEPT_BYTES = 1 << 20
NUMBERS = itertools.count(1)


def write(receipt):
    descriptor = os.open(f"{FOLDER}/receipts.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size > KEPT_BYTES:
            os.ftruncate(descriptor, 0)
        os.write(descriptor, receipt)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Receipts(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = f"receipt {next(NUMBERS)}\n".encode()
        write(body)
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


server = Server(SOCKET, Receipts)
# nginx' workers are another user.
os.chmod(SOCKET, 0o666)
server.serve_forever()
