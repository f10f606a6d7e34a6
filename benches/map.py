"""The console's map on a made-up cluster: how long the server takes for it, how soon it is seen on a cold cache, and what
a frame costs while it is moved. The figures of frames are CPU time of the page's thread, which other work on the machine
does not lengthen; how often a frame was late is told beside them."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request

import ports
import topology
from agent import BenchError, wait_until

PORT = ports.MAP
OTLP_PORT = ports.MAP_OTLP
RANGE_SECONDS = 1800
FRAME_MS = 16
TURNS = 5
HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """A server that knows a made-up cluster."""

    def __init__(self, binary, nodes, edges):
        self.folder = tempfile.mkdtemp(prefix="limpid-bench-map.")
        os.chmod(self.folder, 0o755)
        self.log = open(os.path.join(self.folder, "log"), "w")
        command = [binary, "server", "--listen", f"127.0.0.1:{PORT}", "--store", os.path.join(self.folder, "store")]
        command += ["--otlp-listen", "off", "--otlp-http-listen", f"127.0.0.1:{OTLP_PORT}", "--user", "root"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LIMPID_")}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=clean)
        self.cluster = topology.Cluster(nodes, edges)
        self.now = int(time.time()) // 60 * 60

    def __enter__(self):
        try:
            wait_until(lambda: self.get("/-/ready") is not None, "the server")
            self.cluster.send(OTLP_PORT, self.now)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=60) as answer:
            return answer.read()

    def answer_seconds(self):
        """The median time of the map's answer, and its size."""
        path = f"/api/topology?start={self.now - RANGE_SECONDS}&end={self.now}"
        times = []
        for _ in range(TURNS):
            began = time.monotonic()
            body = self.get(path)
            times.append(time.monotonic() - began)
        return sorted(times)[TURNS // 2], len(body)

    def browse(self, what):
        cache = os.environ.get("LIMPID_CACHE", os.path.expanduser("~/.cache/limpid"))
        modules = os.path.join(cache, "console", "work", "node_modules")
        command = ["node", os.path.join(HERE, "map.mjs"), f"http://127.0.0.1:{PORT}", modules, what]
        command += [str(self.now - RANGE_SECONDS), str(self.now)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if run.returncode != 0:
            raise BenchError(f"the browser: {run.stderr.strip().splitlines()[-1] if run.stderr.strip() else 'no answer'}")
        return json.loads(run.stdout.strip().splitlines()[-1])


def measure(binary):
    with Server(binary, 300, 600) as server:
        seconds, _ = server.answer_seconds()
        first = server.browse("first")
        times = ", ".join(f"{ms:.0f}" for ms in first["all_ms"])
        how = f"median of {TURNS} loads in Chromium ({times} ms), the server's answer {seconds * 1000:.0f} ms of it"
        yield ("map: 300 services seen, cold cache", f"{first['first_ms']:.0f} ms", "≤ 1 s", how)
    with Server(binary, 2000, 4000) as server:
        seconds, size = server.answer_seconds()
        yield ("map: answer of 2 000 services, 4 000 edges", f"{seconds * 1000:.0f} ms", "", f"median of {TURNS}, {size / 2**20:.1f} MiB")
        moved = server.browse("move")
        parts = [moved[name] for name in ("far", "zoomed", "near", "back")]
        longest = max(part["task_max_ms"] for part in parts)
        usual = max(part["task_p99_ms"] for part in parts)
        late = max(part["frame_p95_ms"] for part in parts)
        how = f"panned and zoomed at both ends, p99 {usual:.1f} ms; 95 of 100 frames within {late:.1f} ms"
        yield ("map: longest work for a frame, 2 000 services", f"{longest:.1f} ms", f"≤ {FRAME_MS} ms", how)
