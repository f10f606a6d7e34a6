"""No warm-up: the first request of a new process is counted, also where nobody has used its program or library before."""

import json
import os
import shutil
import sys
import time

from harness import HERE as E2E, Limpid, await_true, fetch, run
from loads import make_files, start_nginx
from servers import compile_go

ASK = "import ssl, sys, urllib.request as u; u.urlopen(sys.argv[1], context=ssl._create_unverified_context()).read()"


def curls_own_tls():
    """The library of curl, which is that of its library."""
    lines = run(["ldd", shutil.which("curl")]).stdout.splitlines()
    return next(line.split()[2] for line in lines if "libssl" in line)


class Starts:
    def __init__(self, scope, certificate, key, count):
        self.scope, self.count = scope, count
        make_files(scope.path("files"), 0)
        self.go = compile_go(scope, "tls_shop", E2E)
        _, port = start_nginx(scope, scope.path("files"), certificate, key)
        self.url = f"https://127.0.0.1:{port}/100"
        self.limpid = Limpid(scope, "agent")
        await_true(lambda: any("libssl" in path for path in self.probed()), "the probes")

    def probed(self):
        return {file["path"] for file in json.loads(fetch(f"{self.limpid.agent_url}/status"))["tls"]}

    def curl(self):
        return ["curl", "-sk", "--http1.1", "-o", "/dev/null", self.url]

    def start(self, service, prepare):
        """So many new processes with one request each; how many requests were counted."""
        for number in range(self.count):
            argv, env = prepare(number)
            run(argv, service=service, env={**os.environ, **env})
        counted = lambda: self.limpid.count(service=service, side="client", protocol="http")
        end = time.monotonic() + 10
        while counted() < self.count and time.monotonic() < end:
            time.sleep(0.5)
        return counted()

    def fresh_library(self, number):
        folder = self.scope.path(f"library-{number % 4}")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        shutil.copy(curls_own_tls(), folder)
        return self.curl(), {"LD_LIBRARY_PATH": folder}

    def fresh_program(self, number):
        program = self.scope.path(f"fresh-go-{number % 4}")
        if os.path.exists(program):
            os.remove(program)
        shutil.copy(self.go, program)
        return [program, "ask", self.url, "1"], {}

    def known(self):
        """Every first request is counted."""
        yield "curl", lambda _: (self.curl(), {})
        # The agent learns of the program from its first start.
        run([self.go, "ask", self.url, "1"], service="learnt")
        await_true(lambda: self.go in self.probed(), "the probes on the Go program")
        yield "go", lambda _: ([self.go, "ask", self.url, "1"], {})
        yield "python3", lambda _: ([sys.executable, "-c", ASK, self.url], {})

    def fresh(self):
        yield "curl, each with a copy of libssl of its own", self.fresh_library
        yield "Go, each a copy of its own", self.fresh_program

    def run(self):
        for name, prepare in self.known():
            counted = self.start(f"start-{name}", prepare)
            if counted != self.count:
                raise AssertionError(f"{name}: of {self.count} first requests {counted} were counted")
            yield f"{name}: {counted} of {self.count} first requests counted"
        for name, prepare in self.fresh():
            counted = self.start(f"fresh-{name.split(',')[0]}", prepare)
            if counted > self.count:
                raise AssertionError(f"{name}: of {self.count} first requests {counted} were counted")
            yield f"{name}: {counted} of {self.count} first requests counted"
