"""A machine where nothing happens: Limpid itself, agent and server, leaves no span and no request."""

import time

from harness import SETTINGS, Case, Limpid

SECONDS = 300 if SETTINGS.get("LIMPID_E2E_LONG") == "1" else 60


class Idle(Case):
    def test_no_span(self):
        limpid = Limpid(self.scope)
        # Nobody asks while the time runs: the test's own questions are the only requests that may be there.
        before, started = limpid.api("/api/status")["store"]["spans"], time.time()
        time.sleep(SECONDS)
        status = limpid.api("/api/status")
        found = limpid.api("/api/traces", start=started, end=time.time(), limit=500)["traces"]
        others = sorted({f"{trace['service']}: {trace['root']}" for trace in found if trace["service"] != "e2e"})
        self.assertEqual(others, [], f"spans of others in {SECONDS} s; is the machine quiet?")
        own = sum(trace["spans"] for trace in limpid.api("/api/traces", service="e2e", limit=500)["traces"])
        self.assertLessEqual(status["store"]["spans"] - before, own)
        self.assertTrue(all(agent["silent"] is False for agent in status["agents"]), "the agent was to report all the time")
