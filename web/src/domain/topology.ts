// What runs and who calls whom: the types of the map and the small questions that are asked of them.
import type { Difference } from "./difference";
import type { Interval } from "./range";
import { isBad, type Status } from "./status";

export const LEVELS = ["host", "service", "process"] as const;
export type Level = (typeof LEVELS)[number];

export interface Reason {
  kind: string;
  severity: Status;
  text: string;
  value: string | null;
  usual: string | null;
  since: number | null;
  link: string | null;
}

export interface Figures {
  requests: number | null;
  errors: number | null;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface Pulse {
  requests: number;
  errors: number;
  slow: number;
}

/** What is told of a node and of an edge alike: how they are, why, and their figures. */
export interface Judged {
  status: Status;
  reasons: Reason[];
  requests: number | null;
  errors: number | null;
  rate: number | null;
  errorRatio: number | null;
  p95: number | null;
  /** What it differs by from the time it is compared with, while it is. */
  difference?: Difference;
}

export interface MapNode extends Figures, Judged {
  id: string;
  kind: string;
  name: string;
  pulse: (Pulse | null)[];
  attributes: Record<string, string>;
  /** What it calls, for nodes that serve nothing themselves. */
  made: Made | null;
  /** Since when it is there, of what is new in the range. */
  firstSeen: number | null;
  /** When it was there last, of what is gone at the range's end. */
  lastSeen: number | null;
  /** What a collapsed group holds, worst first. */
  members?: MapNode[];
}

/** It is no longer there, and nothing else is the matter with it. */
export const isGone = (node: MapNode): boolean => (node.lastSeen !== null || node.difference?.kind === "gone") && !isBad(node.status);

/** Dots mean "no data" and nothing else: there is none, or none any more. */
export const isSilent = (edge: MapEdge): boolean => edge.status === "no_data" || edge.difference?.kind === "gone";

/** It was not there before the range, or not at the time it is compared with. */
export const isNew = (thing: MapNode | MapEdge): boolean => thing.firstSeen !== null || thing.difference?.kind === "new";

export interface Made {
  requests: number;
  rate: number;
  errorRatio: number | null;
  p95: number | null;
}

export interface Waiting {
  p50: number | null;
  p95: number | null;
}

/** A certificate that a callee has shown; its end in Unix seconds. */
export interface Certificate {
  subject: string;
  serverName: string;
  notAfter: number;
}

/** Handshakes of encrypted connections: their requests are handshakes. */
export interface EdgeTls {
  rate: number | null;
  client: Figures | null;
  server: Figures | null;
  /** Those that failed, by the number of the alert. */
  alerts: Record<string, number>;
  certificates: Certificate[];
}

export interface MapEdge extends Judged {
  id: string;
  source: string;
  target: string;
  protocol: string;
  client: Figures | null;
  server: Figures | null;
  tls: EdgeTls | null;
  network: Waiting | null;
  queue: Waiting | null;
  networkOrQueue: Waiting | null;
  attributes: Record<string, string>;
  firstSeen: number | null;
  /** Connects that failed, by the name of the error; they are none of the requests, unless there is nothing else. */
  failedConnects: Record<string, number>;
  /** TCP segments that either end sent again. */
  retransmits: number;
  /** The calls that an edge into or out of a collapsed group stands for. */
  parts?: MapEdge[];
}

export interface Topology {
  nodes: MapNode[];
  edges: MapEdge[];
  /** With a filter that only spans can answer: what the figures were estimated from. */
  sampled?: Sampled | null;
}

export interface Sampled {
  filter: string;
  spans: number;
  /** Spans that do not say how likely they were kept, and count for one request each. */
  untold: number;
}

export const failedConnects = (edge: MapEdge): number => Object.values(edge.failedConnects).reduce((sum, one) => sum + one, 0);

/** Encrypted, and nothing in it could be read: only its handshakes are known. */
export const isUnread = (edge: MapEdge): boolean => edge.tls !== null && !edge.client && !edge.server;

/** The figures that stand for an edge: of what was not read, those of its handshakes. */
export function shownEdge(edge: MapEdge): MapEdge {
  const side = isUnread(edge) ? (edge.tls?.server ?? edge.tls?.client) : null;
  if (!side) return edge;
  return { ...edge, rate: edge.tls?.rate ?? null, requests: side.requests, errors: side.errors, errorRatio: side.requests ? (side.errors ?? 0) / side.requests : null, p95: side.p95 };
}

export const dnsFailures = (edge: MapEdge): number => (edge.protocol === "dns" ? (edge.errors ?? 0) : 0);

/** Nothing was ever said over it: the caller only tried to connect. */
export const neverConnected = (edge: MapEdge): boolean => edge.protocol === "tcp" && failedConnects(edge) > 0;

/** The calls of a node that serves nothing: their rate, their failures, and p95 of what it calls most. */
export function madeBy(node: MapNode, outgoing: MapEdge[]): Made | null {
  const calls = outgoing.filter((edge) => edge.source === node.id && (edge.requests ?? 0) > 0);
  const most = [...calls].sort((a, b) => (b.requests ?? 0) - (a.requests ?? 0))[0];
  if ((node.requests ?? 0) > 0 || !most) return null;
  const sum = (value: (edge: MapEdge) => number | null) => calls.reduce((total, edge) => total + (value(edge) ?? 0), 0);
  const requests = sum((edge) => edge.requests);
  return { requests, rate: sum((edge) => edge.rate), errorRatio: sum((edge) => edge.errors) / requests, p95: most.client?.p95 ?? most.p95 };
}

export interface SeenRequests {
  all: number;
  both: number;
  client: number;
  server: number;
}

/** How many requests were seen, and from which sides; what the two views differ by was seen from one side. */
export function seenOf(edges: MapEdge[]): SeenRequests {
  const sum = { all: 0, both: 0, client: 0, server: 0 };
  for (const edge of edges) {
    const [client, server] = [edge.client?.requests ?? 0, edge.server?.requests ?? 0];
    sum.all += Math.max(client, server);
    sum.both += Math.min(client, server);
    sum.client += Math.max(0, client - server);
    sum.server += Math.max(0, server - client);
  }
  return sum;
}

/** Rules look at sixtieths of the range: what fires in the first of them may have begun before. */
export const wholeRange = (since: number, { start, end }: Interval): boolean => since <= start + (end - start) / 60;

export const EMPTY: Topology = { nodes: [], edges: [] };
export const edgeId = (source: string, target: string, protocol: string): string => `${source}>${target}:${protocol}`;

export type Glyph = "service" | "gateway" | "database" | "cache" | "queue" | "dns" | "external" | "clients" | "host" | "group";

const GLYPH_OF_PROTOCOL: Record<string, Glyph> = {
  postgresql: "database", mysql: "database", mongodb: "database", redis: "cache", memcached: "cache",
  kafka: "queue", amqp: "queue", nats: "queue", dns: "dns",
};
const ROLES: Record<string, Glyph> = {
  database: "database", cache: "cache", queue: "queue", messaging: "queue", gateway: "gateway", proxy: "gateway",
  dns: "dns", service: "service",
};
const KINDS: Record<string, Glyph> = { external: "external", clients: "clients", host: "host", group: "group" };

/** What a node is, from its role, else from what it is called with. */
export function glyphOf(node: MapNode, incoming: MapEdge[]): Glyph {
  const byKind = KINDS[node.kind];
  if (byKind) return byKind;
  const role = ROLES[node.attributes["limpid.role"] ?? ""];
  if (role) return role;
  for (const edge of incoming) {
    const glyph = GLYPH_OF_PROTOCOL[edge.protocol.toLowerCase()];
    if (glyph) return glyph;
  }
  return "service";
}

const PROTOCOL_NAMES: Record<string, string> = {
  http: "HTTP", http2: "HTTP/2", grpc: "gRPC", redis: "Redis", postgresql: "PostgreSQL", mysql: "MySQL",
  kafka: "Kafka", dns: "DNS", amqp: "AMQP", nats: "NATS", mongodb: "MongoDB", memcached: "memcached", tls: "TLS", quic: "QUIC", tcp: "TCP",
};
export const protocolName = (protocol: string): string => PROTOCOL_NAMES[protocol.toLowerCase()] ?? protocol;
export const protocolOf = (edge: MapEdge): string => `${protocolName(edge.protocol)}${isUnread(edge) ? " handshakes" : ""}`;

const RUNTIMES: Record<string, string> = { nodejs: "node", cpython: "python", "openjdk runtime environment": "java" };

/** The small word on a plate's right: the language, else the version of what runs. */
export function runtimeOf(node: MapNode): string {
  const addresses = node.attributes["limpid.addresses"];
  if (node.kind === "clients") return addresses ? `${addresses} addr.` : "";
  return languageOf(node) || (node.attributes["service.version"] ?? executableOf(node));
}

export function languageOf(node: MapNode): string {
  const language = (node.attributes["process.runtime.name"] ?? node.attributes["telemetry.sdk.language"] ?? node.attributes["limpid.language"] ?? "").toLowerCase();
  return RUNTIMES[language] ?? language;
}

function executableOf(node: MapNode): string {
  const executable = node.attributes["process.executable.name"] ?? "";
  const family = executable.split(/[-_.\d]/)[0] ?? "";
  return family !== "" && node.name.includes(family) ? "" : executable;
}

export const isOutside = (node: MapNode | undefined): boolean =>
  node !== undefined && (node.kind === "external" || node.kind === "clients");

/** Nobody watches this callee: all that is known of it is what its callers saw. */
export function seenFromCallersOnly(node: MapNode, incoming: MapEdge[]): boolean {
  if (isOutside(node) || incoming.length === 0) return false;
  return incoming.every((edge) => edge.server === null && edge.client !== null);
}

export interface Neighbourhood {
  incoming: Map<string, MapEdge[]>;
  outgoing: Map<string, MapEdge[]>;
  byId: Map<string, MapNode>;
}

export function neighbourhood(topology: Topology): Neighbourhood {
  const incoming = new Map<string, MapEdge[]>();
  const outgoing = new Map<string, MapEdge[]>();
  for (const edge of topology.edges) {
    push(incoming, edge.target, edge);
    push(outgoing, edge.source, edge);
  }
  return { incoming, outgoing, byId: new Map(topology.nodes.map((node) => [node.id, node])) };
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

const HUB_CALLERS = 5;

/** A callee of many with nothing to say (DNS, a log sink) is docked without edges: they would only darken the map. */
export function isHub(node: MapNode, incoming: MapEdge[]): boolean {
  if (isBad(node.status) || node.kind === "clients" || node.kind === "group") return false;
  if (incoming.some((edge) => edge.reasons.length > 0 && isBad(edge.status))) return false;
  return new Set(incoming.map((edge) => edge.source)).size > HUB_CALLERS;
}

/** The name of a node that may be gone from the list: the last part of its id. */
export function nameOf(id: string, byId: Map<string, MapNode>): string {
  return byId.get(id)?.name ?? id.slice(id.lastIndexOf("/") + 1);
}

/** Scope and name of `service:default/checkout`. */
export function serviceParts(id: string): { scope: string; name: string } | null {
  const match = /^service:([^/]+)\/(.+)$/.exec(id);
  return match ? { scope: match[1] ?? "", name: match[2] ?? "" } : null;
}
