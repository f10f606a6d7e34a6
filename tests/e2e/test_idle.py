"""A machine where nothing happens: Limpid itself, agent and server, leaves no span and no request."""

import time

from harness import SETTINGS, Case, Limpid, await_true

SECONDS = 300 if SETTINGS.get("LIMPID_E2E_LONG") == "1" else 60


class Idle(Case):
    def test_no_span(self):
        # Nobody asks while the time runs: a question would be a request to be seen.
        limpid = Limpid(self.scope)
        own = limpid.stored(service="run") + limpid.stored(service="unknown")
        before = limpid.api("/api/status")["store"]["spans"]
        time.sleep(SECONDS)
        status = await_true(lambda: limpid.api("/api/status"), "the status")
        seen = [f"{trace['service']}: {trace['root']}" for trace in limpid.api("/api/traces", limit=50)["traces"]]
        asked = len([one for one in seen if one.startswith("run:")])
        self.assertLessEqual(status["store"]["spans"] - before, asked + own, f"spans stored in {SECONDS} s: {sorted(set(seen))}")
        self.assertTrue(all(agent["silent"] is False for agent in status["agents"]), "the agent was to report all the time")
