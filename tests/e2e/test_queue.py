"""A server that reads late is shown as a queue, not as a slow network."""

import sys

from harness import Case, Limpid, await_true, free_port, listens, run

# Accepts, waits before it reads, answers at once: what is late is the reader, not the way.
LATE = """
import socket, sys, threading, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def serve(peer):
    while True:
        peer.recv(1, socket.MSG_PEEK)
        time.sleep(0.2)
        if not peer.recv(4096):
            return
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
ASK = """
import http.client, sys
for _ in range(3):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    for _ in range(10):
        connection.request("GET", "/late")
        connection.getresponse().read()
"""


class Queue(Case):
    def test_slow_reader(self):
        limpid, port = Limpid(self.scope), free_port()
        self.scope.start("late", [sys.executable, "-c", LATE, str(port)], service="late-server")
        await_true(lambda: listens("127.0.0.1", port), "the late reader to listen")
        run([sys.executable, "-c", ASK, str(port)], service="late-client")
        self.same(limpid, 30, service="late-server", peer="late-client", side="server")
        edge = await_true(lambda: self.edge(limpid), "the edge on the map")
        self.assertGreater(edge["client"]["p50_ms"], 190)
        self.assertLess(edge["server"]["p50_ms"], 50)
        self.assertIsNotNone(edge["queue"], edge)
        # A request that waited for a scheduler is late by more; buckets are a few per cent wide.
        self.assertGreater(edge["queue"]["p95_ms"], 180)
        self.assertLess(edge["queue"]["p95_ms"], 400)
        self.assertLess(edge["network"]["p95_ms"], 50)

    def edge(self, limpid):
        for edge in limpid.api("/api/topology")["edges"]:
            if edge["source"].endswith("/late-client") and edge["target"].endswith("/late-server") and edge["requests"] >= 30:
                return edge
        return None
