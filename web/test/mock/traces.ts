// Traces and status of the made-up shop.
import { ns, random } from "./shop";

type Json = Record<string, unknown>;

export function traces(now: number, start: number, end: number, q: string): Json {
  const next = random(11);
  const found = Array.from({ length: 180 }, (_, index) => {
    const at = start + (end - start) * (1 - index / 180) - 1;
    const bad = at > now - 745;
    const failed = bad && next() < 0.3;
    const duration = failed ? 2.3 + next() * 0.2 : bad && next() < 0.5 ? 1.2 + next() * 1.2 : Math.exp(Math.log(0.02) + next() * 2.6);
    const id = [0, 1, 2, 3].map(() => Math.floor(next() * 0xffffffff).toString(16).padStart(8, "0")).join("");
    return { trace_id: id, root: ["POST /checkout", "GET /", "GET /orders/{id}", "POST /cart"][index % 4], service: "edge", start_ns: ns(at), duration_ns: String(Math.round(duration * 1e9)), spans: failed ? 6 : 17, errors: failed ? 2 : 0,
      code: failed ? "503" : "200", services: failed ? 5 : 10,
      time: [["postgres", 0.55], ["checkout", 0.25], [null, 0.12], ["web", 0.08]].map(([name, part]) => ({ service: name, duration_ns: String(Math.round(duration * 1e9 * Number(part))) })),
    };
  });
  const wanted = found.filter((trace) => (!q.includes("status:error") || trace.errors > 0) && (!q.includes("duration:>1s") || Number(trace.duration_ns) > 1e9) && !q.includes("service:nobody"));
  return { traces: wanted };
}

/** What the server counts of the same made-up traces. */
export function facets(now: number, start: number, end: number, q: string): Json {
  const base = traces(now, start, end, "")["traces"] as { start_ns: string; duration_ns: string; errors: number; code: string; root: string }[];
  const chosen = traces(now, start, end, q)["traces"] as typeof base;
  const columns = 72;
  const row = (duration: string) => Math.floor(Math.log10(Number(duration)) * 4);
  const rows = base.map((trace) => row(trace.duration_ns));
  const low = Math.min(...rows);
  const cells = new Map<string, { x: number; y: number; traces: number; failed: number }>();
  base.forEach((trace, index) => {
    const x = Math.min(columns - 1, Math.max(0, Math.floor(((Number(BigInt(trace.start_ns) / 1000000n) / 1000 - start) / (end - start)) * columns)));
    const y = (rows[index] ?? 0) - low;
    const cell = cells.get(`${x} ${y}`) ?? { x, y, traces: 0, failed: 0 };
    cells.set(`${x} ${y}`, { ...cell, traces: cell.traces + 1, failed: cell.failed + (trace.errors > 0 ? 1 : 0) });
  });
  const values = (of: (trace: (typeof base)[number]) => string) => {
    const sums = new Map<string, { value: string; traces: number; failed: number }>();
    for (const trace of chosen) {
      const known = sums.get(of(trace)) ?? { value: of(trace), traces: 0, failed: 0 };
      sums.set(known.value, { ...known, traces: known.traces + 1, failed: known.failed + (trace.errors > 0 ? 1 : 0) });
    }
    return [...sums.values()].sort((a, b) => b.traces - a.traces);
  };
  const facet = (key: string, of: (trace: (typeof base)[number]) => string) => ({ key, traces: chosen.length, distinct: values(of).length, values: values(of) });
  return {
    traces: base.length, selected: chosen.length, failed: chosen.filter((trace) => trace.errors > 0).length, requests: base.length * 4, selects: /status:|duration:/.test(q), complete: true, share: 1,
    facets: [facet("code", (trace) => trace.code), facet("name", (trace) => trace.root), { key: "limpid.most_time", traces: chosen.length, distinct: 2, values: [{ value: "postgres", traces: Math.round(chosen.length * 0.7), failed: 0 }, { value: "checkout", traces: Math.round(chosen.length * 0.3), failed: 0 }] }],
    apart: [{ key: "limpid.most_time", value: "postgres", selected: 0.97, others: 0.004 }, { key: "code", value: "503", selected: 0.28, others: 0.001 }],
    heat: { start_ns: ns(start), end_ns: ns(end), columns, bounds_ms: Array.from({ length: Math.max(...rows) - low + 1 }, (_, index) => 10 ** ((low + index + 1) / 4) / 1e6), cells: [...cells.values()] },
  };
}

interface Made {
  spans: Json[];
  add: (parent: string | null, service: string, name: string, from: number, to: number, more?: Json, views?: "both" | "client" | "server") => string;
}

function maker(base: number): Made {
  const spans: Json[] = [];
  let count = 0;
  const hex = () => (++count).toString(16).padStart(16, "0");
  const one = (id: string, parent: string | null, service: string, name: string, kind: string, from: number, to: number, more: Json) => {
    const { attributes = {}, ...rest } = more;
    spans.push({
      span_id: id, parent_span_id: parent, name, service, instance: "", kind, start_ns: String(BigInt(Math.round(base * 1000)) * 1000000n + BigInt(Math.round(from * 1e6))), duration_ns: String(Math.round((to - from) * 1e6)), status: "unset",
      protocol: "http", operation: name.split(" ")[0], code: "200", peer: null, attributes: { "limpid.protocol": "http", "server.port": 8080, "network.transport": "tcp", ...(attributes as Json) }, resource: { "service.name": service, "host.name": "shop-1", "process.pid": 31807 }, ...rest,
    });
    return id;
  };
  const add: Made["add"] = (parent, service, name, from, to, more = {}, views = "both") => {
    const caller = spans.find((span) => span["span_id"] === parent)?.["service"] as string | undefined;
    const gap = Math.min(0.2, (to - from) * 0.04);
    const queue = Number((more["attributes"] as Json | undefined)?.["limpid.queue_ns"] ?? 0) / 1e6;
    if (views === "server") return one(hex(), parent, service, name, "server", from, to, more);
    const client = one(hex(), parent, caller ?? service, name, "client", from, to, { ...more, attributes: {}, peer: service });
    return views === "client" ? client : one(hex(), client, service, name, "server", from + gap + queue, to - gap, more);
  };
  return { spans, add };
}

const sql = (text: string, more: Json = {}): Json => ({ protocol: "postgresql", code: "", attributes: { "db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": text, "server.port": 5432, ...more } });

export function trace(now: number, id: string): Json {
  const { spans, add } = maker(now - 340);
  const edge = add(null, "edge", "POST /checkout", 0, 2360, { code: "503", status: "error" }, "server");
  const web = add(edge, "web", "POST /checkout", 1, 2357, { code: "503", status: "error" });
  const cart = add(web, "cart", "GET /cart/{id}", 3, 7.4);
  add(cart, "redis", "HGETALL", 4, 4.4, { protocol: "redis", attributes: { "db.system.name": "redis", "db.operation.name": "HGETALL" } });
  const catalog = add(web, "catalog", "POST /prices", 8, 23);
  add(catalog, "mariadb", "SELECT prices", 9, 12.9, { protocol: "mysql" });
  const checkout = add(web, "checkout", "POST /checkout", 24, 2354, { code: "503", status: "error", attributes: { "limpid.queue_ns": 18_000_000, "http.request.method": "POST", "url.path": "/checkout", "http.route": "/checkout", "http.response.status_code": 503 } });
  add(checkout, "postgres", "BEGIN", 534, 534.5, sql("BEGIN"));
  add(checkout, "postgres", "SELECT orders", 535, 2100, sql("SELECT id, status FROM orders WHERE id = ? FOR UPDATE", { "limpid.queue_ns": 100_000 }));
  const payment = add(checkout, "payment", "POST /charges", 2102, 2300);
  add(payment, "10.0.0.2", "A api.stripe.example", 2104, 2104.8, { protocol: "dns" }, "client");
  add(payment, "api.stripe.example", "POST /v1/charges", 2106, 2283, { attributes: { "server.port": 443 } }, "client");
  for (let index = 0; index < 412; index += 1) add(checkout, "postgres", "SELECT prices", 2301 + index * 0.1, 2301.08 + index * 0.1, sql("SELECT price FROM prices WHERE sku = ?"));
  add(checkout, "postgres", "COMMIT", 2344, 2350.5, sql("COMMIT"));
  add(checkout, "kafka", "produce orders", 2348, 2353, { protocol: "kafka" }, "client");
  return { trace_id: id, spans };
}

export function status(now: number, troubled: boolean): Json {
  const program = (name: string, count: number, ns_each: number) => ({ name, state: "running", reason: null, run_count: count, run_time_ns: count * ns_each });
  const collectors = [
    { name: "socket", state: "running", reason: "tp_btf front end", programs: [program("sock_send_length", 48_310_221, 171), program("sock_recv_length", 46_118_002, 168), program("sk_data_ready", 22_004_113, 96), program("iter_tcp", 12, 41_000)] },
    { name: "processes", state: "running", reason: null, programs: [program("sched_process_exec", 14_022, 740), program("sched_process_exit", 13_990, 310), program("sched_process_fork", 15_004, 280)] },
    { name: "unix", state: "running", reason: null, programs: [program("unix_stream", 901_221, 190)] },
    troubled ? { name: "udp", state: "failed", reason: "the kernel's verifier refused cgroup_recvmsg4: permission denied (-13)", programs: [{ name: "cgroup_recvmsg4", state: "failed", reason: "permission denied (-13)", run_count: null, run_time_ns: null }] } : { name: "udp", state: "running", reason: null, programs: [program("cgroup_recvmsg4", 4_113, 210)] },
    { name: "syscalls", state: "off", reason: "slows every program; switched on only where the tracepoints of the socket layer are missing", programs: [] },
  ];
  const losses = [
    { cause: "ring_full", count: 0, help: "ring buffer full, record dropped" }, { cause: "verdict_lost", count: 118, help: "verdict lost, connection parsed again" }, { cause: "payload_unreadable", count: 2204, help: "payload not readable (sendfile, splice), kept as a gap" },
    { cause: "pipeline_too_deep", count: 0, help: "pipeline deeper than the parser follows" }, { cause: "spans_over_limit", count: 0, help: "spans over the limit" }, { cause: "export_failed", count: 0, help: "export to the server failed" },
  ];
  const agent = { host: "shop-1", version: "0.1.0", host_id: "4f2c81", kernel: "6.12.48", export: { queued_batches: 3, queued_bytes: 182_000, last_success_ns: now * 1e9, last_error: null }, exclusions: [{ rule: "unit:backup", matched: 2 }], protocols: [{ name: "mongodb", state: "off" }], reported_ns: ns(now - 1), silent: false, started_ns: ns(now - 1_036_800), cpu_seconds: 19_700, memory_bytes: 67_108_864, collectors, losses };
  return {
    version: "0.1.0", started_ns: ns(now - 1_036_800), problems: troubled ? ["OTLP port 4317 is taken by another program; the agent uses the Unix socket"] : [], agents: [agent], processes: 31, server: { cpu_seconds: 32_140, memory_bytes: 222_298_112 },
    store: { path: "/var/lib/limpid", format: 1, bytes: 6_549_825_126, free_bytes: 92_549_825_126, spans: 41_204_113, series: 18_204, oldest_ns: ns(now - 604_800), retention_seconds: 604_800, max_bytes: 10_737_418_240, parts: [["spans", 3.1], ["metrics", 1.6], ["events", 0.3], ["log", 0.1]].map(([name, size]) => ({ name, bytes: Number(size) * 2 ** 30, oldest_ns: ns(now - 604_800) })), losses: [["torn_tail_bytes", 118]], problem: null },
  };
}
