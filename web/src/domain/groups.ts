// Groups of the map: by host, unit, container, language, or a label of one's own. A collapsed group is one node, and
// calls that cross its border are one edge for each pair of ends.
import { together, type Difference } from "./difference";
import { isBad, severity, worstFirst, type Status } from "./status";
import { edgeId, isGone, isOutside, languageOf, protocolName, type EdgeTls, type Figures, type Judged, type MapEdge, type MapNode, type Reason, type Topology, type Waiting } from "./topology";

/** What a map can be grouped by; anything else is the name of an attribute. */
export const GROUPINGS = ["host", "unit", "container", "language"] as const;
const ATTRIBUTE: Record<string, string> = { host: "host.name", unit: "limpid.systemd.unit", container: "container.name" };
/** Attributes that everything has its own of, or that say the same as a grouping. */
const NO_LABELS = /^(limpid|host|process|container|os|telemetry|client|server)\.|^service\.(name|instance\.id)$/;
const MOST_REASONS = 5;

export interface Group {
  /** `group:host:shop-1`, the id of the node that it is while it is collapsed. */
  id: string;
  value: string;
  members: MapNode[];
  status: Status;
  isOpen: boolean;
}

export interface Grouped {
  topology: Topology;
  groups: Group[];
}

export const groupId = (by: string, value: string): string => `group:${by}:${value}`;

/** The group of a node; what is outside, and what lacks the property, is in none. */
export function groupOf(node: MapNode, by: string): string {
  if (isOutside(node)) return "";
  return by === "language" ? languageOf(node) : (node.attributes[ATTRIBUTE[by] ?? by] ?? "");
}

/** Labels of one's own that nodes of this map have, so that they can be grouped by. */
export function labelsOf(topology: Topology): string[] {
  const names = new Set(topology.nodes.flatMap((node) => Object.keys(node.attributes).filter((name) => !NO_LABELS.test(name))));
  return [...names].sort((a, b) => a.localeCompare(b));
}

export function groupsOf(topology: Topology, by: string, open: ReadonlySet<string>): Group[] {
  const members = new Map<string, MapNode[]>();
  for (const node of topology.nodes) {
    const value = groupOf(node, by);
    if (!value) continue;
    const list = members.get(value);
    if (list) list.push(node);
    else members.set(value, [node]);
  }
  return [...members].map(([value, list]) => ({
    id: groupId(by, value), value, isOpen: open.has(value),
    members: [...list].sort((a, b) => worstFirst(a, b) || a.name.localeCompare(b.name)),
    status: list.reduce<Status>((worst, node) => (severity(node.status) < severity(worst) ? node.status : worst), "ok"),
  }));
}

/** The map with its groups: those that are open as their members, the others as one node each. */
export function grouped(topology: Topology, by: string, open: ReadonlySet<string>): Grouped {
  const groups = groupsOf(topology, by, open);
  const inside = new Map<string, string>();
  for (const group of groups) if (!group.isOpen) for (const node of group.members) inside.set(node.id, group.id);
  if (inside.size === 0) return { topology, groups };
  const edges = crossing(topology.edges, inside);
  const alone = topology.nodes.filter((node) => !inside.has(node.id));
  return { topology: { nodes: [...alone, ...groups.filter((group) => !group.isOpen).map((group) => nodeOf(group, edges))], edges }, groups };
}

function crossing(edges: MapEdge[], inside: ReadonlyMap<string, string>): MapEdge[] {
  const kept: MapEdge[] = [];
  const merged = new Map<string, MapEdge[]>();
  for (const edge of edges) {
    const [source, target] = [inside.get(edge.source), inside.get(edge.target)];
    if (!source && !target) {
      kept.push(edge);
      continue;
    }
    // What goes on inside a collapsed group is not drawn.
    if (source === target) continue;
    const ends = `${source ?? edge.source}>${target ?? edge.target}`;
    const list = merged.get(ends);
    if (list) list.push(edge);
    else merged.set(ends, [edge]);
  }
  for (const parts of merged.values()) {
    const [first] = parts;
    if (first) kept.push(mergedEdge(inside.get(first.source) ?? first.source, inside.get(first.target) ?? first.target, parts));
  }
  return kept;
}

/** One edge for several calls: sums of what adds up, the worst of what does not. */
function mergedEdge(source: string, target: string, parts: MapEdge[]): MapEdge {
  const protocols = [...new Set(parts.map((edge) => edge.protocol))];
  const requests = total(parts.map((edge) => edge.requests));
  const errors = total(parts.map((edge) => edge.errors));
  const worst = [...parts].sort(worstFirst);
  return {
    id: edgeId(source, target, "*"), source, target, parts: worst,
    protocol: protocols.length === 1 ? (protocols[0] ?? "") : protocols.slice(0, 3).map(protocolName).join(", "),
    status: worst[0]?.status ?? "unknown",
    reasons: worst.flatMap((edge) => edge.reasons).slice(0, MOST_REASONS),
    requests, errors, rate: total(parts.map((edge) => edge.rate)), errorRatio: requests ? (errors ?? 0) / requests : null,
    p95: most(parts.map((edge) => edge.p95)),
    client: sideOf(parts.flatMap((edge) => edge.client ?? [])), server: sideOf(parts.flatMap((edge) => edge.server ?? [])),
    tls: tlsOf(parts.flatMap((edge) => edge.tls ?? [])),
    network: waitingOf(parts.flatMap((edge) => edge.network ?? [])), queue: waitingOf(parts.flatMap((edge) => edge.queue ?? [])),
    networkOrQueue: waitingOf(parts.flatMap((edge) => edge.networkOrQueue ?? [])),
    failedConnects: added(parts.map((edge) => edge.failedConnects)), retransmits: parts.reduce((sum, edge) => sum + edge.retransmits, 0),
    attributes: {}, firstSeen: parts.every((edge) => edge.firstSeen !== null) ? (worst[0]?.firstSeen ?? null) : null,
    ...differing(parts),
  };
}

function tlsOf(all: EdgeTls[]): EdgeTls | null {
  if (all.length === 0) return null;
  const side = (of: "client" | "server") => sideOf(all.flatMap((one) => one[of] ?? []));
  return { rate: total(all.map((one) => one.rate)), client: side("client"), server: side("server"), alerts: added(all.map((one) => one.alerts)), certificates: all.flatMap((one) => one.certificates) };
}

function total(values: (number | null)[]): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) : null;
}

export function added(all: Record<string, number>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, amount] of all.flatMap(Object.entries)) sums[name] = (sums[name] ?? 0) + amount;
  return sums;
}

function most(values: (number | null)[]): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length ? Math.max(...known) : null;
}

function sideOf(sides: Figures[]): Figures | null {
  if (sides.length === 0) return null;
  return {
    requests: total(sides.map((side) => side.requests)), errors: total(sides.map((side) => side.errors)),
    p50: most(sides.map((side) => side.p50)), p95: most(sides.map((side) => side.p95)), p99: most(sides.map((side) => side.p99)),
  };
}

const waitingOf = (all: Waiting[]): Waiting | null => (all.length ? { p50: most(all.map((one) => one.p50)), p95: most(all.map((one) => one.p95)) } : null);

/** A collapsed group as a node: what comes in from outside is what it serves. */
function nodeOf(group: Group, edges: MapEdge[]): MapNode {
  const incoming = edges.filter((edge) => edge.target === group.id);
  const requests = total(incoming.map((edge) => edge.requests));
  const errors = total(incoming.map((edge) => edge.errors));
  const lasts = group.members.map((node) => node.lastSeen);
  return {
    id: group.id, kind: "group", name: group.value, members: group.members, status: group.status, reasons: reasonsOf(group.members),
    requests, errors, rate: total(incoming.map((edge) => edge.rate)), errorRatio: requests ? (errors ?? 0) / requests : null,
    p50: null, p95: most(incoming.map((edge) => edge.p95)), p99: null, pulse: [], attributes: {}, made: null, firstSeen: null,
    lastSeen: lasts.every((last) => last !== null) ? most(lasts) : null,
    ...differing(group.members),
  };
}

function differing(parts: Judged[]): { difference?: Difference } {
  const difference = together(parts);
  return difference ? { difference } : {};
}

const reasonsOf = (members: MapNode[]): Reason[] =>
  members.filter((node) => isBad(node.status)).flatMap((node) => node.reasons.map((reason) => ({ ...reason, text: `${node.name}: ${reason.text}` }))).slice(0, MOST_REASONS);

/** The one figure beside a group's name: what is bad in it, else how many it holds. */
export function groupFigure(members: MapNode[]): { text: string; status: Status } {
  const differ = together(members)?.parts;
  const count = (status: Status) => members.filter((node) => node.status === status).length;
  const [critical, warning] = [count("critical"), count("warning")];
  if (critical) return { text: `${critical} critical`, status: "critical" };
  if (warning) return { text: `${warning} warning`, status: "warning" };
  if (members.every((node) => node.status === "no_data")) return { text: "no data", status: "no_data" };
  if (members.every(isGone)) return { text: "gone", status: "no_data" };
  return { text: differ ? `${differ} changed` : String(members.length), status: "ok" };
}

/** A group opens by itself only if it holds something critical and there is room; a single one is the map itself. */
export function opensByItself(groups: Group[], room: number): string[] {
  if (groups.length === 1) return groups.filter((group) => group.members.length <= room).map((group) => group.value);
  const critical = groups.filter((group) => group.status === "critical").sort((a, b) => a.members.length - b.members.length);
  const open: string[] = [];
  let left = room;
  for (const group of critical) {
    if (group.members.length > left) break;
    left -= group.members.length;
    open.push(group.value);
  }
  return open;
}

/** What stands on the map for something that is selected: its group, or the edge that its call is a part of. */
export function standsFor(selection: string, { topology, groups }: Grouped): string {
  const id = selection.slice(5);
  if (selection.startsWith("node:")) {
    const group = groups.find((one) => !one.isOpen && one.members.some((node) => node.id === id));
    return group ? `node:${group.id}` : selection;
  }
  const edge = selection ? topology.edges.find((one) => one.parts?.some((part) => part.id === id)) : undefined;
  return edge ? `edge:${edge.id}` : selection;
}

/** The groups that the address says are open; null while nobody has chosen. */
export function openOf(param: string): string[] | null {
  if (!param) return null;
  return param === "-" ? [] : param.split(",").slice(0, 200).map(decoded);
}

export const openParam = (values: string[]): string => values.map(encodeURIComponent).join(",") || "-";

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Grouping unset: none, but for a map that is too large to be seen without. */
export function groupingOf(param: string, topology: Topology | null): string {
  if (param) return param === "none" ? "" : param;
  if (!topology || topology.nodes.length <= LARGE) return "";
  return GROUPINGS.find((by) => {
    const amount = new Set(topology.nodes.map((node) => groupOf(node, by)).filter(Boolean)).size;
    return amount >= 2 && amount <= MOST_GROUPS;
  }) ?? "";
}

const LARGE = 300;
const MOST_GROUPS = 120;
