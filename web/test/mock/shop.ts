// A made-up shop for looking at the console: the wire's JSON, built from a few lines per service. Nothing of this is
// part of the console; it stands in for a server that has seen the same story for six hours.

export interface Options {
  /** Unix seconds. */
  now: number;
  /** Extra services, to see what a large map does. */
  services: number;
}

export type Json = Record<string, unknown>;

/** Small deterministic random numbers: two looks at the same data must be comparable. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Service {
  name: string;
  runtime: string;
  role?: string;
  rate: number;
  p95: number;
  errors?: number;
  status?: string;
  kind?: string;
  reasons?: Json[];
  host?: string;
}

export const ns = (seconds: number): string => `${BigInt(Math.round(seconds * 1000)) * 1000000n}`;

/** The trouble began this long ago. */
const AGO = 745;

function services(now: number): Service[] {
  const since = now - AGO;
  const reason = (kind: string, severity: string, text: string, value: string, usual: string, at: number) => ({ kind, severity, text, value, usual, since_ns: ns(at), link: null });
  return [
    { name: "clients", kind: "clients", runtime: "", rate: 642, p95: 188, status: "ok" },
    { name: "edge", runtime: "nginx", role: "gateway", rate: 642, p95: 188, errors: 0.011, status: "affected" },
    { name: "web", runtime: "nodejs", rate: 641, p95: 186, errors: 0.011, status: "affected" },
    { name: "cart", runtime: "go", rate: 203, p95: 4.1 },
    { name: "catalog", runtime: "cpython", rate: 388, p95: 46 },
    {
      name: "checkout", runtime: "java", rate: 38.2, p95: 2310, errors: 0.184, status: "critical",
      reasons: [
        reason("error_ratio", "critical", "18.4 % failed, usually 0.1 %", "18.4 %", "0.1 %", since + 23),
        reason("latency", "warning", "p95 2.31 s, usually 108 ms", "2.31 s", "108 ms", since + 16),
        reason("unanswered", "warning", "12 requests of the last minute have no answer", "12", "0", since + 40),
      ],
    },
    { name: "mailer", runtime: "cpython", rate: 0, p95: 0, status: "no_data", host: "shop-2", reasons: [reason("no_data", "no_data", "no data for 6 min: the agent on shop-2 is silent", "6 min", "", now - 362)] },
    { name: "redis", runtime: "7.2", role: "cache", rate: 1150, p95: 0.31 },
    { name: "mariadb", runtime: "11.4", role: "database", rate: 902, p95: 3.8 },
    {
      name: "postgres", runtime: "16", role: "database", rate: 171, p95: 1950, status: "warning",
      reasons: [reason("latency", "warning", "p95 1.95 s, usually 61 ms", "1.95 s", "61 ms", since), reason("waiting", "warning", "14 requests wait longer than 1 s", "14", "0", since + 3)],
    },
    { name: "payment", runtime: "go", rate: 24.6, p95: 214 },
    { name: "kafka", runtime: "3.8", role: "queue", rate: 31, p95: 5.2, host: "shop-2" },
    { name: "api.stripe.example", kind: "external", runtime: "", rate: 24.6, p95: 181 },
    { name: "10.0.0.2", runtime: "", role: "dns", rate: 41, p95: 0.8 },
    { name: "reports", runtime: "ruby", rate: 0.02, p95: 12, status: "unknown" },
  ];
}

type Link = [from: string, to: string, protocol: string, rate: number, p95: number, more?: Json & { sides?: "client" | "server" | "both" }];

function links(now: number): Link[] {
  const since = now - AGO;
  const slow = [{ kind: "latency", severity: "warning", text: "p95 1.96 s, usually 61 ms", value: "1.96 s", usual: "61 ms", since_ns: ns(since), link: "/traces?q=service:checkout protocol:postgresql" }];
  const failing = [{ kind: "error_ratio", severity: "critical", text: "18.4 % failed, usually 0.1 %", value: "18.4 %", usual: "0.1 %", since_ns: ns(since + 23), link: null }];
  const dns: Link[] = ["edge", "web", "cart", "catalog", "checkout", "payment"].map((name) => [name, "10.0.0.2", "dns", 6.8, 0.8, { sides: "client" }]);
  return [
    ["clients", "edge", "http", 642, 188, { error_ratio: 0.011, sides: "server", attributes: { "server.port": "443", "tls.protocol.version": "1.3" } }],
    ["edge", "web", "http", 641, 186, { error_ratio: 0.011, attributes: { "server.port": "3000" } }],
    ["web", "cart", "http", 203, 4.4], ["web", "catalog", "http", 388, 47],
    ["web", "checkout", "http", 38.2, 2310, { status: "critical", error_ratio: 0.184, reasons: failing }],
    ["cart", "redis", "redis", 1150, 0.31], ["catalog", "mariadb", "mysql", 902, 3.9],
    ["checkout", "postgres", "postgresql", 168, 1960, { status: "warning", reasons: slow, attributes: { "server.port": "5432" } }],
    ["web", "postgres", "postgresql", 3.1, 4.2], ["checkout", "payment", "http", 24.6, 231], ["checkout", "kafka", "kafka", 31, 5.2, { sides: "client" }],
    ["payment", "api.stripe.example", "http", 24.6, 181, { sides: "client", attributes: { "server.port": "443" } }],
    ["mailer", "kafka", "kafka", 0, 0, { status: "no_data", sides: "client" }],
    ...dns,
  ];
}

const id = (service: Pick<Service, "name" | "kind">): string => (service.kind === "external" ? `external:${service.name}:443` : service.kind === "clients" ? "clients:" : `service:default/${service.name}`);

function pulse(service: Service, seed: number, affectedFrom: number): (Json | null)[] {
  const next = random(seed + 7);
  return Array.from({ length: 30 }, (_, index) => {
    const after = index >= affectedFrom;
    if (service.status === "no_data") return index >= 24 ? { requests: 0, errors: 0, slow: 0 } : { requests: 20 + Math.round(next() * 6), errors: 0, slow: 0 };
    const requests = Math.round(Math.max(1, service.rate * 60 * (0.72 + 0.28 * Math.sin(index / 9 + seed) + (next() - 0.5) * 0.22)));
    return { requests, errors: after ? Math.round(requests * (service.errors ?? 0)) : 0, slow: after && (service.p95 > 1000) ? requests : 0 };
  });
}

function node(service: Service, seconds: number, seed: number): Json {
  const none = service.status === "no_data";
  const requests = Math.round(service.rate * seconds);
  const errors = Math.round(requests * (service.errors ?? 0));
  const attributes: Json = { "host.name": service.host ?? "shop-1", "limpid.host": `host:${service.host ?? "shop-1"}`, "limpid.instances": service.name === "checkout" ? "2" : "1" };
  if (service.role) attributes["limpid.role"] = service.role;
  if (/^[a-z]+$/.test(service.runtime)) attributes["process.runtime.name"] = service.runtime;
  else if (service.runtime) attributes["service.version"] = service.runtime;
  return {
    id: id(service), kind: service.kind ?? "service", name: service.name === "clients" ? "212 clients" : service.name, level: "service", status: service.status ?? "ok",
    reasons: service.reasons ?? [], requests: none ? null : requests, errors: none ? null : errors, requests_per_second: none ? null : service.rate, error_ratio: none ? null : (service.errors ?? 0),
    p50_ms: none ? null : service.p95 * 0.45, p95_ms: none ? null : service.p95, p99_ms: none ? null : service.p95 * 1.06,
    pulse: pulse(service, seed, Math.max(0, 30 - Math.ceil((AGO / seconds) * 30))), attributes,
  };
}

function edge([from, to, protocol, rate, p95, more = {}]: Link, all: Service[], seconds: number): Json {
  const find = (name: string) => all.find((service) => service.name === name) ?? { name };
  const requests = Math.round(rate * seconds);
  const ratio = (more["error_ratio"] as number | undefined) ?? 0;
  const side = (factor: number) => ({ requests, errors: Math.round(requests * ratio), p50_ms: p95 * 0.45 * factor, p95_ms: p95 * factor, p99_ms: p95 * 1.05 * factor });
  const { sides = "both", ...rest } = more;
  const both = sides === "both";
  return {
    source: id(find(from)), target: id(find(to)), protocol, status: "ok", reasons: [], requests, errors: Math.round(requests * ratio), requests_per_second: rate, error_ratio: ratio, p95_ms: p95,
    client: sides === "server" ? null : side(1), server: sides === "client" ? null : side(0.995),
    network: both && protocol !== "http" ? { p50_ms: 0.1, p95_ms: 0.2 } : null, queue: both && protocol !== "http" ? { p50_ms: 0.02, p95_ms: 0.1 } : null,
    network_or_queue: both && protocol === "http" ? { p50_ms: 0.2, p95_ms: p95 * 0.06 } : null, attributes: {}, ...rest,
  };
}

/** Many more services in layers, each calling a few of the next layer. */
function crowd(amount: number): { services: Service[]; links: Link[] } {
  const next = random(42);
  const made = Array.from({ length: amount }, (_, index): Service => ({ name: `service-${index}`, runtime: ["go", "java", "cpython", "nodejs"][index % 4] ?? "go", rate: 1 + next() * 300, p95: 1 + next() * 90, status: index % 97 === 5 ? "warning" : "ok" }));
  const layer = Math.max(6, Math.round(Math.sqrt(amount) * 2));
  const extra = made.slice(layer).flatMap((service, index): Link[] => {
    const above = Math.floor(index / layer) * layer;
    const from = () => made[Math.min(above + layer - 1, above + Math.floor(next() * layer))]?.name ?? "web";
    return [...new Set([from(), from()])].map((caller) => [caller, service.name, "http", service.rate / 2, service.p95]);
  });
  return { services: made, links: extra };
}

export function topology({ now, services: amount }: Options, seconds: number, level: string): Json {
  const more = amount > 0 ? crowd(amount) : { services: [], links: [] };
  const all = [...services(now), ...more.services];
  const nodes = all.map((service, index) => node(service, seconds, index));
  const edges = [...links(now), ...more.links].map((link) => edge(link, all, seconds));
  if (level === "service") return { nodes, edges };
  const renamed = (text: unknown) => String(text).replace(/^service:default\/(.*)$/, (_, name: string) => (level === "host" ? "host:shop-1" : `process:4f2c81/1763380${name.length}-${3000 + name.length * 77}`));
  const processes = nodes.map((one) => ({ ...one, id: renamed(one["id"]), kind: String(one["id"]).startsWith("service:") ? level : one["kind"], name: level === "process" && String(one["id"]).startsWith("service:") ? `${String(one["name"])} ${3000 + String(one["name"]).length * 77}` : one["name"] }));
  if (level === "process") return { nodes: processes, edges: edges.map((one) => ({ ...one, source: renamed(one["source"]), target: renamed(one["target"]) })) };
  return { nodes: [{ ...nodes[1], id: "host:shop-1", kind: "host", name: "shop-1" }, nodes[0], nodes[12]], edges: [{ ...edges[0], target: "host:shop-1" }, { ...edges[11], source: "host:shop-1" }] };
}

export function timeline(now: number, start: number, end: number, buckets: number): Json {
  const next = random(7);
  const size = (end - start) / buckets;
  return {
    start, end,
    buckets: Array.from({ length: buckets }, (_, index) => {
      const at = start + index * size;
      const day = at / 6000;
      const requests = at > now ? 0 : Math.round(size * (450 + 160 * Math.sin(day) + 60 * Math.sin(day * 7)) * (1 + (next() - 0.5) * 0.16));
      const bad = at > now - AGO;
      return { requests, errors: bad ? Math.round(requests * 0.011 * 10) / 10 : next() < 0.05 ? Math.round(requests * 0.0004) : 0 };
    }),
  };
}

export function operations(): Json {
  const line = (operation: string, resource: string, rate: number, ratio: number, p50: number, p95: number) => ({
    protocol: "http", operation, resource, requests: Math.round(rate * 1800), errors: Math.round(rate * 1800 * ratio), requests_per_second: rate, error_ratio: ratio, p50_ms: p50, p95_ms: p95, p99_ms: p95 * 1.1, side: "server",
  });
  return {
    operations: [
      line("POST", "/checkout", 24.6, 0.284, 1710, 2340), line("POST", "/checkout/quote", 6.1, 0.003, 22, 41), line("GET", "/orders/{id}", 4.8, 0, 18, 66),
      line("GET", "/orders", 1.9, 0, 31, 88), line("POST", "/checkout/cancel", 0.6, 0, 24, 47), line("GET", "/healthz", 0.2, 0, 1, 2),
      { ...line("SELECT", "orders", 38.2, 0, 1200, 1980), protocol: "postgresql", side: "client" }, { ...line("INSERT", "order_items", 62.4, 0, 2, 4.1), protocol: "postgresql", side: "client" },
    ],
  };
}

/** Prometheus' vector: what an edge carries, and where a service's time goes. */
export function queryAt(query: string): Json {
  const one = (metric: Json, value: number) => ({ metric, value: [0, String(value)] });
  const vector = (result: Json[]) => ({ status: "success", data: { resultType: "vector", result } });
  if (query.includes("by (peer, ")) return vector([one({ peer: "postgres", protocol: "postgresql" }, 0.72), one({ peer: "payment", protocol: "http" }, 0.05)]);
  if (query.includes("by (operation, resource, code, status)")) {
    const select = { operation: "SELECT", resource: "SELECT id, status FROM orders WHERE id = ? FOR UPDATE" };
    return vector([one({ ...select, status: "ok" }, 31), one({ ...select, status: "error", code: "55P03" }, 7), one({ operation: "INSERT", resource: "INSERT INTO order_items VALUES (?, ?)", status: "ok" }, 62.4)]);
  }
  if (query.includes("by (operation, resource)")) return vector([one({ operation: "POST", resource: "/checkout" }, 0.91), one({ operation: "GET", resource: "/orders" }, 0.02)]);
  if (query.includes("limpid_process_")) {
    const instance = /instance="([^"]+)"/.exec(query)?.[1] ?? "process:4f2c81/176338031807-31807";
    return vector([one({ instance, of: "memory" }, 642_000_000), one({ instance, of: "cpu" }, 0.12), one({ instance, of: "files" }, 962), one({ instance, of: "threads" }, 64)]);
  }
  if (query.includes("limpid_program_")) return vector(["tp_send", "tp_receive", "unix_stream"].map((program) => one({ collector: program === "unix_stream" ? "unix" : "sockets", program }, query.includes("_runs_") ? 38_120 : 0.0065)));
  if (query.includes("limpid_losses_total")) return vector([one({ host: "shop-1", cause: "verdict_lost" }, 12)]);
  if (query.includes("limpid_connection_active")) return vector([one({ peer: "postgres", protocol: "postgresql", side: "client" }, 40), one({ peer: "web", protocol: "http", side: "server" }, 18), one({ peer_address: "10.0.9.1:443", protocol: "tcp", side: "client" }, 2)]);
  if (query.includes("by (protocol)")) return vector([one({ protocol: "http" }, 410), one({ protocol: "postgresql" }, 168)]);
  return vector([one({}, query.includes("_count") ? 1 : 1)]);
}

/** Counts under each bound: what was usual, and from the trouble on a second band, half of it failed. */
function buckets(now: number, start: number, end: number, step: number): Json {
  const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, Infinity];
  const result = ["ok", "error"].flatMap((status) =>
    bounds.map((bound) => {
      const values: [number, string][] = [];
      for (let at = Math.ceil(start / step) * step; at <= end; at += step) {
        const bad = at > now - AGO;
        const fast = (bad ? 12 : 36) * Math.min(1, Math.max(0, Math.log10(bound / 0.008) / 1.2));
        const slow = bad ? 9 * Math.min(1, Math.max(0, Math.log10(bound / 0.9) / 0.5)) : 0;
        values.push([at, String(Math.round(status === "ok" ? fast + slow * 0.4 : slow))]);
      }
      return { metric: { le: bound === Infinity ? "+Inf" : String(bound), status }, values };
    }),
  );
  return { status: "success", data: { resultType: "matrix", result } };
}

/** Prometheus' matrix for the service page: what is asked for is told from the expression. */
export function queryRange(now: number, query: string, start: number, end: number, step: number): Json {
  if (query.includes("_bucket")) return buckets(now, start, end, step);
  const next = random(query.length);
  const values: [number, string][] = [];
  const bad = (at: number) => at > now - AGO;
  for (let at = Math.ceil(start / step) * step; at <= end; at += step) {
    const jitter = 1 + (next() - 0.5) * 0.2;
    const base = query.includes("histogram_quantile(0.5,") ? (bad(at) ? 1.27 : 0.04) : query.includes("histogram_quantile(0.95,") ? (bad(at) ? 2.31 : 0.108) : query.includes("histogram_quantile(0.99,") ? (bad(at) ? 2.42 : 0.14)
      : query.includes("status!=") ? (bad(at) ? 0.184 : 0) : 38.2;
    if (query.includes('service="reports"')) continue;
    values.push([at, String(base * jitter)]);
  }
  return { status: "success", data: { resultType: "matrix", result: values.length ? [{ metric: {}, values }] : [] } };
}

export function instances(now: number): Json {
  const process = (pid: number, port: number) => ({
    id: `process:4f2c81/1763380${pid}-${pid}`, kind: "process", name: `java ${pid}`, start_ns: ns(now - 270_000), end_ns: ns(now),
    attributes: { "process.pid": String(pid), "host.name": "shop-1", "process.executable.name": "java", "process.runtime.name": "java", "limpid.listen": `0.0.0.0:${port}`, "process.command_line": "java -Xmx1g -jar checkout.jar --db.password=*****" },
  });
  return { entities: [process(31807, 8080), process(31822, 8081)] };
}

/** One process or host of the shop, with everything that an agent tells of it. */
export function entity(id: string, now: number): Json | null {
  const host = { "host.name": "shop-1", "host.id": "4f2c81", "host.arch": "amd64", "os.type": "linux" };
  if (id === "host:shop-1" || id === "host:4f2c81") {
    return { id, kind: "host", name: "shop-1", start_ns: ns(now - 3_000_000), end_ns: ns(now), attributes: { ...host, "os.description": "Debian GNU/Linux 12 (bookworm)", "os.version": "6.12.48", "limpid.host.cpus": "8", "limpid.host.memory_bytes": "33554432000", "host.ip": "10.0.3.21,fd00::21" } };
  }
  if (!id.startsWith("process:")) return null;
  const pid = id.replace(/^.*-/, "");
  return {
    id, kind: "process", name: `java[${pid}]`, start_ns: ns(now - 270_000), end_ns: ns(now),
    attributes: { ...host, "limpid.service": "service:default/checkout", "limpid.host": "host:4f2c81", "process.pid": pid, "process.executable.name": "java", "process.executable.path": "/usr/lib/jvm/java-21/bin/java", "process.runtime.name": "java", "process.owner": "shop",
      "process.command_line": "java -Xmx1g -jar checkout.jar --db.password=REDACTED", "limpid.listen": "0.0.0.0:8080", "limpid.cgroup.path": "/system.slice/shop-checkout.service", "limpid.limit.open_files": "1024", "limpid.limit.memory_bytes": "1073741824", "limpid.limit.cpus": "2.00" },
  };
}
