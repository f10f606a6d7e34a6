"""The terminal: `limpid top` in a real pseudo-terminal and its figures against the load's own, `limpid query`, completion
and manual pages."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from harness import BINARY, Case, Limpid, await_true, run
from servers import Nginx

SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\s\S])")


class Screen:
    """A program in a pseudo-terminal, and what its screen shows."""

    def __init__(self, scope, argv, columns=120, lines=36, **environment):
        self.columns, self.lines, self.output = columns, lines, b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", "LANG": "C.UTF-8", **environment})
            os.execv(argv[0], argv)
        self.resize(columns, lines)
        self.status = None
        scope.finally_do(self.end)

    def resize(self, columns, lines):
        self.columns, self.lines = columns, lines
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        """Takes what has come; false at the end."""
        while select.select([self.fd], [], [], 0.05)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.output += data
        return True

    def text(self):
        self.read()
        grid, x, y = {}, 0, 0
        for parameters, letter, character in SEQUENCE.findall(self.output.decode("utf-8", "replace")):
            if letter == "H":
                y, x = (int(number) - 1 for number in (parameters or "1;1").split(";"))
            elif letter == "J":
                grid = {}
            elif character and character not in "\r\n":
                grid[y, x] = character
                x += 1
        line = lambda y: "".join(grid.get((y, x), " ") for x in range(self.columns)).rstrip()
        return "\n".join(line(y) for y in range(self.lines))

    def shows(self, what):
        return await_true(lambda: re.search(what, self.text()), f"the screen to show {what}; it shows\n{self.text()}")

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def wait(self):
        """The exit status, as the shell would have it."""
        while self.status is None:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def end(self):
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class Terminal(Case):
    @classmethod
    def prepare(cls):
        # One of the few failed requests here must be among the traces.
        cls.limpid = Limpid(cls.scope, "up", "--sample", "all")
        cls.nginx = Nginx(cls.scope, "top-nginx")
        cls.agent = cls.limpid.agent_url.removeprefix("http://")

    def top(self, *flags, **options):
        return Screen(self.scope, [BINARY, "top", "--agent", self.agent, *flags], **options)

    def ab(self, service, path, count):
        url = f"http://127.0.0.1:{self.nginx.port}{path}"
        out = run(["ab", "-q", "-n", str(count), "-c", "4", "-k", url], service=service).stdout
        self.assertIn(f"Complete requests:      {count}", out)

    def test_counts_are_those_of_the_load(self):
        """All of the load lies between the two readings: what top counts is what ab has sent."""
        seconds = 25
        json_top = subprocess.Popen(
            [BINARY, "top", "--agent", self.agent, "--json", "--interval", str(seconds)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(json_top.kill)
        time.sleep(1)
        begun = time.monotonic()
        self.ab("top-load", "/ok", 3000)
        self.ab("top-load", "/fail", 150)
        self.assertLess(time.monotonic() - begun, seconds - 5, "the machine is too slow for this test")
        rows = [json.loads(line) for line in json_top.communicate()[0].splitlines()]
        self.assertEqual(json_top.returncode, 0)
        edge = [row for row in rows if row["kind"] == "edge" and row["caller"] == "top-load"]
        self.assertEqual([(one["callee"], one["protocol"]) for one in edge], [("top-nginx", "http")])
        for side in ("client", "server"):
            self.assertEqual((edge[0][side]["requests"], edge[0][side]["errors"]), (3150, 150), side)
        took = rows[0]["seconds"]
        self.assertAlmostEqual(edge[0]["requests_per_second"], 3150 / took, places=3)
        self.assertTrue(seconds <= took < seconds + 15, took)
        self.assertEqual(edge[0]["status"], "warning")
        operations = {row["resource"]: row["requests"] for row in rows if row["kind"] == "operation" and row["service"] == "top-nginx"}
        self.assertEqual((operations["/ok"], operations["/fail"]), (3000, 150))

    def test_a_session(self):
        self.ab("top-session", "/ok", 500)
        screen = self.top("--interval", "1")
        screen.shows("limpid top .* since the agent's start|limpid top .* last")
        screen.shows(r"\[Services \d+\]")
        self.ab("top-session", "/fail", 300)
        screen.shows(r"top-nginx +http +\d")
        screen.shows(r"[X!] +top-\S+.* failed \(500\)")
        screen.press("2")
        screen.shows(r"\[Edges \d+\](.|\n)*top-session +top-nginx +http")
        screen.press("/top-sess\r")
        screen.shows("filter top-sess")
        screen.press("\r")
        screen.shows("── top-nginx, http(.|\n)*Operations(.|\n)*Callers")
        screen.resize(80, 24)
        screen.shows("↑↓ Enter open")
        screen.press("\x1b")
        screen.shows(r"\[Edges \d+\]")
        screen.press("q")
        self.assertEqual(screen.wait(), 0)
        self.assertTrue(screen.output.endswith(b"\x1b[?7h\x1b[?25h\x1b[?1049l"), screen.output[-60:])

    def test_the_terminal_is_given_back(self):
        for ending, status in (("\x03", 0), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP)):
            with self.subTest(str(ending)):
                master, slave = pty.openpty()
                before = termios.tcgetattr(slave)
                program = subprocess.Popen([BINARY, "top", "--agent", self.agent], stdin=slave, stdout=slave, stderr=slave,
                                           env={**os.environ, "TERM": "xterm"}, start_new_session=True)
                self.addCleanup(program.kill)
                output = b""
                while b"limpid top" not in output:
                    output += os.read(master, 65536)
                self.assertNotEqual(termios.tcgetattr(slave), before)
                if isinstance(ending, str):
                    os.write(master, ending.encode())
                else:
                    program.send_signal(ending)
                while program.poll() is None:
                    if select.select([master], [], [], 0.05)[0]:
                        output += os.read(master, 65536)
                self.assertEqual(program.returncode, status)
                self.assertEqual(termios.tcgetattr(slave), before)
                while select.select([master], [], [], 0.2)[0]:
                    output += os.read(master, 65536)
                self.assertTrue(output.endswith(b"\x1b[?1049l"), output[-60:])
                os.close(master)
                os.close(slave)

    def test_plain_terminals(self):
        screen = self.top(NO_COLOR="1", LANG="C", LC_ALL="C")
        screen.shows("q quit")
        screen.press("q")
        self.assertEqual(screen.wait(), 0)
        self.assertTrue(screen.output.isascii())
        self.assertNotRegex(screen.output, rb"\x1b\[[0-9;]*;(3[0-7]|9[0-7])m")

    def test_a_pipe_gets_one_table(self):
        self.ab("top-pipe", "/ok", 50)
        out = run([BINARY, "top", "--agent", self.agent, "--interval", "1", "--filter", "top-"]).stdout
        self.assertNotIn("\x1b", out)
        self.assertRegex(out, r"SERVICE +PROTOCOL +REQ/S")
        self.assertRegex(out, r"\n[ ?] +top-nginx +http")

    def test_without_an_agent_one_line_says_what_to_do(self):
        done = run([BINARY, "top", "--agent", "127.0.0.1:1"], check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^limpid top: no agent .*127\.0\.0\.1:1 .*sudo limpid agent.*\n$")
        done = run([BINARY, "top", "--agent", self.limpid.url], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no agent of Limpid", done.stderr)

    def query(self, *arguments, check=True):
        return run([BINARY, "query", *arguments, "--server", self.limpid.url], check=check)

    def test_query(self):
        self.ab("top-query", "/fail", 40)
        expression = 'sum(limpid_request_duration_seconds_count{service="top-query",side="client"})'
        self.same(self.limpid, 40, service="top-query", side="client")
        self.assertEqual(self.query("promql", expression).stdout.split(), ["SERIES", "VALUE", "{}", "40"])
        answer = json.loads(self.query("promql", expression, "--since", "5m", "--format", "json").stdout)
        self.assertEqual((answer["status"], answer["data"]["resultType"]), ("success", "matrix"))
        self.assertEqual(answer["data"]["result"][0]["values"][-1][1], "40")
        row = await_true(lambda: re.search(r".* top-query .*", self.query("traces", "service:top-query", "--since", "5m").stdout),
                         "a trace of the load")
        self.assertRegex(row[0], r"[0-9a-f]{32}  top-query +GET /fail +500 ")
        self.assertRegex(self.query("topology", "--since", "5m").stdout, r"top-query +top-nginx +http ")
        self.assertIn("limpid.agent.status", self.query("events", "--since", "5m").stdout)

    def test_query_says_what_is_wrong_in_one_line(self):
        for arguments, code, words in (
            (["promql", "sum("], 1, "cannot parse"),
            (["traces", "--start", "yesterday"], 1, "expected Unix seconds or RFC 3339"),
            (["promql", "up", "--since", "soon"], 2, "no duration"),
            (["traces", "--format", "xml"], 2, "table, json"),
        ):
            done = self.query(*arguments, check=False)
            self.assertEqual((done.returncode, done.stdout), (code, ""), arguments)
            self.assertTrue(words in done.stderr and done.stderr.count("\n") == 1, done.stderr)

    def test_manual_pages_and_completion(self):
        folder = self.scope.path("man")
        run([BINARY, "man", "--all", folder])
        pages = sorted(os.listdir(folder))
        self.assertTrue({"limpid.1", "limpid-up.1", "limpid-top.1", "limpid-query-promql.1"} <= set(pages), pages)
        for page in pages:
            done = run(["groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(folder, page)])
            self.assertEqual(done.stderr, "", page)
        script = run([BINARY, "completion", "bash"]).stdout
        offered = run(["bash", "--norc", "-c", f"{script}\nCOMP_WORDS=(limpid up --sam); COMP_CWORD=2; _limpid; echo ${{COMPREPLY[@]}}"])
        self.assertEqual(offered.stdout.split(), ["--sample"])
