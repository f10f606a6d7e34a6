"""A made-up cluster as an agent would tell of it: OTLP metrics of both sides of each call, for the last half hour. The
same numbers always give the same cluster, so that two measurements are comparable.

    topology.py PORT NODES EDGES      sends it to the server that takes OTLP over HTTP there
"""

import random
import struct
import sys
import time
import urllib.error
import urllib.request

STEP_SECONDS = 60
MINUTES = 35
CUMULATIVE = 2
POINTS_AT_ONCE = 4_000
NAMES = "cart catalog checkout search stock price order invoice parcel user mail report image feed rank tax".split()


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def text(number, value):
    return field(number, value.encode())


def attribute(name, value):
    return field(1, text(1, name) + field(2, text(1, value)))


def zigzag(value):
    return varint(value << 1 if value >= 0 else -value * 2 - 1)


class Cluster:
    """`nodes` services on `hosts` hosts, each but the first called by services before it; `edges` calls in all."""

    def __init__(self, nodes, edges, hosts=38, seed=7):
        chance = random.Random(seed)
        self.services = [f"{NAMES[at % len(NAMES)]}-{at}" for at in range(nodes)]
        self.hosts = [f"shop-{at * hosts // nodes}" for at in range(nodes)]
        calls = {(chance.randrange(max(0, at - 60), at), at) for at in range(1, nodes)}
        while len(calls) < edges:
            source = chance.randrange(nodes - 1)
            calls.add((source, min(nodes - 1, source + 1 + chance.randrange(80))))
        self.series = []
        for source, target in sorted(calls):
            failing = chance.random() < 0.004
            rate, milliseconds = chance.choice([1, 3, 10, 40]), chance.choice([2, 5, 12, 40])
            for side, own, peer in (("client", source, target), ("server", target, source)):
                self.series.append((self.labels(side, own, peer, "ok"), rate, milliseconds))
                if failing:
                    self.series.append((self.labels(side, own, peer, "error"), rate, milliseconds))

    def labels(self, side, own, peer, status):
        pairs = {
            "service": self.services[own], "peer": self.services[peer], "protocol": "http", "operation": "GET",
            "resource": "/", "side": side, "status": status, "host": self.hosts[own],
            "instance": f"process:{self.hosts[own]}/1-{own + 100}",
        }
        return b"".join(attribute(name, value) for name, value in pairs.items())

    def points(self, now):
        """Cumulative histograms, one a minute; all durations lie in one bucket of scale 3."""
        begin = now - MINUTES * 60
        return self.points_of(begin, range(begin, now + 1, STEP_SECONDS))

    def points_of(self, begin, moments):
        for labels, rate, milliseconds in self.series:
            bucket = bucket_of(milliseconds / 1000)
            for at in moments:
                count = rate * (at - begin)
                yield field(1, labels + point(begin, at, count, count * milliseconds / 1000, bucket))

    def send(self, port, now):
        self.post(port, self.points(now))

    def post(self, port, points):
        batch = []
        for one in points:
            batch.append(one)
            if len(batch) == POINTS_AT_ONCE:
                post(port, batch)
                batch = []
        post(port, batch)


def bucket_of(seconds, scale=3):
    """The exponential bucket that holds a value: (2^(i/2^scale), 2^((i+1)/2^scale)]."""
    base, at = 2 ** (2**-scale), -400
    while base ** (at + 1) < seconds:
        at += 1
    return at


def point(start, at, count, total, bucket):
    head = b"\x11" + struct.pack("<Q", start * 10**9) + b"\x19" + struct.pack("<Q", at * 10**9)
    head += b"\x21" + struct.pack("<Q", count) + b"\x29" + struct.pack("<d", total) + b"\x30" + zigzag(3)
    return head + field(8, b"\x08" + zigzag(bucket) + field(2, varint(count)))


def post(port, points):
    histogram = field(10, b"".join(points) + b"\x10" + varint(CUMULATIVE))
    metric = field(2, text(1, "limpid.request.duration") + text(3, "s") + histogram)
    resource = field(1, attribute("service.name", "limpid-agent") + attribute("limpid.schema", "1"))
    body = field(1, resource + field(2, metric))
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/metrics", body, {"content-type": "application/x-protobuf"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def main():
    port, nodes, edges = map(int, sys.argv[1:])
    until = time.monotonic() + 20
    while True:
        try:
            Cluster(nodes, edges).send(port, int(time.time()) // STEP_SECONDS * STEP_SECONDS)
            return
        except urllib.error.URLError as error:
            if time.monotonic() > until:
                sys.exit(f"topology: nothing takes OTLP on port {port}: {error}")
            time.sleep(0.2)


if __name__ == "__main__":
    main()
