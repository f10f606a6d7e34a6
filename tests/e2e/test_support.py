"""The support bundle: what somebody needs who looks for a fault, and nothing of what the watched programs say."""

import os
import sys
import tarfile

from harness import BINARY, Case, Limpid, await_true, run
from servers import Nginx, Redis
from test_secrets import CANARY, HTTP, MARK


class Support(Case):
    @classmethod
    def prepare(cls):
        tokens = cls.scope.path("tokens")
        cls.token = run([BINARY, "token", "read", "--add", tokens]).stdout.strip()
        cls.plain = "canary7-let-me-in-at-once"
        with open(tokens, "a") as file:
            file.write(f"ingest {cls.plain}\n")
        os.chmod(tokens, 0o644)
        cls.reading = cls.scope.path("reading")
        with open(cls.reading, "w") as file:
            file.write(cls.token)
        cls.limpid = Limpid(cls.scope, "up", "--auth-file", tokens, wait=False)
        cls.limpid.token = cls.token
        await_true(cls.limpid.is_ready, "limpid to be ready", seconds=90)
        nginx, redis = Nginx(cls.scope, "support-nginx"), Redis(cls.scope, "support-redis")
        script = cls.scope.path("shop.py")
        with open(script, "w") as file:
            file.write(HTTP)
        env = {**os.environ, "API_TOKEN": CANARY["environment"]}
        run([sys.executable, script, str(nginx.port), f"--password={CANARY['argument']}"], env=env, service="support-http")
        for _ in range(20):
            redis.cli("set", CANARY["key"], CANARY["value"], service="support-cli")
        for service in ("support-nginx", "support-redis"):
            await_true(lambda: cls.limpid.stored(service=service, side="server") >= 20, f"requests of {service}", every=0.3)
        cls.configuration = cls.scope.path("limpid.yaml")
        with open(cls.configuration, "w") as file:
            file.write(f"auth_file: {tokens}\nlisten: {cls.limpid.url[7:]}\nagent_listen: {cls.limpid.agent_url[7:]}\n"
                       f"data: {cls.limpid.data}\nserver: http://me:{CANARY['userinfo']}@127.0.0.1:4317\n")
        cls.bundle = cls.scope.path("bundle.tar.gz")
        run([BINARY, "support", "--config", cls.configuration, "--token-file", cls.reading, "--output", cls.bundle])
        with tarfile.open(cls.bundle) as archive:
            cls.files = {os.path.basename(one.name): archive.extractfile(one).read().decode() for one in archive.getmembers()}

    def test_it_holds_what_is_needed(self):
        for name, words in {
            "README.txt": "agent-status.json", "version.txt": "limpid 0.", "configuration.yaml": "retention_days: 7",
            "check.json": "sockets", "kernel.txt": "bytes of BTF", "processes.txt": "agent", "agent-status.json": "\"losses\"",
            "agent-metrics.txt": "limpid_losses_total{", "server-status.json": "\"store\"", "server-metrics.txt": "limpid_ingest_messages_total",
            "store.txt": "FORMAT",
        }.items():
            self.assertIn(words, self.files[name], name)
        self.assertIn("support-nginx", self.files["agent-metrics.txt"], "names of services may be there")

    def test_it_holds_no_payload_and_no_secret(self):
        for name, text in self.files.items():
            for secret in (MARK, self.token, "/ok", "shop.py"):
                at = text.find(secret)
                self.assertEqual(at, -1, f"{name}: {text[max(0, at - 200):at + 60]}")

    def test_only_its_owner_may_read_it(self):
        self.assertEqual(os.stat(self.bundle).st_mode & 0o777, 0o600)
        again = run([BINARY, "support", "--output", self.bundle], check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("--output", again.stderr)

    def test_without_agent_and_server(self):
        path = self.scope.path("alone.tar.gz")
        run([BINARY, "support", "--server", "http://127.0.0.1:1", "--agent", "http://127.0.0.1:1", "--output", path])
        with tarfile.open(path) as archive:
            readme = [archive.extractfile(one).read().decode() for one in archive.getmembers() if one.name.endswith("README.txt")][0]
        self.assertIn("server-status.json: the server, its store, and the agents that report to it (not available: http://127.0.0.1:1", readme)
