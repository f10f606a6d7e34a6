"""Mistakes and missing rights: one clear line that says what, where and what to do, and the right exit code."""

import os
import socket

from harness import BINARY, Case, Limpid, await_true, free_port, run


class BadInput(Case):
    def refused(self, argv, *words, prefix=(), env=None):
        """Ends with an exit code other than 0 after one line on stderr that holds all the words."""
        done = run([*prefix, BINARY, *argv], check=False, timeout=60, env=env or os.environ)
        own = [line for line in done.stderr.splitlines() if not line.startswith(("info ", "warn "))]
        self.assertNotEqual(done.returncode, 0, done.stderr)
        self.assertGreater(done.returncode, 0, f"ended by a signal: {done.stderr}")
        self.assertEqual(len(own), 1, f"one line, not {own}")
        self.assertNotIn("panicked", done.stderr)
        for word in words:
            self.assertIn(word, own[0])
        return own[0]

    def server(self, *flags, store=None):
        return ["server", "--listen", f"127.0.0.1:{free_port()}", "--otlp-listen", "off", "--otlp-http-listen", "off",
                "--store", store or self.scope.path("store"), *flags]

    def test_unknown_key(self):
        path = self.scope.path("limpid.yaml")
        with open(path, "w") as file:
            file.write("retention_dayz: 3\n")
        self.refused(self.server("--config", path), "retention_dayz", "retention_days", path)

    def test_broken_yaml(self):
        path = self.scope.path("broken.yaml")
        with open(path, "w") as file:
            file.write("listen: [\n")
        self.refused(self.server("--config", path), path)

    def test_unknown_variable(self):
        env = {**os.environ, "LIMPID_RETENTION_DAYZ": "3"}
        self.refused(self.server(), "LIMPID_RETENTION_DAYZ", env=env)

    def test_wrong_value(self):
        self.refused(self.server("--retention-days", "many"), "retention_days", "many")
        self.refused(["server", "--listen", "nowhere", "--store", self.scope.path("store")], "listen", "nowhere")

    def test_console_port_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.refused(["server", "--listen", address, "--otlp-listen", "off", "--otlp-http-listen", "off",
                          "--store", self.scope.path("store")], address, "--listen")

    def test_up_with_console_port_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.refused(["up", "--listen", address, "--otlp-listen", "off", "--otlp-http-listen", "off",
                          "--agent-listen", "off", "--data", self.scope.path("up")], address, "--listen")

    def test_otlp_port_taken_degrades(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            limpid = Limpid(self.own_scope(), "server", "--otlp-listen", address)
            problems = limpid.api("/api/status")["problems"]
            self.assertTrue(any(address in str(problem) for problem in problems), problems)

    def test_agent_port_taken_degrades(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            limpid = Limpid(self.own_scope(), "agent", agent_address=address, wait=False)
            await_true(lambda: address in limpid.program.output() and "watching" in limpid.program.output(),
                       "the agent to say that its port is taken")
            self.assertIsNone(limpid.program.process.poll())

    def test_unwritable_folder(self):
        self.refused(self.server(store="/proc/limpid"), "/proc/limpid")
        self.refused(["up", "--data", "/proc/limpid", "--listen", f"127.0.0.1:{free_port()}", "--agent-listen", "off"],
                     "/proc/limpid", "--data")

    def test_folder_is_a_file(self):
        path = self.scope.path("file")
        with open(path, "w") as file:
            file.write("not a folder")
        self.refused(self.server(store=path), path)

    def test_newer_folder(self):
        store = self.scope.path("newer")
        os.makedirs(store)
        with open(f"{store}/FORMAT", "w") as file:
            file.write("99\n")
        self.refused(self.server(store=store), "99", store)
        with open(f"{store}/FORMAT") as file:
            self.assertEqual(file.read(), "99\n")

    def test_folder_in_use(self):
        scope = self.own_scope()
        first = Limpid(scope, "server")
        self.refused(self.server(store=first.data), first.data)

    def test_full_disk(self):
        """A tiny disk fills up: the server goes on, says so, and refuses what it cannot keep."""
        scope = self.own_scope()
        disk = scope.path("disk")
        os.mkdir(disk)
        run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk])
        scope.finally_do(lambda: run(["umount", "-l", disk], check=False))
        limpid = Limpid(scope, "up", "--data", f"{disk}/limpid")
        filler = os.open(f"{disk}/filler", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(filler, b"x" * 4096)
        except OSError:
            pass
        finally:
            os.close(filler)
        await_true(lambda: limpid.api("/api/status")["store"]["problem"], "the status to tell of the full disk", every=0.5)
        self.assertIsNone(limpid.program.process.poll())
        self.assertNotIn("panicked", limpid.program.output())
        os.remove(f"{disk}/filler")
        await_true(lambda: not limpid.api("/api/status")["store"]["problem"], "the store to write again", every=0.5)

    def test_agent_without_capabilities(self):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        self.refused(["agent", "--agent-listen", "off"], "CAP_BPF", "root", prefix=nobody)
        dropped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        self.refused(["agent", "--agent-listen", "off"], "CAP_BPF", prefix=dropped)

    def test_check_without_capabilities(self):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        done = run([*nobody, BINARY, "check"], check=False)
        self.assertGreater(done.returncode, 0)
        self.assertIn("cap", done.stdout.lower())
        self.assertNotIn("panicked", done.stderr)

    def test_no_capture(self):
        path = self.scope.path("text")
        with open(path, "w") as file:
            file.write("this is no capture at all, only text\n" * 10)
        self.refused(["replay", path], path)
        self.refused(["replay", "/nowhere.pcap"], "/nowhere.pcap")
        self.refused(["replay", self.scope.folder], self.scope.folder)

    def test_listening_everywhere_without_authentication(self):
        for flag in ("--listen", "--otlp-listen", "--otlp-http-listen"):
            with self.subTest(flag):
                argv = ["server", "--store", self.scope.path("open")]
                for one in ("--listen", "--otlp-listen", "--otlp-http-listen"):
                    argv += [one, f"{'0.0.0.0' if one == flag else '127.0.0.1'}:{free_port()}"]
                self.refused(argv, "0.0.0.0", "--auth-file")
                self.refused([part.replace("0.0.0.0", "[::]") for part in argv], "[::]", "--auth-file")

    def test_broken_auth_file(self):
        path = self.scope.path("tokens")
        with open(path, "w") as file:
            file.write("emperor abc\n")
        line = self.refused(self.server("--auth-file", path), path)
        self.assertNotIn("abc", line)
        self.refused(self.server("--auth-file", "/nowhere"), "/nowhere")

    def test_token_file_missing(self):
        self.refused(["agent", "--server", "http://127.0.0.1:1", "--token-file", "/nowhere", "--agent-listen", "off"], "/nowhere")

    def test_server_address_is_none(self):
        self.refused(["agent", "--server", "ftp:/what", "--agent-listen", "off"], "ftp:/what")
