// /api/topology, /api/services: nodes and edges.
import { secondsOf } from "../domain/format";
import { statusOf } from "../domain/status";
import { edgeId, madeBy, neighbourhood, type Figures, type EdgeTls, type Level, type MapEdge, type MapNode, type Pulse, type Reason, type Topology, type Waiting } from "../domain/topology";
import type { Interval } from "../domain/range";
import { get } from "./http";
import { attributes, list, maybe, number, object, string, text, type Json } from "./read";

const MOST_REASONS = 20;
const MOST_PULSE = 60;
const MOST_CODES = 40;

const figures = (value: Json): Figures => ({
  requests: number(value["requests"]),
  errors: number(value["errors"]),
  p50: number(value["p50_ms"]),
  p95: number(value["p95_ms"]),
  p99: number(value["p99_ms"]),
});

const MOST_CERTIFICATES = 100;

const tls = (value: Json): EdgeTls => ({
  rate: number(value["handshakes_per_second"]),
  client: maybe(value["client"], figures),
  server: maybe(value["server"], figures),
  alerts: counts(value["alerts"]),
  certificates: list(value["certificates"], "certificates", (one) => ({ subject: text(one["subject"]), serverName: text(one["server_name"]), notAfter: number(one["not_after"]) ?? NaN })).filter((one) => one.notAfter > 0).slice(0, MOST_CERTIFICATES),
});

const waiting = (value: Json): Waiting => ({ p50: number(value["p50_ms"]), p95: number(value["p95_ms"]) });

const reason = (value: Json): Reason => ({
  kind: text(value["kind"]),
  severity: statusOf(string(value["severity"])),
  text: text(value["text"], text(value["kind"], "a reason without text")),
  value: string(value["value"]),
  usual: string(value["usual"]),
  since: secondsOf(string(value["since_ns"])),
  link: string(value["link"]),
});

const reasons = (value: unknown, where: string): Reason[] => list(value, where, reason).slice(0, MOST_REASONS);

/** A bucket of the pulse that is null, or says nothing of requests, was not seen. */
function pulse(value: unknown): (Pulse | null)[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MOST_PULSE).map((one) =>
    maybe(one, (bucket) => {
      const requests = number(bucket["requests"]);
      return requests === null ? null : { requests, errors: number(bucket["errors"]) ?? 0, slow: number(bucket["slow"]) ?? 0 };
    }),
  );
}

/** Processes of one service share its name: their number tells them apart. */
function nameOf(id: string, name: string): string {
  const number = /^process:.*-(\d+)$/.exec(id)?.[1];
  return number && !name.includes(number) ? `${name} ${number}` : name;
}

export function readNode(value: Json, where: string): MapNode {
  const id = text(value["id"]);
  return {
    ...figures(value),
    id,
    kind: text(value["kind"], id.slice(0, Math.max(0, id.indexOf(":"))) || "service"),
    name: nameOf(id, text(value["name"], id.slice(id.lastIndexOf("/") + 1))),
    status: statusOf(string(value["status"])),
    reasons: reasons(value["reasons"], `${where}.reasons`),
    rate: number(value["requests_per_second"]),
    errorRatio: number(value["error_ratio"]),
    pulse: pulse(value["pulse"]),
    attributes: attributes(value["attributes"]),
    made: null,
    firstSeen: secondsOf(string(value["first_seen_ns"])),
    lastSeen: secondsOf(string(value["last_seen_ns"])),
  };
}

export function readEdge(value: Json, where: string): MapEdge {
  const source = text(value["source"]);
  const target = text(value["target"]);
  const protocol = text(value["protocol"], "unknown");
  return {
    id: edgeId(source, target, protocol),
    source,
    target,
    protocol,
    status: statusOf(string(value["status"])),
    reasons: reasons(value["reasons"], `${where}.reasons`),
    requests: number(value["requests"]),
    errors: number(value["errors"]),
    rate: number(value["requests_per_second"]),
    errorRatio: number(value["error_ratio"]),
    p95: number(value["p95_ms"]),
    client: maybe(value["client"], figures),
    server: maybe(value["server"], figures),
    tls: maybe(value["tls"], tls),
    network: maybe(value["network"], waiting),
    queue: maybe(value["queue"], waiting),
    networkOrQueue: maybe(value["network_or_queue"], waiting),
    attributes: attributes(value["attributes"]),
    firstSeen: secondsOf(string(value["first_seen_ns"])),
    failedConnects: counts(value["failed_connects"]),
    retransmits: number(value["retransmits"]) ?? 0,
  };
}

/** Only what is a number counts. */
function counts(value: unknown): Record<string, number> {
  const known = maybe(value, (all) => Object.entries(all).flatMap(([name, one]) => (number(one) === null ? [] : [[name, number(one) ?? 0] as const])));
  return Object.fromEntries((known ?? []).slice(0, MOST_CODES));
}

export function readTopology(body: unknown): Topology {
  const value = object(body, "topology");
  const nodes = list(value["nodes"], "nodes", readNode).filter((node) => node.id !== "");
  const edges = list(value["edges"], "edges", readEdge).filter((edge) => edge.source !== "" && edge.target !== "");
  const whole = { nodes: unique(nodes), edges: unique(edges) };
  const { outgoing } = neighbourhood(whole);
  const sampled = maybe(value["sampled"], (of) => ({ filter: text(of["filter"]), spans: number(of["spans"]) ?? 0, untold: number(of["spans_without_probability"]) ?? 0 }));
  return { ...whole, sampled, nodes: whole.nodes.map((node) => ({ ...node, made: madeBy(node, outgoing.get(node.id) ?? []) })) };
}

const unique = <T extends { id: string }>(things: T[]): T[] => [...new Map(things.map((thing) => [thing.id, thing])).values()];

/** `q` asks for a map of the requests whose spans match. */
export const fetchTopology = ({ start, end }: Interval, level: Level, signal: AbortSignal, q = ""): Promise<Topology> =>
  get("/api/topology", { start, end, level, q }, readTopology, signal);

export const fetchServices = (interval: Interval, signal: AbortSignal): Promise<MapNode[]> =>
  get("/api/services", { ...interval }, (body) => unique(list(object(body, "services")["services"], "services", readNode)), signal);
