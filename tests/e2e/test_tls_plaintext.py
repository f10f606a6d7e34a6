"""Encrypted requests in plaintext: those that are seen are those that were sent, on both sides, whoever encrypts."""

import contextlib
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

from certificates import Authority
from harness import HERE, Case, Limpid, await_true, free_port, listens, run
from servers import FINE, NginxTls, compile_go

LARGE = 300_000


def agent_status(limpid):
    with urllib.request.urlopen(f"{limpid.agent_url}/status") as answer:
        return json.load(answer)


class TlsPlaintext(Case):
    @classmethod
    def prepare(cls):
        cls.certificate, cls.key = Authority(cls.scope.folder).issue("localhost")
        os.chmod(cls.scope.folder, 0o755)
        cls.go = compile_go(cls.scope, "tls_shop")
        # Both are older than the agent.
        cls.node_port, cls.go_port = free_port(), free_port()
        cls.scope.start("node", ["node", f"{HERE}/programs/tls_shop.js", "serve", str(cls.node_port), cls.certificate, cls.key], service="node-shop")
        cls.scope.start("go", [cls.go, "serve", str(cls.go_port), cls.certificate, cls.key], service="go-shop")
        for port in (cls.node_port, cls.go_port):
            await_true(lambda port=port: listens("127.0.0.1", port), "the shop to listen")
        cls.limpid = Limpid(cls.scope)
        await_true(cls.has_probes, "the probes")
        cls.port = cls.nginx("shop")

    @classmethod
    def nginx(cls, service):
        server = NginxTls(cls.scope, service, cls.certificate, cls.key, FINE + " location = /large { root {folder}; }", "http2")
        with open(f"{server.folder}/large", "w") as file:
            file.write("x" * LARGE)
        return server.port

    @classmethod
    def has_probes(cls):
        found = agent_status(cls.limpid)["tls"]
        files, paths = (" ".join(file[what] for file in found) for what in ("library", "path"))
        if not all(file["read"] and file["probes"] for file in found if file["library"] in ("OpenSsl", "GnuTls", "Go")):
            return False
        return all(library in files for library in ("OpenSsl", "GnuTls", "Go")) and "/node" in paths

    def both(self, count, service, shop, **labels):
        labels = {"protocol": "http", "operation": "GET", "code": "200"} | labels
        self.same(self.limpid, count, service=service, peer=shop, side="client", **labels)
        self.same(self.limpid, count, service=shop, peer=service, side="server", **labels)

    def test_a_new_process_each(self):
        for _ in range(50):
            run(["curl", "-sk", "--http1.1", "-o", "/dev/null", f"https://127.0.0.1:{self.port}/new"], service="tls-curl")
        self.both(50, "tls-curl", "shop", resource="/new")

    def test_many_on_few_connections(self):
        said = run(["ab", "-q", "-k", "-n", "5000", "-c", "5", f"https://127.0.0.1:{self.port}/many"], service="tls-ab").stdout
        self.assertIn("Failed requests:        0", said)
        self.both(5000, "tls-ab", "shop", resource="/many")

    def test_large_answers(self):
        run(["ab", "-q", "-k", "-n", "200", "-c", "2", f"https://127.0.0.1:{self.port}/large"], service="tls-large")
        self.both(200, "tls-large", "shop", resource="/large")

    def test_http2(self):
        run(["h2load", "-n", "2000", "-c", "2", "-m", "10", f"https://127.0.0.1:{self.port}/two"], service="tls-h2load")
        self.both(2000, "tls-h2load", "shop", protocol="http2", resource="/two")

    def test_encrypted_bytes_that_are_kept_in_memory(self):
        url = f"https://127.0.0.1:{self.port}/asyncio"
        run([sys.executable, f"{HERE}/programs/ask_asyncio.py", "ask", url, "1000"], service="tls-asyncio")
        self.both(1000, "tls-asyncio", "shop", resource="/asyncio")

    def test_a_library_that_is_part_of_the_program(self):
        url = f"https://127.0.0.1:{self.node_port}/node"
        run(["node", f"{HERE}/programs/tls_shop.js", "ask", url, "1000"], service="tls-node")
        self.both(1000, "tls-node", "node-shop", resource="/node")

    def test_go(self):
        url = f"https://127.0.0.1:{self.go_port}/go"
        self.assertEqual(run([self.go, "ask", url, "2000"], service="tls-go").stdout, "answered\n")
        self.both(2000, "tls-go", "go-shop", resource="/go")

    def test_go_by_http2(self):
        url = f"https://127.0.0.1:{self.go_port}/go2"
        self.assertEqual(run([self.go, "ask2", url, "4000"], service="tls-go2").stdout, "answered\n")
        self.both(4000, "tls-go2", "go-shop", resource="/go2", protocol="http2")

    def test_gnutls(self):
        for _ in range(10):
            run(["wget", "-q", "--no-check-certificate", "-O", "/dev/null", f"https://127.0.0.1:{self.port}/wget"], service="tls-wget")
        self.both(10, "tls-wget", "shop", resource="/wget")

    def test_redis(self):
        port = free_port()
        argv = ["redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--tls-cert-file", self.certificate,
                "--tls-key-file", self.key, "--tls-auth-clients", "no", "--tls-ca-cert-file", self.certificate, "--save", ""]
        self.scope.start("redis", argv, service="tls-redis")
        await_true(lambda: listens("127.0.0.1", port), "Redis to listen")
        run(["redis-benchmark", "-p", str(port), "--tls", "--insecure", "-q", "-n", "3000", "-c", "4", "-t", "get"], service="tls-bench")
        for side, service in (("client", "tls-bench"), ("server", "tls-redis")):
            self.same(self.limpid, 3000, service=service, side=side, protocol="redis", operation="GET")

    def test_what_spans_say(self):
        context = ssl._create_unverified_context()
        url = f"https://127.0.0.1:{self.port}/span"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"traceparent": "00-" + "5" * 32 + "-" + "6" * 16 + "-01"}), context=context):
            pass
        spans = await_true(self.spans, "the trace")
        for span in spans:
            self.assertEqual(span["attributes"]["url.scheme"], "https")
            self.assertTrue(span["attributes"]["tls.established"])

    def spans(self):
        with contextlib.suppress(urllib.error.HTTPError):
            return self.limpid.api("/api/traces/" + "5" * 32)["spans"]

    def test_nothing_is_untied(self):
        lost = self.limpid.losses()
        self.assertEqual({cause: lost[cause] for cause in lost if cause.startswith("tls_") or cause == "ring_full"}, {})


class TlsPlaintextOff(Case):
    def test_without_probes_the_handshake_is_all(self):
        self.certificate, self.key = Authority(self.scope.folder).issue("localhost")
        os.chmod(self.scope.folder, 0o755)
        type(self).certificate, type(self).key = self.certificate, self.key
        port = TlsPlaintext.nginx.__func__(type(self), "shop-off")
        limpid = Limpid(self.scope, "up", "--tls-plaintext", "off")
        run(["curl", "-sk", "-o", "/dev/null", f"https://127.0.0.1:{port}/off"], service="tls-off")
        await_true(lambda: [1 for labels, value in limpid.series("limpid_session_duration_seconds_count") if value], "the handshake")
        self.assertEqual(agent_status(limpid)["tls"], [])
        self.assertEqual(limpid.count(protocol="http", service="tls-off"), 0)
