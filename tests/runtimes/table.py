"""Which TLS of which runtime is tried, and what is seen of it. A row here is a line of docs/tls.md."""

from dataclasses import dataclass
from typing import Callable

import fetch

BOTH, HANDSHAKES = "requests, exact", "handshakes, connections, bytes"


@dataclass
class Row:
    runtime: str
    library: str
    seen: str
    # Called with the folder for what is fetched; what is asked and what asks, without arguments.
    program: Callable
    # Its server is nginx: the program only asks.
    asks_only: bool = False
    protocol: str = "http"
    why: str = ""


def node(version, library):
    return Row(f"Node.js {version}, npm's build", f"{library}, in the program", BOTH, lambda: [fetch.node(version), fetch.program("tls_shop.js")])


def go(version, *flags):
    stripped = ", stripped" if flags else ""
    return Row(f"Go {version}{stripped}", "crypto/tls", BOTH, lambda: [fetch.go(version, "tls_shop.go", *flags)])


def python(name, library, packages, script, **options):
    return Row(name, library, BOTH, lambda: fetch.python(packages, script), asks_only=True, **options)


NETTY = ["io.netty:netty-codec-http:4.1.119.Final", "io.netty:netty-tcnative-boringssl-static:2.0.70.Final"]

ROWS = [
    Row("curl, Debian 12", "OpenSSL 3.0", BOTH, lambda: [fetch.program("ask_curl")], asks_only=True),
    Row("wget, Debian 12", "GnuTLS 3.7", BOTH, lambda: [fetch.program("ask_wget")], asks_only=True),
    node("8", "OpenSSL 1.0.2"),
    node("12", "OpenSSL 1.1.1"),
    node("16", "OpenSSL 1.1.1 with QUIC"),
    node("20", "OpenSSL 3.0"),
    node("24", "OpenSSL 3.5"),
    go("1.17.13"),
    go("1.19.13", "-ldflags=-s -w"),
    go("1.21.13"),
    go("1.23.12", "-ldflags=-s -w"),
    go("1.26.0"),
    python("Python 3, ssl", "OpenSSL 3.0", [], "ask_ssl.py"),
    python("Python 3, asyncio", "OpenSSL 3.0, bytes kept in memory", [], "ask_asyncio.py"),
    python("Python 3, pyOpenSSL 20 with cryptography 3.4", "OpenSSL 1.1.1, in a module", ["pyOpenSSL==20.0.1", "cryptography==3.4.8"], "ask_pyopenssl.py"),
    python("Python 3, pyOpenSSL 26 with cryptography 50", "OpenSSL 4.0, in a module", ["pyOpenSSL", "cryptography==50.0.2"], "ask_pyopenssl.py"),
    python("Python 3, psycopg2-binary 2.9 asking PostgreSQL 15", "OpenSSL 3.5, renamed in a wheel", ["psycopg2-binary==2.9.13"], "ask_psycopg2.py",
           protocol="postgresql"),
    Row("Java 17, Netty 4.1 with netty-tcnative", "BoringSSL, in a module", BOTH, lambda: fetch.java("TlsNetty.java", fetch.maven("netty", *NETTY))),
    Row("Bun 1.4", "BoringSSL, in the program, stripped", HANDSHAKES, lambda: [fetch.bun("1.4.5"), fetch.program("tls_shop.js")],
        why="the names of its functions are gone"),
    Row("Java 17", "JSSE", HANDSHAKES, lambda: fetch.java("TlsShop.java"),
        why="compiled while it runs: nothing in a file to watch"),
]
