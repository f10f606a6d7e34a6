"""The full demo shop: every edge, the load generator's counts, each switch on and off, and nothing that stays behind."""

import glob
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

from harness import REPOSITORY, await_true
import test_demo

# What the full shop has beside the small one, as far as every version of Limpid sees it.
EDGES = [
    ("nginx", "receipts", "http"),
    ("web", "shipping", "http"),
    ("web", "reviews", "http"),
    ("shipping", "carrier", "http"),
    ("shipping", "unbound", "dns"),
    ("psql", "postgres", "postgresql"),
]


def switch(name, to):
    subprocess.run([f"{REPOSITORY}/demo/break", name, to], check=True, timeout=30, stdout=subprocess.DEVNULL)


def status(page, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:18080{page}", method=method), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def broken(name, page, code, method="GET"):
    """The page answers so while the switch is on, and well again when it is off."""
    switch(name, "on")
    await_true(lambda: status(page, method) == code, f"{page} to answer {code} while {name} is on")
    switch(name, "off")
    await_true(lambda: status(page, method) < 300, f"{page} to be well again after {name}")


class FullDemo(test_demo.Shop):
    options = []

    @classmethod
    def while_it_runs(cls, shop):
        await_true(lambda: "runs:" in shop.output() or shop.process.poll() is not None, "the shop to run", seconds=400)
        cls.work = next(folder for folder in glob.glob("/tmp/limpid-demo.*") if os.path.exists(f"{folder}/carrier.pid"))
        cls.pids = [int(open(file).read()) for file in glob.glob(f"{cls.work}/*.pid")]
        names = re.findall(r"^([\w-]+) ", subprocess.check_output([f"{REPOSITORY}/demo/break", "--list"], text=True), re.M)
        cls.switches = names
        broken("dependency-down", "/cart/1", 502)
        broken("dependency-hangs", "/reviews/1", 503)
        broken("dns-failure", "/shipping/1", 502)
        for to in ("on", "off", "on"):
            for name in names:
                switch(name, to)
        # All of them are on when the shop ends, which it does when its load does.
        with open(f"{cls.work}/loadgen.pid") as file:
            os.kill(int(file.read()), signal.SIGTERM)

    def test_every_switch_has_a_page(self):
        self.assertGreaterEqual(len(self.switches), 8)
        pages = {os.path.basename(page)[:-3] for page in glob.glob(f"{REPOSITORY}/docs/demo/*.md")}
        self.assertEqual(set(self.switches), pages)

    def test_every_edge_is_there(self):
        missing = [edge for edge in test_demo.EDGES + EDGES if edge not in self.edges]
        self.assertEqual(missing, [], f"seen: {sorted(self.edges)}")

    def test_counts(self):
        sent = self.pages("/")[0]
        self.assertGreater(sent, 500)
        self.assertEqual(self.edges[("loadgen", "nginx", "http")]["client"]["requests"], sent)
        self.assertEqual(self.edges[("nginx", "receipts", "http")]["client"]["requests"], self.pages("/receipts")[0])

    def test_nothing_is_left(self):
        self.assertFalse(os.path.exists(self.work))
        self.assertEqual([pid for pid in self.pids if os.path.exists(f"/proc/{pid}")], [])
        self.assertFalse(os.path.exists("/sys/class/net/limpid-demo"))
        self.assertEqual(glob.glob("/sys/fs/cgroup/*/limpid-demo") + glob.glob("/sys/fs/cgroup/limpid-demo"), [])
        loops = [open(file).read() for file in glob.glob("/sys/block/loop*/loop/backing_file")]
        self.assertEqual([one for one in loops if "limpid-demo" in one], [])
