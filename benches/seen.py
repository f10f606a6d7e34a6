"""Requests in the metrics of both sides, against the count of the server or the load generator, which is exact."""

import os

import loads
import steady
from agent import Agent
from programs import Nginx, Postgres, Redis

SECONDS = int(os.environ.get("LIMPID_BENCH_SECONDS", "30"))
SHORT = max(SECONDS // 3, 2)
GOAL = "100.00 %"
GOAL_COUNTED = "100.00 %, or counted as lost"
STEADY_RATE = 20_000
# What a lost request shows itself as.
LOST = ["ring_full", "unknown_socket", "times_lost", "parse_given_up", "orphan_answers", "socket_storage", "sender_unknown",
        "flows_full", "payload_fault", "verdict_lost", "series_capped"]


def measure(binary):
    with Agent(binary) as agent, Nginx() as nginx:
        for depth, share, seconds, goal in [(1, 1, SECONDS, GOAL), (16, 0.5, SHORT, GOAL), (16, 1, SHORT, GOAL_COUNTED)]:
            what = "nginx" if depth == 1 else f"nginx, pipelines of {depth}"
            yield from nginx_row(agent, nginx, what, depth, share, seconds, goal)
    with Agent(binary) as agent, Redis() as redis:
        rows = [
            ("Redis", 1, 3, 1, SECONDS, GOAL),
            ("redis-benchmark -P 16 -d 1024", 16, 1024, 0.5, SHORT, GOAL),
            ("redis-benchmark -P 16 -d 1024", 16, 1024, 1, SHORT, GOAL_COUNTED),
            ("redis-benchmark -P 100 -d 1024", 100, 1024, 0.5, SHORT, GOAL),
            ("redis-benchmark -P 100 -d 1024", 100, 1024, 1, SHORT, GOAL_COUNTED),
        ]
        for what, pipeline, value_bytes, share, seconds, goal in rows:
            for command in ["get"] if pipeline == 1 else ["get", "set"]:
                yield redis_row(agent, redis, what, command, pipeline, value_bytes, share, seconds, goal)
    with Agent(binary) as agent, Postgres():
        for share, goal in [(0.5, GOAL), (1, GOAL_COUNTED)]:
            yield postgres_row(agent, share, goal)
    for server, operation, own_count, programs in STEADY:
        with server() as running, Agent(binary) as agent:
            for what, load in programs:
                yield steady_row(agent, running, what, operation, load, own_count)


STEADY = [
    (steady.MariaDb, "SELECT", "MariaDB's own count; sysbench", [
        ("MySQL, sysbench, text", steady.sysbench),
        ("MySQL, sysbench, prepared statements", lambda rate, seconds: steady.sysbench(rate, seconds, prepared=True)),
    ]),
    (steady.Bind, "A", "BIND's own count; the load generator", [
        ("DNS, dnsperf, one socket", steady.dnsperf),
        ("DNS, dnsperf, 200 sockets", steady.dnsperf_many),
        ("DNS, each question from a new socket", steady.ask_dns),
    ]),
]


def row(agent, what, share, goal, sent, seconds, clients, servers, losses, count):
    measured = f"client {percent(clients, sent)}, server {percent(servers, sent)} of {sent}{lost_since(agent, losses)}"
    load = "at saturation" if share == 1 else "at half of saturation"
    return (f"seen / sent: {what}, {load}", measured, goal, f"{sent / seconds:,.0f}/s; {count}")


def lost_since(agent, losses):
    lost = {cause: agent.losses().get(cause, 0) - losses.get(cause, 0) for cause in LOST}
    lost = ", ".join(f"{number} {cause}" for cause, number in lost.items() if number)
    return f"; {lost}" if lost else ""


def percent(seen, sent):
    """100.00 only if nothing is missing and nothing invented."""
    share = 100 * seen / max(sent, 1)
    exact = "" if seen == sent else f" ({seen - sent:+d})"
    return f"{share:.2f} %{exact}"


def both(agent, service, operations):
    return agent.settled_requests(loads.CLIENT, "client", operations), agent.settled_requests(service, "server", operations)


def nginx_row(agent, nginx, what, depth, share, seconds, goal):
    by_status = lambda: (agent.requests(nginx.service, "server", ["GET"], "unanswered"), agent.requests(loads.CLIENT, "client", ["GET"], "ok"))
    left, answered = by_status()
    losses, (client, server), before = agent.losses(), both(agent, nginx.service, ["GET"]), nginx.served()
    done, took = loads.wrk(seconds, share, depth)
    clients, servers = both(agent, nginx.service, ["GET"])
    sent = nginx.served() - before - 1
    # When its time is over wrk closes its connections, and nginx does not count the requests of a pipeline that it has
    # read and not begun with: they were sent all the same, and are seen as unanswered.
    left, answered = [after - before for after, before in zip(by_status(), (left, answered))]
    uncounted = min(max(clients - client - sent, 0), left)
    # The look before the load was taken after the metrics were read: it is a request to the server too.
    how = f"nginx' own count; wrk took {done} answers before its time was over, {answered} are seen as answered"
    if uncounted:
        how += f"; {uncounted} more were cut off before nginx counted them"
    sent += uncounted
    yield row(agent, what, share, goal, sent, took, clients - client, servers - server - 1, losses, how)


def redis_row(agent, redis, what, command, pipeline, value_bytes, share, seconds, goal):
    loads.fill_redis(value_bytes)
    requests, took = loads.redis(20_000 * pipeline, 1.0, pipeline, value_bytes, command)
    requests = int(requests / took * seconds * share) // (50 * pipeline) * 50 * pipeline
    operation = [command.upper()]
    losses, (client, server), before = agent.losses(), both(agent, redis.service, operation), redis.served(command)
    sent, took = loads.redis(requests, share, pipeline, value_bytes, command)
    clients, servers = both(agent, redis.service, operation)
    sent = redis.served(command) - before
    how = f"Redis' own count; redis-benchmark: {requests}"
    what = f"{what}, {command.upper()}"
    return row(agent, what, share, goal, sent, took, clients - client, servers - server, losses, how)


def postgres_row(agent, share, goal):
    _, took = loads.pgbench(8_000)
    losses, (client, server) = agent.losses(), both(agent, Postgres.service, ["SELECT"])
    transactions = int(8_000 / took * SHORT * share) // 8 * 8
    sent, took = loads.pgbench(transactions, share)
    clients, servers = both(agent, Postgres.service, ["SELECT"])
    how = f"pgbench's own count, pipelines of {loads.PG_STATEMENTS} statements"
    return row(agent, "PostgreSQL pipelines", share, goal, sent, took, clients - client, servers - server, losses, how)


def steady_row(agent, server, what, operation, load, own_count):
    """The client's side against what was sent, the server's against what it has taken: a datagram may be lost on the way."""
    load(STEADY_RATE, 1)
    losses, (client, seen), before = agent.losses(), both(agent, server.service, [operation]), server.served()
    had = answered_of(agent, server, operation)
    sent, answered, took = load(STEADY_RATE, SECONDS)
    clients, servers = both(agent, server.service, [operation])
    taken = server.served() - before
    has = [after - before for after, before in zip(answered_of(agent, server, operation), had)]
    # That a request was seen is not all: its answer was sent too.
    wrong = "" if has == [answered, answered] else f"; with an answer: client {percent(has[0], answered)}, server {percent(has[1], answered)}"
    measured = f"client {percent(clients - client, sent)}, server {percent(servers - seen, taken)} of {taken}{wrong}{lost_since(agent, losses)}"
    how = f"{own_count}: {sent} sent, {answered} answered"
    return (f"seen / sent: {what}, at {STEADY_RATE:,}/s", measured, GOAL, f"{sent / took:,.0f}/s; {how}")


def answered_of(agent, server, operation):
    return [agent.requests(service, side, [operation], "ok") for service, side in ((loads.CLIENT, "client"), (server.service, "server"))]
