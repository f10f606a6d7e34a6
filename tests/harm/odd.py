"""Odd targets: traced programs, other mount namespaces, files that are deleted, replaced or overwritten under their users."""

import os
import random
import shutil
import signal
import sys
import time

from cycles import Agent
from harness import Limpid, await_true, fetch, free_port, listens, run
from loads import LOAD, PROGRAMS, SIZES, make_files, start_nginx
from servers import compile_go
from starts import curls_own_tls

REQUESTS = 20


class Odd:
    def __init__(self, scope, certificate, key, seed):
        self.scope, self.certificate, self.key, self.chosen = scope, certificate, key, random.Random(seed)
        make_files(scope.path("files"), seed)
        _, self.port = start_nginx(scope, scope.path("files"), certificate, key)
        self.url = f"https://127.0.0.1:{self.port}/{max(SIZES)}"
        self.limpid = Limpid(scope, "agent")
        await_true(lambda: self.probed("/libssl.so"), "the probes")

    def curl(self, requests=REQUESTS):
        return ["curl", "-sSk", "--http1.1", *[self.url] * requests]

    def received(self, argv, service, env=None, **options):
        """What the client says is what the server has, so often."""
        with open(f"{self.scope.folder}/files/{max(SIZES)}") as file:
            content = file.read()
        said = run(argv, service=service, env={**os.environ, **(env or {})}, **options).stdout
        if said != content * (len(said) // len(content)) or len(said) < len(content) * REQUESTS:
            raise AssertionError(f"{service}: {len(said)} bytes are not {REQUESTS} times the {len(content)} of the file")

    def counted(self, service, count=REQUESTS):
        seen = lambda: self.limpid.count(service=service, side="client", protocol="http")
        await_true(lambda: seen() >= count, f"{count} requests of {service}", seconds=15)
        if seen() != count:
            raise AssertionError(f"{service}: {seen()} requests were counted and {count} were made")

    def library(self, name):
        """A folder with a copy of curl's TLS library."""
        folder = self.scope.path(name)
        os.mkdir(folder)
        shutil.copy(curls_own_tls(), folder)
        return folder, os.path.join(folder, os.path.basename(curls_own_tls()))

    def probed(self, path):
        return path in fetch(f"{self.limpid.agent_url}/status")

    def warm(self, folder, times=1):
        """Used, so that the agent knows it: as often as it is to have probes. Who has ended before it is looked at is none."""

        def known():
            run(self.curl(1), service="odd-warm", env={**os.environ, "LD_LIBRARY_PATH": folder})
            time.sleep(0.3)
            return fetch(f"{self.limpid.agent_url}/status").count(f'"path":"{folder}/') == times

        await_true(known, f"probes in {folder}")

    def traced(self):
        """The breakpoints of the agent and those of a debugger do not meet: each gets its own."""
        log = self.scope.path("strace")
        self.received(["strace", "-f", "-o", log, *self.curl()], "odd-strace")
        self.counted("odd-strace")
        script = self.scope.path("gdb")
        with open(script, "w") as file:
            file.write("set breakpoint pending on\nset debuginfod enabled off\nbreak SSL_write\ncommands\nsilent\ncontinue\nend\nrun\n")
        output = self.scope.path("gdb-out")
        done = run(["gdb", "-q", "-batch", "-x", script, "--args", *self.curl(), "-o", output], service="odd-gdb", check=False)
        if "exited normally" not in done.stdout:
            raise AssertionError(f"curl under gdb: {done.stdout[-500:]}{done.stderr[-500:]}")
        return "under strace, and under gdb with a breakpoint on the function that is probed"

    def other_mount_namespace(self):
        folder, path = self.library("mounted")
        inside = self.scope.path("inside")
        os.mkdir(inside)
        script = f"mount --bind {folder} {inside} && LD_LIBRARY_PATH={inside} exec \"$@\""
        shell = ["unshare", "-m", "sh", "-c", script, "sh"]
        self.received([*shell, *self.curl()], "odd-mount-first")
        await_true(lambda: self.probed(inside), "probes in what is mounted there")
        self.received([*shell, *self.curl()], "odd-mount")
        self.counted("odd-mount")
        return "a library that only another mount namespace has under this name"

    def nginx_with(self, folder, name):
        """A server that has its TLS library from there, and how to ask it; the agent knows the library when this returns."""
        program, port = start_nginx(self.scope, self.scope.path("files"), self.certificate, self.key, name=name,
                                    env={**os.environ, "LD_LIBRARY_PATH": folder})
        await_true(lambda: self.probed(folder), f"probes in {folder}")
        return program, self.curl_of(port)

    def curl_of(self, port):
        return ["curl", "-sSk", "--http1.1", *[f"https://127.0.0.1:{port}/{max(SIZES)}"] * REQUESTS]

    def deleted(self):
        """An agent that comes later finds a deleted program by its process (a library, it is not allowed to). What nobody uses
        any more is let go."""
        folder, path = self.library("deleted")
        program, ask = self.nginx_with(folder, "nginx-deleted")
        go = compile_go(self.scope, "harm", os.path.dirname(PROGRAMS))
        port = self.start_go(go)
        os.remove(path)
        os.remove(go)
        later = Agent(self.scope, "later")
        await_true(lambda: go in later.files(), "probes in the deleted program")
        self.received(ask, "odd-deleted")
        self.received(self.curl_of(port), "odd-deleted-go")
        later.end(signal.SIGTERM)
        for service in ("odd-deleted", "odd-deleted-go"):
            self.counted(service)
        program.stop()
        await_true(lambda: not self.probed(folder), "the deleted library to be let go")
        return "a library and a program that are deleted while they run, and let go when they have ended"

    def start_go(self, program):
        port = free_port()
        self.scope.start("go", [program, "serve", f"127.0.0.1:{port}", self.certificate, self.key, self.scope.path("files")])
        await_true(lambda: listens("127.0.0.1", port) and self.probed(program), "the Go server, and probes in it")
        return port

    def replaced(self):
        """As a package's upgrade does it: the old file lives on in those that have it."""
        folder, path = self.library("replaced")
        _, ask = self.nginx_with(folder, "nginx-replaced")
        shutil.copy(path, f"{path}.new")
        os.rename(f"{path}.new", path)
        self.warm(folder, 2)
        self.received(ask, "odd-replaced", env={"LD_LIBRARY_PATH": folder})
        self.counted("odd-replaced")
        seen = lambda: self.limpid.count(service="nginx-replaced", side="server", protocol="http")
        await_true(lambda: seen() >= REQUESTS, "the requests of the server with the old library")
        if seen() != REQUESTS:
            raise AssertionError(f"the server with the old library: {seen()} requests were counted and {REQUESTS} were made")
        return "a library that is replaced: who runs with the old one and who starts with the new one are counted"

    def overwritten(self):
        """In place, where the places of the probes would stay those of the old content."""
        folder, path = self.library("overwritten")
        self.warm(folder)
        with open(path, "rb") as file:
            content = file.read()
        with open(path, "r+b") as file:
            file.write(content)
        await_true(lambda: not self.probed(path), "no probes in what is overwritten")
        self.warm(folder)
        self.received(self.curl(), "odd-overwritten", env={"LD_LIBRARY_PATH": folder})
        self.counted("odd-overwritten")
        return "a library that is overwritten in place: its probes go, and come again"

    def unmounted(self):
        """Probes do not keep a disk from being unmounted once nobody uses it."""
        disk = self.scope.path("disk")
        os.mkdir(disk)
        run(["mount", "-t", "tmpfs", "none", disk])
        self.scope.finally_do(lambda: run(["umount", "-l", disk], check=False))
        shutil.copy(curls_own_tls(), disk)
        self.warm(disk)
        await_true(lambda: run(["umount", disk], check=False).returncode == 0, "the disk to be unmounted", every=1)
        return "a library on a disk that is unmounted afterwards"

    def stripped(self):
        program = compile_go(self.scope, "harm", os.path.dirname(PROGRAMS), "-ldflags=-s -w")
        self.received(self.curl_of(self.start_go(program)), "odd-stripped")
        seen = lambda: self.limpid.count(peer="odd-stripped", side="server", protocol="http")
        await_true(lambda: seen() == REQUESTS, "the requests of a stripped Go server")
        return "a stripped Go program"

    def storm(self, starts):
        """Processes that end, and files that are deleted, in the middle of attaching."""
        own = f"d=$(mktemp -d); cp {curls_own_tls()} $d; LD_LIBRARY_PATH=$d openssl version; rm -r $d"
        bodies = [
            ("openssl version", 5 * starts),
            (own, starts),
            (f"{sys.executable} -c 'import ssl; print(ssl.OPENSSL_VERSION)'", starts // 2),
            (f"curl -sSk {self.url} | sha256sum", starts),
        ]
        loops = [(self.loop(body, 1), self.loop(body, count), count) for body, count in bodies]
        expected = [run(once).stdout for once, _, _ in loops]
        begun = [self.scope.start(f"storm-{number}", LOAD + often) for number, (_, often, _) in enumerate(loops)]
        agents = 0
        while any(program.process.poll() is None for program in begun):
            agent = Agent(self.scope, f"storm-{agents}")
            agent.await_line("libssl")
            time.sleep(self.chosen.uniform(0, 0.3))
            agent.end(self.chosen.choice([signal.SIGTERM, signal.SIGKILL]))
            agents += 1
        for once, program, (_, often, count) in zip(expected, begun, loops):
            if program.process.returncode or program.output() != once * count:
                raise AssertionError(f"{often[-1]}: its output is not {count} times {once!r}: {program.output()[-300:]}")
        return f"{sum(count for _, count in bodies)} starts of short programs while {agents} agents came and went"

    def loop(self, body, count):
        return ["sh", "-c", f"for i in $(seq {count}); do {body}; done"]

    def run(self, starts):
        for target in (self.traced, self.other_mount_namespace, self.deleted, self.replaced, self.overwritten, self.unmounted, self.stripped):
            yield target()
        yield self.storm(starts)
