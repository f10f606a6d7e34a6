"""A day in 20 minutes: does anything grow? Memory, descriptors, BPF maps, store, series, queues and losses of agent and
server are looked at every 10 seconds; all looks go to a file too."""

import csv
import json
import os
import re
import tempfile
import time
import urllib.error
import urllib.parse

import bpf_maps
import ports
from agent import Agent, BenchError, fetch, losses_of
from programs import Nginx, Postgres, Redis
from soak_loads import MIX, Mix
from steady import Bind, MariaDb

SECONDS = int(os.environ.get("LIMPID_BENCH_SOAK_SECONDS", "1200"))
FILE = os.environ.get("LIMPID_BENCH_SOAK_FILE", os.path.join(tempfile.gettempdir(), "limpid-soak.csv"))
EVERY_SECONDS = 10
# Limits so small that the store deletes all the time, and figures so often that it has much to join.
OPTIONS = ["--interval-seconds", "1", "--spans-per-second", "4000", "--retention-days", "1", "--retention-size-spans", "48MiB",
           "--retention-size-metrics", "16MiB", "--retention-size-events", "4MiB"]
RISE = 0.05
# What is deleted for its age or size is meant to be.
EXPIRED = "lost_server_expired_files"
OWN_SERVICES = "bench-[a-z]+|short_lived"
OWN = re.compile(f'[{{,]service="({OWN_SERVICES})"')
# Looks at the console while it runs: their work and their caches belong to a day.
LOOKS = ["/api/topology", "/api/services", "/api/traces?limit=20", "/api/status"]


def measure(binary):
    # The agent comes first: nginx and Redis write their titles over the environment that has their services' names.
    with Agent(binary, "auto", server=True, more=OPTIONS) as agent, Nginx(), Redis(), Postgres(), MariaDb(), Bind():
        with Mix(SECONDS) as mix, open(FILE, "w", newline="") as file:
            watcher = Watcher(agent)
            samples = watch(watcher, mix, file)
            counts = mix.counts()
        yield from rows(samples, counts, watcher.most_entries)


def watch(watcher, mix, file):
    writer, samples, began = None, [], time.monotonic()
    while time.monotonic() - began < SECONDS:
        watcher.wait_until(began + EVERY_SECONDS * (len(samples) + 1))
        mix.check()
        samples.append({"seconds": round(time.monotonic() - began), **watcher.look()})
        writer = writer or csv.DictWriter(file, samples[0], extrasaction="ignore")
        if len(samples) == 1:
            writer.writeheader()
        writer.writerow(samples[-1])
        file.flush()
    if len(samples) < 6:
        raise BenchError(f"{SECONDS} s are too short to say anything")
    return samples


class Watcher:
    def __init__(self, agent):
        self.agent = agent
        self.roles = {role_of(pid): pid for pid in agent.pids()}
        self.times, self.most_entries, self.highest = cpu_times(), {}, {}

    def wait_until(self, moment):
        """Memory is looked at every second: what rises and falls with each file that is written has its height known."""
        self.highest = {}
        while time.monotonic() < moment:
            time.sleep(min(1, max(0, moment - time.monotonic())))
            for role in ("agent", "server"):
                self.highest[role] = max(self.highest.get(role, 0), pss_mib(self.roles[role]))

    def maps(self):
        found = bpf_maps.entries_of(self.roles["agent"])
        self.most_entries |= {name: most for name, (_, most) in found.items()}
        return {f"map_{name}": count for name, (count, _) in found.items()}

    def look(self):
        agent, server = self.roles["agent"], self.roles["server"]
        times, self.times = self.times, cpu_times()
        status, figures = self.agent.status(), server_figures()
        sample = {
            "idle_percent": round(100 * (self.times[0] - times[0]) / max(self.times[1] - times[1], 1), 1),
            "agent_pss_mib": self.highest["agent"], "server_pss_mib": self.highest["server"],
            "agent_fds": descriptors(agent), "server_fds": descriptors(server),
            **self.maps(),
            **agent_series(fetch(ports.AGENT, "/metrics")), "soak_series": soak_series(),
            "store_mib": round(figures["limpid_store_bytes"] / 2**20, 2),
            "log_mib": round(figures["limpid_store_log_bytes"] / 2**20, 2),
            "store_series": int(figures["limpid_store_series"]), "store_spans": int(figures["limpid_store_spans"]),
            "store_files": sum(len(files) for _, _, files in os.walk(os.path.join(self.agent.folder, "data", "store"))),
            "queued_batches": status["export"]["queued_batches"], "spooled_batches": status["export"]["spool"]["batches"],
            "sent_spans": status["export"]["sent_spans"],
        }
        sample["failed_looks"] = sum(not answers(path) for path in LOOKS)
        sample |= {f"lost_{cause}": count for cause, count in losses_of(status).items()}
        return sample | {name: int(value) for name, value in figures.items() if name.startswith("lost_server_")}


def role_of(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")[1]


def cpu_times():
    """Idle and all, of the machine; waiting for the disk is idle."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return round(next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024, 2)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def agent_series(metrics):
    """Of the soak's own programs, and of all: others on the machine come and go. A histogram is one series."""
    lines = [line for line in metrics.splitlines() if line[:1] != "#" and "_bucket{" not in line and "_sum{" not in line]
    return {"agent_series": sum(OWN.search(line) is not None for line in lines), "agent_series_of_all": len(lines)}


def soak_series():
    """What the store has of the soak's own programs."""
    with_names = urllib.parse.urlencode({"match[]": f'{{service=~"{OWN_SERVICES}"}}', "start": int(time.time()) - SECONDS})
    return len(json.loads(fetch(ports.SERVER, f"/api/v1/series?{with_names}"))["data"])


def server_figures():
    figures = {}
    for line in fetch(ports.SERVER, "/metrics").splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("limpid_losses_total{"):
            name = "lost_server_" + name.split('cause="')[1].split('"')[0]
        if "{" not in name and name[:1] != "#":
            figures[name] = float(value)
    return figures


def answers(path):
    try:
        return fetch(ports.SERVER, path) is not None
    except (OSError, urllib.error.URLError):
        return False


def told(samples, name, grain, unit="", most=None):
    """First, middle and last value, and whether it is flat: what the highest of the last third is above that of the third
    before is less than `grain` or 5 %. So what is filled and emptied again and again is not taken for a rise."""
    third = len(samples) // 3
    before, last = (max(sample[name] for sample in part) for part in (samples[-2 * third:-third], samples[-third:]))
    is_flat = last - before < max(RISE * before, grain)
    values = ", ".join(f"{samples[at][name]:,}" for at in (0, len(samples) // 2, -1))
    highest = max(sample[name] for sample in samples)
    full = f" of {most:,}" if most else ""
    return f"{'flat' if is_flat else 'NOT flat'}: {values}{unit}; highest {before:,} and then {last:,}, of all {highest:,}{full}"


def rows(samples, counts, most_entries):
    how = f"first, middle, last of {len(samples)} looks in {SECONDS} s; highest of the second and of the last third"
    for role in ["agent", "server"]:
        yield (f"soak: {role}'s memory (Pss)", told(samples, f"{role}_pss_mib", 1, " MiB"), "flat", how)
        yield (f"soak: {role}'s descriptors", told(samples, f"{role}_fds", 2), "flat", how)
    for name in [name for name in samples[0] if name.startswith("map_")]:
        yield (f"soak: entries of the BPF map {name[4:]}", told(samples, name, 64, most=most_entries[name[4:]]), "flat", how)
    for name, what, grain in [("agent_series", "series of the agent, of the soak's own programs", 20), ("store_series", "series of the store", 20),
                              ("soak_series", "series of the store, of the soak's own programs", 20), ("store_files", "files of the store", 10), ("store_mib", "MiB of the store", 1)]:
        yield (f"soak: {what}", told(samples, name, grain), "flat", how)
    yield ("soak: batches that waited, in memory and in the spool", ", ".join(
        f"at most {max(sample[name] for sample in samples)}" for name in ("queued_batches", "spooled_batches")), "", "")
    yield ("soak: losses", losses(samples) or "none", "none", "after the first look")
    yield ("soak: files that the store deleted for their limits", str(samples[-1].get(EXPIRED, 0)), "", "")
    yield ("soak: looks that failed", str(sum(sample["failed_looks"] for sample in samples)), "0", f"{len(LOOKS)} pages each time")
    yield ("soak: the load", load(samples, counts), "", f"all samples: {FILE}")


def losses(samples):
    names = [name for name in samples[-1] if name.startswith("lost_") and name != EXPIRED]
    grown = {name[5:]: samples[-1][name] - samples[0].get(name, 0) for name in names}
    return ", ".join(f"{count:,} {name}" for name, count in grown.items() if count)


def load(samples, counts):
    rates = ", ".join(f"{what} {counts[what] / SECONDS:,.0f} of {rate:,}" for what, rate, _ in MIX)
    idle = sorted(sample["idle_percent"] for sample in samples)
    spans = (samples[-1]["sent_spans"] - samples[0]["sent_spans"]) / (samples[-1]["seconds"] - samples[0]["seconds"])
    return f"{rates} a second; {spans:,.0f} spans/s; the machine {idle[len(idle) // 2]:.0f} % idle"
