"""Mistakes and missing rights: one clear line that says what, where and what to do, and the right exit code."""

import os
import socket

from harness import BINARY, Case, Limpid, await_true, fill, free_port, run, small_disk


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

    def test_no_configuration(self):
        self.refused(self.server("--config", self.scope.folder), self.scope.folder, "--config")
        self.refused(self.server("--config", "/nowhere.yaml"), "/nowhere.yaml", "--config")
        for name, content in (("text.yaml", b"just a line of text\n"), ("list.yaml", b"- listen\n"), ("binary.yaml", b"\xff\xfe\x00\x80"),
                              ("twice.yaml", b"listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n"), ("nested.yaml", b"listen:\n  port: 1\n")):
            with self.subTest(name):
                path = self.scope.path(name)
                with open(path, "wb") as file:
                    file.write(content)
                self.refused(self.server("--config", path), path)
        # Without an end.
        self.refused(self.server("--config", "/dev/zero"), "/dev/zero")

    def test_unknown_flag_and_command(self):
        self.refused(["server", "--retention-dayz", "3"], "--retention-dayz", "--retention-days")
        self.refused(["serve"], "serve", "server")
        self.refused(["replay"], "FILE")

    def test_demo_without_a_checkout(self):
        self.refused(["up", "--demo"], "./x up --demo")

    def test_unknown_variable(self):
        env = {**os.environ, "LIMPID_RETENTION_DAYZ": "3"}
        self.refused(self.server(), "LIMPID_RETENTION_DAYZ", env=env)

    def test_wrong_value(self):
        self.refused(self.server("--retention-days", "many"), "retention_days", "many")
        self.refused(["server", "--listen", "nowhere", "--store", self.scope.path("store")], "listen", "nowhere")
        for flag, value, word in (("--retention-days", "7d", "from 1"), ("--retention-days", "0", "from 1"), ("--retention-size", "10GB", "GiB"),
                                  ("--retention-size", "-1", "MiB"), ("--sync", "perhaps", "on, off"), ("--log", "loud", "debug"),
                                  ("--listen", "off", "listen"), ("--user", "nobody-of-that-name", "nobody-of-that-name")):
            with self.subTest(f"{flag} {value}"):
                argv = [part for part in self.server() if flag != "--listen" or not part.startswith("127.0.0.1")]
                argv = [part for part in argv if flag != "--listen" or part != "--listen"]
                self.refused([*argv, f"{flag}={value}"], word)
        for flag, value, word in (("--interval-seconds", "1s", "from 1"), ("--ring-bytes", "1KiB", "MiB"), ("--sample", "most", "none"),
                                  ("--front-end", "magic", "fentry"), ("--sockets", "maybe", "auto"), ("--spans-per-second", "many", "from 0")):
            with self.subTest(f"{flag} {value}"):
                self.refused(["agent", "--agent-listen", "off", f"{flag}={value}"], word, value)
                self.refused(["up", "--data", self.scope.path("wrong"), f"{flag}={value}"], word, value)

    def test_values_that_are_no_text(self):
        """An environment may hold anything; it is not ours to complain about."""
        env = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()} | {b"ODD": b"\xff\xfe"}
        self.refused(self.server("--retention-days", "many"), "retention_days", env=env)

    def test_store_that_is_no_folder(self):
        self.refused(self.server(store="clickhouse://db:9000/limpid"), "store", "clickhouse://", "folder")

    def test_address_that_is_not_here(self):
        with open(self.scope.path("right-tokens"), "w") as file:
            file.write("admin a-token-that-is-long-enough-for-everybody\n")
        self.refused(["server", "--listen", "192.0.2.1:7117", "--otlp-listen", "off", "--otlp-http-listen", "off", "--auth-file",
                      self.scope.path("right-tokens"), "--store", self.scope.path("store")], "192.0.2.1:7117", "--listen")

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

    def test_folder_of_another_user(self):
        """Not started by root, a server cannot change whose folder it is."""
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        folder = self.scope.path("closed")
        os.makedirs(folder, mode=0o700)
        self.refused(self.server(store=folder), folder, prefix=nobody)
        self.refused(self.server(store=f"{folder}/below"), folder, prefix=nobody)

    def test_folder_with_a_long_name(self):
        folder = self.scope.path("x" * 120)
        self.refused(["up", "--data", folder, "--listen", f"127.0.0.1:{free_port()}", "--otlp-listen", "off", "--otlp-http-listen", "off",
                      "--agent-listen", "off"], "--data")

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
        disk = small_disk(scope, "2m")
        limpid = Limpid(scope, "up", "--data", f"{disk}/limpid")
        fill(disk)
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

    def test_agent_without_one_capability(self):
        for name, flag in (("CAP_NET_ADMIN", "net_admin"), ("CAP_SYS_PTRACE", "sys_ptrace"), ("CAP_DAC_READ_SEARCH", "dac_read_search")):
            with self.subTest(name):
                prefix = ["setpriv", f"--bounding-set=-{flag}", f"--inh-caps=-{flag}"]
                line = self.refused(["agent", "--agent-listen", "off"], name, "root", prefix=prefix)
                self.assertNotIn("CAP_BPF", line)

    def test_up_without_capabilities(self):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        folder = self.scope.path("nobodys")
        os.makedirs(folder)
        os.chown(folder, 65534, 65534)
        self.refused(["up", "--data", folder, "--listen", f"127.0.0.1:{free_port()}", "--otlp-listen", "off", "--otlp-http-listen", "off",
                      "--agent-listen", "off"], "CAP_BPF", "root", prefix=nobody)

    def test_kernel_without_types(self):
        """A mount namespace in which the kernel's file of types is empty."""
        hidden = ["unshare", "--mount", "sh", "-c", "mount --bind /dev/null /sys/kernel/btf/vmlinux && exec \"$@\"", "sh"]
        self.refused(["agent", "--agent-listen", "off"], "/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF", prefix=hidden)
        self.refused(["up", "--data", self.scope.path("typeless"), "--listen", f"127.0.0.1:{free_port()}", "--otlp-listen", "off",
                      "--otlp-http-listen", "off", "--agent-listen", "off"], "/sys/kernel/btf/vmlinux", prefix=hidden)
        done = run([*hidden, BINARY, "check"], check=False)
        self.assertGreater(done.returncode, 0)
        self.assertIn("CONFIG_DEBUG_INFO_BTF", done.stdout.splitlines()[-1])

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
        empty = self.scope.path("empty.pcap")
        with open(empty, "w"):
            pass
        self.refused(["replay", empty], empty)
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
        for address in ("ftp:/what", "127.0.0.1:4317", "http://127.0.0.1:port", "unix://relative"):
            self.refused(["agent", "--server", address, "--agent-listen", "off"], address, "http://HOST:PORT")
