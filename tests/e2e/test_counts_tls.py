"""TLS that nobody can decrypt: handshakes seen are handshakes made, with the name that was asked for and why they failed."""

import os
import ssl
import sys

from certificates import Authority
from harness import HERE, Case, Limpid, await_true, free_port, listens, matches, run

SESSIONS = "limpid_session_duration_seconds_count"
NGINX = """
daemon off; master_process on; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256; ssl_session_cache shared:sessions:1m;
    server {{ listen 127.0.0.1:{port} ssl http2; location / {{ return 200 "fine\\n"; }} location = /file {{ root {folder}; }} }}
}}
"""


class CountsTls(Case):
    @classmethod
    def prepare(cls):
        cls.authority = Authority(cls.scope.folder)
        cls.certificate, key = cls.authority.issue("shop.test", days=20, names="DNS:shop.test,DNS:other.test")
        cls.port, folder = free_port(), cls.scope.path("nginx")
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        with open(f"{folder}/file", "w") as file:
            file.write("x" * 5_000_000)
        with open(f"{folder}/nginx.conf", "w") as config:
            config.write(NGINX.format(folder=folder, certificate=cls.certificate, key=key, port=cls.port))
        cls.limpid = Limpid(cls.scope)
        cls.scope.start("nginx", ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"], service="tls-shop")
        await_true(lambda: listens("127.0.0.1", cls.port), "nginx to listen")

    def sessions(self, **labels):
        return int(sum(value for have, value in self.limpid.series(SESSIONS) if matches(have, labels)))

    def stored_sessions(self, **labels):
        selector = ",".join(f'{name}="{value}"' for name, value in labels.items())
        return int(sum(self.limpid.promql(f"sum({SESSIONS}{{{selector}}})").values()))

    def nearby(self, labels):
        shown = ("service", "peer", "side", "protocol", "operation", "resource", "code", "status")
        lines = [f"{value:.0f} " + " ".join(f"{name}={have.get(name)}" for name in shown) for have, value in self.limpid.series(SESSIONS)]
        return "Counted nearby:\n    " + "\n    ".join(sorted(lines)[:20])

    def handshakes(self, want, service, **labels):
        labels |= {"protocol": "tls", "operation": "handshake"}
        for sides in ({"service": service, "peer": "tls-shop", "side": "client"}, {"service": "tls-shop", "peer": service, "side": "server"}):
            self.reaches(self.sessions, want, f"handshakes in the agent's metrics {sides | labels}", sides | labels)
            self.reaches(self.stored_sessions, want, f"handshakes in PromQL {sides | labels}", sides | labels)
            everything = sides | {"protocol": "tls"}
            self.assertEqual(self.sessions(**everything), want, f"others than wanted: {everything}")

    def connect(self, service, count, said, name="shop.test", port=None, **options):
        options = {"authority": self.authority.cert} | options
        given = [f"{option}={value}" for option, value in options.items() if value]
        program = [sys.executable, f"{HERE}/programs/tls_client.py", str(port or self.port), str(count), name, *given]
        self.assertEqual(run(program, service=service).stdout, f"{said}:{count}\n")

    def attributes(self, service):
        """Those of the handshakes of which spans are stored, as soon as there are any."""
        traces = await_true(lambda: self.limpid.api("/api/traces", service=service, limit=100)["traces"], f"traces of {service}")
        spans = [span for trace in traces for span in self.limpid.api(f"/api/traces/{trace['trace_id']}")["spans"]]
        return [span["attributes"] for span in spans if span["name"].startswith("handshake")]

    def server(self, service, *flags):
        port = free_port()
        key = self.certificate.replace(".pem", ".key")
        self.scope.start("s_server", ["openssl", "s_server", "-accept", str(port), "-cert", self.certificate, "-key", key, "-www", "-quiet", *flags],
                         service=service)
        # Not by connecting: that would be a connection without a handshake, which is no request either, but is one to this test.
        await_true(lambda: f":{port} " in run(["ss", "-Hltn"]).stdout.replace("\n", " "), f"{service} to listen")
        return port

    def test_version_1_3(self):
        self.connect("tls-three", 40, "ok")
        self.handshakes(40, "tls-three", resource="shop.test", status="ok", code="")
        for attributes in self.attributes("tls-three"):
            self.assertEqual(attributes["tls.protocol.version"], "1.3")
            self.assertEqual(attributes["tls.client.server_name"], "shop.test")
            self.assertTrue(attributes["tls.cipher"].startswith("TLS_AES_"), attributes)

    def test_version_1_2(self):
        self.connect("tls-two", 40, "ok", name="other.test", max="1.2")
        self.handshakes(40, "tls-two", resource="other.test", status="ok", code="")
        for attributes in self.attributes("tls-two"):
            self.assertEqual(attributes["tls.protocol.version"], "1.2")
            self.assertEqual(attributes["tls.cipher"], "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
            self.assertEqual(attributes["tls.next_protocol"], "h2")
            self.assertEqual(attributes["tls.server.subject"], "CN=shop.test")
            self.assertEqual(attributes["tls.server.issuer"], "CN=authority")

    def test_many(self):
        self.connect("tls-many", 1500, "ok")
        self.handshakes(1500, "tls-many", resource="shop.test", status="ok")

    def test_curl(self):
        run(["curl", "-s", "--cacert", self.authority.cert, "--resolve", f"shop.test:{self.port}:127.0.0.1",
             f"https://shop.test:{self.port}/"], service="tls-curl")
        self.handshakes(1, "tls-curl", resource="shop.test", status="ok")

    def test_an_authority_that_is_not_known(self):
        for version in ("1.2", "1.3"):
            self.connect(f"tls-stranger-{version}", 20, "CERTIFICATE_VERIFY_FAILED", max=version, authority=None)
            self.handshakes(20, f"tls-stranger-{version}", resource="shop.test", status="error", code="48")

    def test_no_cipher_in_common(self):
        self.connect("tls-cipher", 20, "SSLV3_ALERT_HANDSHAKE_FAILURE", max="1.2", ciphers="ECDHE-RSA-AES256-GCM-SHA384")
        self.handshakes(20, "tls-cipher", resource="shop.test", status="error", code="40")

    def test_no_version_in_common(self):
        port = self.server("tls-new", "-tls1_3")
        self.connect("tls-old", 5, "TLSV1_ALERT_PROTOCOL_VERSION", max="1.2", port=port)
        labels = {"protocol": "tls", "resource": "shop.test", "status": "error", "code": "70"}
        self.reaches(self.sessions, 5, "handshakes that failed", {"service": "tls-old", "side": "client"} | labels)
        self.reaches(self.sessions, 5, "handshakes that failed", {"service": "tls-new", "side": "server"} | labels)

    def test_a_client_that_leaves(self):
        self.connect("tls-leaves", 10, "left", leaves="yes")
        self.handshakes(10, "tls-leaves", resource="shop.test", status="unanswered")

    def test_what_follows_is_counted_and_not_read(self):
        self.connect("tls-file", 1, "ok", path="/file")
        self.handshakes(1, "tls-file", resource="shop.test", status="ok")
        labels = {"service": "tls-file", "side": "client", "protocol": "tls", "direction": "received"}
        received = lambda: sum(value for have, value in self.limpid.series("limpid_connection_io_bytes_total") if matches(have, labels))
        await_true(lambda: received() > 5_000_000, "the bytes to be counted")
        self.assertLess(received(), 5_200_000)

    def test_when_the_certificate_ends(self):
        self.connect("tls-ends", 3, "ok", max="1.2")
        end = run(["openssl", "x509", "-in", self.certificate, "-noout", "-enddate"]).stdout.strip().removeprefix("notAfter=")
        want = ssl.cert_time_to_seconds(end)
        name = "limpid_tls_certificate_not_after_seconds"
        labels = {"service": "tls-ends", "peer": "tls-shop", "side": "client", "server_name": "shop.test", "subject": "CN=shop.test"}
        shown = await_true(lambda: [value for have, value in self.limpid.series(name) if matches(have, labels)], "the certificate's end")
        self.assertEqual(shown, [want])
        in_days = f'({name}{{service="tls-shop",side="server",peer="tls-ends"}} - time()) / 86400'
        await_true(lambda: [days for days in self.limpid.promql(in_days).values() if 19 < days <= 20], "PromQL to tell the days that are left")

    def test_what_fails_is_on_the_map(self):
        self.connect("tls-map", 25, "CERTIFICATE_VERIFY_FAILED", authority=None)
        found = lambda: [edge for edge in self.limpid.api("/api/topology")["edges"]
                         if edge["source"].endswith("/tls-map") and edge["target"].endswith("/tls-shop") and edge["tls"]["alerts"].get("48") == 25]
        edge = await_true(found, "the handshakes on the map")[0]
        self.assertEqual((edge["protocol"], edge["requests"], edge["status"]), ("tls", 0, "critical"))
        self.assertEqual([reason["kind"] for reason in edge["reasons"]], ["handshakes"])
        self.assertIn("unknown_ca", edge["reasons"][0]["text"])

    def test_nothing_was_lost(self):
        lost = self.limpid.losses()
        self.assertEqual({cause for cause in lost if cause in ("ring_full", "socket_storage", "connections_capped")}, set())


class CountsUpgradedTls(Case):
    """PostgreSQL asks in clear whether it may speak TLS."""

    @classmethod
    def prepare(cls):
        authority = Authority(cls.scope.folder)
        cls.certificate, cls.key = authority.issue("db.test", names="DNS:localhost")
        cls.limpid = Limpid(cls.scope)
        cls.port = free_port()
        cls.scope.start("db", ["python3", "-c", cls.server(), str(cls.port), cls.certificate, cls.key], service="tls-db")
        await_true(lambda: f":{cls.port} " in run(["ss", "-Hltn"]).stdout.replace("\n", " "), "the server to listen")

    @staticmethod
    def server():
        """The first bytes of PostgreSQL's protocol, and an end behind the handshake."""
        return """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        connection, _ = listener.accept()
        assert connection.recv(8) == b"\\0\\0\\0\\x08\\x04\\xd2\\x16\\x2f"
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(100)
"""

    def test_postgresql(self):
        for _ in range(5):
            run(["psql", f"host=localhost hostaddr=127.0.0.1 port={self.port} user=x sslmode=require"], service="tls-psql", check=False)
        found = lambda **labels: int(sum(value for have, value in self.limpid.series(SESSIONS) if matches(have, labels)))
        labels = {"protocol": "tls", "operation": "handshake", "status": "ok", "resource": "localhost"}
        self.reaches(found, 5, "handshakes", {"service": "tls-psql", "peer": "tls-db", "side": "client"} | labels)
        self.reaches(found, 5, "handshakes", {"service": "tls-db", "peer": "tls-psql", "side": "server"} | labels)
