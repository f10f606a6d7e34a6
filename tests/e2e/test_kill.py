"""kill -9 under load: watched programs notice nothing, nothing acknowledged is lost, and nothing stays in the kernel."""

import contextlib
import json
import os
import re
import signal
import sys

from harness import Case, HERE, Limpid, await_true, run
from servers import Nginx


def programs_in_kernel(pids):
    """Programs and links that these processes hold."""
    found = set()
    for pid in pids:
        for descriptor in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{descriptor}") as info:
                found |= {(kind, int(number)) for kind, number in re.findall(r"^(prog|link)_id:\s+(\d+)", info.read(), re.M)}
    return sorted(found)


def ids_in_kernel(kind):
    return {one["id"] for one in json.loads(run(["bpftool", "-j", kind, "list"]).stdout or "[]")}


def pins():
    return {os.path.join(folder, name) for folder, _, names in os.walk("/sys/fs/bpf") for name in names}


class Kill(Case):
    @classmethod
    def prepare(cls):
        cls.pins = pins()
        cls.limpid = Limpid(cls.scope)
        cls.nginx = Nginx(cls.scope, "kill-nginx")
        argv = [sys.executable, f"{HERE}/programs/keep_asking.py", str(cls.nginx.port)]
        cls.asker = cls.scope.start("asker", argv, service="kill-asker")
        # Not by nginx's own name: its title is written over its environment, which an agent that starts again reads.
        cls.labels = {"peer": "kill-asker", "side": "server"}
        await_true(lambda: cls.limpid.stored(**cls.labels) > 100, "requests in the store")

    def setUp(self):
        if "test_4" not in self.id():
            await_true(self.limpid.is_ready, "limpid to be ready again")

    def child_again(self, role, former):
        """The supervisor has started it again, and it does its work."""
        def again():
            pid = self.limpid.children().get(role)
            return pid and pid != former

        await_true(again, f"the {role} to be started again")
        await_true(self.limpid.is_ready, f"limpid to be ready after the {role} was killed")

    def test_1_server(self):
        """What was answered before is answered after; what came meanwhile is sent again by the agent."""
        before = self.limpid.stored(**self.labels)
        spans = self.limpid.api("/api/status")["store"]["spans"]
        traces = self.limpid.api("/api/traces", service="kill-nginx", limit=20)["traces"]
        pid = self.limpid.children()["server"]
        os.kill(pid, signal.SIGKILL)
        self.child_again("server", pid)
        self.assertGreaterEqual(self.limpid.stored(**self.labels), before)
        self.assertGreaterEqual(self.limpid.api("/api/status")["store"]["spans"], spans)
        for trace in traces:
            self.assertTrue(self.limpid.api(f"/api/traces/{trace['trace_id']}")["spans"])
        # The agent has gone on counting, and brings the server up to date.
        await_true(lambda: self.limpid.stored(**self.labels) > before + 200, "requests after the server's restart")

    def test_2_agent(self):
        """Counts begin anew with a new start time: what the store has stays."""
        before = self.limpid.stored(**self.labels)
        spans = self.limpid.api("/api/status")["store"]["spans"]
        children = self.limpid.children()
        held = programs_in_kernel([children["agent"]])
        self.assertTrue(held)
        os.kill(children["agent"], signal.SIGKILL)
        await_true(lambda: not self.still_there(held), "the killed agent's programs and links to be gone")
        self.child_again("agent", children["agent"])
        self.assertEqual(self.limpid.children()["server"], children["server"], "the server was to live on")
        self.assertGreaterEqual(self.limpid.api("/api/status")["store"]["spans"], spans)
        await_true(lambda: self.limpid.count(**self.labels) > 100, "requests after the agent's restart")
        # Over both lives of the agent; a counter that starts again is an increase, not a loss.
        name = "limpid_request_duration_seconds_count"
        selector = ",".join(f'{key}="{value}"' for key, value in self.labels.items())
        increase = lambda: sum(self.limpid.promql(f"sum(max_over_time({name}{{{selector}}}[10m]))").values())
        self.assertGreaterEqual(increase(), before)

    def still_there(self, held):
        now = {("prog", one) for one in ids_in_kernel("prog")} | {("link", one) for one in ids_in_kernel("link")}
        return [one for one in held if one in now]

    def test_3_supervisor(self):
        """The kernel tells its children, which end and take everything with them."""
        children = self.limpid.children()
        held = programs_in_kernel(list(children.values()))
        self.assertTrue(held)
        before = self.limpid.api("/api/status")["store"]["spans"]
        os.kill(self.limpid.program.pid, signal.SIGKILL)
        self.limpid.program.wait()
        for role, pid in children.items():
            await_true(lambda: not alive(pid), f"the {role} to end with its supervisor")
        self.assertEqual(self.still_there(held), [])
        self.assertEqual(pins(), self.pins)
        self.limpid.start()
        self.assertGreaterEqual(self.limpid.api("/api/status")["store"]["spans"], before)
        await_true(lambda: self.limpid.stored(**self.labels) > 0, "the watched program to be seen again")

    def test_4_the_watched_have_noticed_nothing(self):
        self.asker.process.terminate()
        self.asker.wait()
        asked, wrong, slow = map(int, self.asker.output().split())
        self.assertGreater(asked, 1_000)
        self.assertEqual((wrong, slow), (0, 0), self.asker.output())
        self.assertIsNone(self.nginx.program.process.poll())

    def test_5_a_stop_leaves_nothing(self):
        held = programs_in_kernel(list(self.limpid.children().values()))
        self.assertTrue(held)
        self.assertEqual(self.limpid.program.stop(), 0)
        await_true(lambda: not self.still_there(held), "programs and links to be gone", seconds=10)
        self.assertEqual(pins(), self.pins)
        self.assertIsNone(re.search("panicked|ERROR", self.limpid.program.output()))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
