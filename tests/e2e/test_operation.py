"""Operating a server: tokens and signing in, TLS and certificates of agents, readiness, what is read again on SIGHUP."""

import json
import os
import re
import signal
import time
import urllib.parse

from certificates import Authority
from harness import BINARY, Case, Limpid, await_true, fill, free_port, run, small_disk
from servers import Nginx


def curl(*argv, **options):
    return run(["curl", "-sS", "--noproxy", "*", *argv], **options)


def status_of(*argv):
    return curl("-o", "/dev/null", "-w", "%{http_code}", *argv).stdout


class Tls(Case):
    @classmethod
    def prepare(cls):
        cls.authority, cls.stranger = Authority(cls.scope.folder), Authority(cls.scope.folder, "stranger")
        cls.cert, cls.key = cls.authority.issue("server")
        cls.client = cls.authority.issue("client")
        cls.port, cls.otlp, cls.otlp_http = free_port(), free_port(), free_port()
        cls.server = cls.start_server(cls.scope, cls.port, "--otlp-listen", f"127.0.0.1:{cls.otlp}", "--otlp-http-listen",
                                      f"127.0.0.1:{cls.otlp_http}", "--otlp-client-ca", cls.authority.cert)

    @classmethod
    def start_server(cls, scope, port, *flags):
        server = Limpid(scope, "server", "--listen", f"127.0.0.1:{port}", "--tls-cert", cls.cert, "--tls-key", cls.key, *flags, wait=False)
        await_true(lambda: cls.asked(port, "/-/ready", check=False).returncode == 0, "the server to be ready", every=0.2)
        return server

    @classmethod
    def asked(cls, port, path, *more, check=True):
        return curl("-f", "--cacert", cls.authority.cert, f"https://localhost:{port}{path}", *more, check=check)

    def agent(self, *flags):
        return Limpid(self.scope, "agent", "--server", f"https://127.0.0.1:{self.otlp}", *flags, wait=False)

    def agent_says(self, words, *flags):
        agent = self.agent(*flags)
        await_true(lambda: words in agent.program.output(), f"the agent to say {words!r}")
        agent.program.stop()

    def test_the_api_is_encrypted(self):
        status = json.loads(self.asked(self.port, "/api/status").stdout)
        self.assertEqual(status["problems"], [])
        self.assertNotEqual(curl(f"https://localhost:{self.port}/api/status", check=False).returncode, 0, "without the authority")
        self.assertNotEqual(curl(f"http://localhost:{self.port}/api/status", check=False).returncode, 0, "without TLS")
        metrics = self.asked(self.port, "/metrics").stdout
        until = float(re.search(r"^limpid_tls_certificate_expiry_timestamp_seconds (\S+)$", metrics, re.M)[1])
        self.assertAlmostEqual(until, time.time() + 30 * 86400, delta=3600)

    def test_an_agent_with_a_certificate(self):
        agent = self.agent("--server-ca", self.authority.cert, "--client-cert", self.client[0], "--client-key", self.client[1])
        await_true(agent.is_ready, "the agent to be ready", seconds=90)
        nginx = Nginx(self.scope, "tls-nginx")
        run(["ab", "-q", "-n", "300", "-c", "2", "-k", f"http://127.0.0.1:{nginx.port}/ok"], service="tls-client")
        query = urllib.parse.urlencode({"query": 'sum(limpid_request_duration_seconds_count{service="tls-nginx",side="server"})'})

        def stored():
            result = json.loads(self.asked(self.port, f"/api/v1/query?{query}").stdout)["data"]["result"]
            return result and result[0]["value"][1] == "300"

        await_true(stored, "300 requests in the store", every=0.5)
        agent.program.stop()

    def test_agents_that_are_refused_say_why(self):
        trust = ("--server-ca", self.authority.cert)
        self.agent_says("the server asks for a certificate", *trust)
        self.agent_says("signed by nobody in", "--server-ca", self.stranger.cert, "--client-cert", self.client[0], "--client-key", self.client[1])
        cert, key = self.stranger.issue("intruder")
        self.agent_says("does not know who signed the agent's certificate", *trust, "--client-cert", cert, "--client-key", key)

    def test_otlp_over_http_asks_for_a_certificate_too(self):
        url = f"https://localhost:{self.otlp_http}/v1/traces"
        post = ("--cacert", self.authority.cert, "-H", "content-type: application/x-protobuf", "--data-binary", "", url)
        self.assertNotEqual(curl(*post, check=False).returncode, 0)
        self.assertEqual(status_of("--cert", self.client[0], "--key", self.client[1], *post), "200")

    def test_a_renewed_certificate_is_read_on_sighup(self):
        scope, port = self.own_scope(), free_port()
        server = self.start_server(scope, port, "--user", "root")
        before = self.shown(port)
        renewed = self.authority.issue("renewed")
        kept = [open(path, "rb").read() for path in (self.cert, self.key)]
        try:
            for new, path in zip(renewed, (self.cert, self.key)):
                os.replace(new, path)
            server.program.process.send_signal(signal.SIGHUP)
            await_true(lambda: self.shown(port) != before, "the new certificate to be shown", every=0.2)
            # A broken one is not taken up, and told.
            with open(self.cert, "w") as file:
                file.write("nothing")
            shown = self.shown(port)
            server.program.process.send_signal(signal.SIGHUP)
            await_true(lambda: "(`tls_cert`) holds no certificate" in server.program.output(), "the server to tell of it")
            self.assertEqual(self.shown(port), shown)
        finally:
            for content, path in zip(kept, (self.cert, self.key)):
                with open(path, "wb") as file:
                    file.write(content)

    def shown(self, port):
        """Serial number of the certificate that is shown on a port."""
        out = run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost"], check=False, input="").stdout
        return run(["openssl", "x509", "-noout", "-serial"], input=out, check=False).stdout


class BadCertificates(Case):
    def refused(self, *flags):
        argv = [BINARY, "server", "--listen", f"127.0.0.1:{free_port()}", "--otlp-http-listen", "off",
                "--store", self.scope.path("store"), *flags]
        argv += [] if "--otlp-listen" in flags else ["--otlp-listen", "off"]
        done = run(argv, check=False, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def test_each_mistake_is_one_clear_line(self):
        authority = Authority(self.scope.folder)
        cert, key = authority.issue("good")
        other = authority.issue("other")[1]
        expired, expired_key = authority.issue("old", days=-1)
        text = self.scope.path("text")
        with open(text, "w") as file:
            file.write("no certificate\n")
        for flags, words in [
            (("--tls-cert", "/nowhere.pem", "--tls-key", key), ("/nowhere.pem (`tls_cert`) cannot be read",)),
            (("--tls-cert", cert, "--tls-key", "/nowhere.key"), ("/nowhere.key (`tls_key`) cannot be read",)),
            (("--tls-cert", cert, "--tls-key", other), (other, "does not belong to the certificate", cert)),
            (("--tls-cert", expired, "--tls-key", expired_key), (expired, "expired on 20", "renew it")),
            (("--tls-cert", text, "--tls-key", key), (text, "holds no certificate")),
            (("--tls-cert", cert, "--tls-key", text), (text, "holds no private key")),
            (("--tls-cert", cert), ("`tls_cert`", "needs `tls_key`")),
            (("--otlp-client-ca", cert), ("`otlp_client_ca`", "`tls_cert` and `tls_key`")),
            (("--tls-cert", cert, "--tls-key", key, "--otlp-client-ca", text, "--otlp-listen", f"127.0.0.1:{free_port()}"), (text, "`otlp_client_ca`")),
        ]:
            with self.subTest(words):
                line = self.refused(*flags)
                for word in words:
                    self.assertIn(word, line)


class Tokens(Case):
    @classmethod
    def prepare(cls):
        cls.file = cls.scope.path("tokens")
        cls.tokens = {role: cls.made(role) for role in ("ingest", "read", "admin")}
        # The server is another user by the time it reads the file again.
        os.chmod(cls.file, 0o644)
        cls.server = Limpid(cls.scope, "server", "--auth-file", cls.file, wait=False)
        cls.server.token = cls.tokens["read"]
        await_true(cls.server.is_ready, "the server to be ready")

    @classmethod
    def made(cls, role):
        return run([BINARY, "token", role, "--add", cls.file]).stdout.strip()

    def bearer(self, role):
        return ("-H", f"authorization: Bearer {self.tokens[role]}")

    def test_the_file_holds_no_token(self):
        with open(self.file) as file:
            text = file.read()
        for role, token in self.tokens.items():
            self.assertNotIn(token, text)
            self.assertIn(f"{role} sha256:", text)

    def test_roles(self):
        for role, path, want in [("read", "/api/status", "200"), ("admin", "/api/status", "200"), ("ingest", "/api/status", "403"),
                                 ("read", "/metrics", "200"), ("read", "/api/sessions", "403"), ("admin", "/api/sessions", "200")]:
            self.assertEqual(status_of(*self.bearer(role), f"{self.server.url}{path}"), want, f"{role} {path}")
        self.assertEqual(status_of(f"{self.server.url}/api/status"), "401")
        self.assertEqual(status_of(f"{self.server.url}/-/ready"), "200")

    def test_signing_in_and_out(self):
        jar, url = self.scope.path("cookies"), self.server.url
        login = lambda token: ("-c", jar, "-H", f"origin: {url}", "-H", "content-type: application/json", "-d", json.dumps({"token": token}), f"{url}/api/login")
        self.assertEqual(status_of(*login("wrong-from-start-to-end")), "401")
        self.assertEqual(status_of(*login(self.tokens["ingest"])), "403")
        self.assertEqual(status_of(*login(self.tokens["admin"])), "200")
        with open(jar) as file:
            text = file.read()
        self.assertIn("#HttpOnly_127.0.0.1", text)
        self.assertNotIn(self.tokens["admin"], text)
        self.assertEqual(json.loads(curl("-b", jar, f"{url}/api/session").stdout), {"required": True, "role": "admin"})
        self.assertEqual(status_of("-b", jar, f"{url}/api/status"), "200")
        self.assertEqual(status_of("-b", jar, "-H", "origin: http://evil.example", f"{url}/api/status"), "403")
        self.assertEqual(status_of("-b", jar, "-H", f"origin: {url}", "-X", "POST", f"{url}/api/logout"), "200")
        self.assertEqual(status_of("-b", jar, f"{url}/api/status"), "401")

    def test_a_token_that_is_taken_away_ends_its_sessions(self):
        jar, url, token = self.scope.path("leaving"), self.server.url, self.made("read")
        hang_up = lambda: self.server.program.process.send_signal(signal.SIGHUP)
        bearer = ("-H", f"authorization: Bearer {token}", f"{url}/api/status")
        hang_up()
        await_true(lambda: status_of(*bearer) == "200", "the new token to be known", every=0.2)
        self.assertEqual(status_of("-c", jar, "-H", "content-type: application/json", "-d", json.dumps({"token": token}), f"{url}/api/login"), "200")
        with open(self.file) as file:
            lines = file.readlines()
        with open(self.file, "w") as file:
            file.writelines(lines[:-1])
        hang_up()
        await_true(lambda: status_of(*bearer) == "401", "the token to be forgotten", every=0.2)
        self.assertEqual(status_of("-b", jar, f"{url}/api/status"), "401")
        self.assertEqual(status_of(*self.bearer("read"), f"{url}/api/status"), "200")

    def test_no_token_is_logged(self):
        for token in self.tokens.values():
            self.assertNotIn(token, self.server.program.output())


class Readiness(Case):
    def test_not_ready_on_a_full_disk(self):
        scope = self.own_scope()
        disk = small_disk(scope, "4m")
        otlp = free_port()
        server = Limpid(scope, "server", "--store", f"{disk}/store", "--otlp-http-listen", f"127.0.0.1:{otlp}")
        fill(disk)
        send = ("-H", "content-type: application/x-protobuf", "--data-binary", "", f"http://127.0.0.1:{otlp}/v1/traces")
        await_true(lambda: status_of(*send) == "503", "telemetry to be refused", every=0.5)
        await_true(lambda: status_of(f"{server.url}/-/ready") == "503", "the server not to be ready", every=0.5)
        line = curl(f"{server.url}/-/ready").stdout
        self.assertEqual(len(line.splitlines()), 1)
        self.assertIn("the disk is full", line)
        self.assertEqual(status_of(f"{server.url}/-/healthy"), "200")
        os.remove(f"{disk}/filler")
        await_true(lambda: status_of(*send) == "200", "telemetry to be taken again", every=0.5)
        await_true(lambda: status_of(f"{server.url}/-/ready") == "200", "the server to be ready again", every=0.5)
