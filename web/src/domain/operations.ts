// What an edge carries, by operation: rates by result, p95, and what the failed ones answered.
import type { MapEdge, Neighbourhood } from "./topology";
import { serviceParts } from "./topology";
import type { Matchers } from "./promql";

interface Sample {
  labels: Record<string, string>;
  value: number | null;
}

export interface Carried {
  name: string;
  rate: number;
  errorRatio: number;
  p95: number | null;
  /** Results of the failed ones, the most frequent first. */
  codes: string[];
}

const MOST_CODES = 3;
const nameOf = ({ operation = "", resource = "" }: Record<string, string>): string => (resource.startsWith(operation) && operation ? resource : [operation, resource].filter(Boolean).join(" ")) || "unnamed";

const DNS_RESULTS: Record<string, string> = { 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH" };
const resultName = (protocol: string, code: string): string => (protocol === "dns" ? (DNS_RESULTS[code] ?? code) : code);

/** Failing first, then slow. */
export function carried(rates: Sample[], p95s: Sample[], protocol = ""): Carried[] {
  const slow = new Map(p95s.map((one) => [nameOf(one.labels), one.value]));
  const found = new Map<string, { total: number; failed: number; codes: Map<string, number> }>();
  for (const { labels, value } of rates) {
    const name = nameOf(labels);
    const sum = found.get(name) ?? { total: 0, failed: 0, codes: new Map() };
    found.set(name, sum);
    sum.total += value ?? 0;
    if (labels["status"] === "ok" || !value) continue;
    sum.failed += value;
    const code = labels["status"] === "unanswered" ? "no answer" : resultName(protocol, labels["code"] ?? "");
    if (code) sum.codes.set(code, (sum.codes.get(code) ?? 0) + value);
  }
  const list = [...found].filter(([, sum]) => sum.total > 0).map(([name, sum]): Carried => {
    const seconds = slow.get(name);
    const codes = [...sum.codes].sort((a, b) => b[1] - a[1]).map(([code]) => code).slice(0, MOST_CODES);
    return { name, rate: sum.total, errorRatio: sum.failed / sum.total, p95: seconds === null || seconds === undefined ? null : seconds * 1000, codes };
  });
  return list.sort((a, b) => b.errorRatio - a.errorRatio || (b.p95 ?? 0) - (a.p95 ?? 0));
}

/** The same rows, their rates as parts of what the map says of the whole edge: it knows for how long it was watched. */
export function partsOf(rows: Carried[], whole: number | null): Carried[] {
  const sum = rows.reduce((total, row) => total + row.rate, 0);
  return whole === null || sum === 0 ? rows : rows.map((row) => ({ ...row, rate: (row.rate / sum) * whole }));
}

/** Series have a peer's address, also where the map has found its name. */
function addressesOf(edge: MapEdge): string[] {
  const parts = (name: string) => [...new Set((edge.attributes[name] ?? "").split(",").filter(Boolean))];
  return parts("server.address").flatMap((address) => parts("server.port").map((port) => `${address}:${port}`));
}

/** A callee by its name, and by its address in those series that do not know the name. */
function calleeOf(edge: MapEdge, service: string | undefined): Matchers {
  const all = addressesOf(edge);
  if (service) return all.length ? { peer: [service, ""], peer_address: [...all, ""] } : { peer: service };
  const named = edge.target.replace(/^external:/, "");
  return { peer_address: all.length === 0 || all.includes(named) ? named : all.length === 1 ? (all[0] ?? named) : all };
}

/** The labels that say this edge, as one side saw it; null where that side is not watched or has no name. */
export function edgeMatchers(edge: MapEdge, side: "client" | "server", around: Neighbourhood): Matchers | null {
  const source = serviceParts(edge.source)?.name;
  const target = serviceParts(edge.target)?.name;
  if (side === "client") {
    if (!edge.client || !source) return null;
    return { service: source, ...calleeOf(edge, target), protocol: edge.protocol, side };
  }
  if (!edge.server || !target) return null;
  const isClients = around.byId.get(edge.source)?.kind === "clients";
  return source ? { service: target, peer: source, protocol: edge.protocol, side } : isClients ? { service: target, peer: "", protocol: edge.protocol, side } : null;
}

/** The share of a service's time that each callee takes, the largest first, itself included. */
export interface Spent {
  name: string;
  protocol: string;
  share: number;
}

export interface Where {
  parts: Spent[];
  /** Calls run side by side: together they take longer than the requests that wait for them. */
  parallel: boolean;
  /** Mean seconds of a request, whole. */
  total: number;
}

export function whereTime(total: number | null, calls: Sample[]): Where | null {
  if (total === null || !(total > 0)) return null;
  const callees = calls
    .filter((one) => (one.value ?? 0) > 0)
    .map(({ labels, value }) => ({ name: labels["peer"] || labels["peer_address"] || "not known", protocol: labels["protocol"] ?? "", share: (value ?? 0) / total }));
  const waited = callees.reduce((sum, one) => sum + one.share, 0);
  const parallel = waited > 1.001;
  const own = { name: "itself", protocol: "", share: Math.max(0, 1 - waited) };
  const parts = [...callees, ...(parallel ? [] : [own])].sort((a, b) => b.share - a.share);
  return { parts, parallel, total };
}
