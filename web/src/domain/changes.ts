// What is different now from what was: who runs, what is called, by whom and how, newest and largest first.
import { figureChanges, written, type Figured } from "./difference";
import { rate } from "./format";
import { nameOf, protocolName, type MapEdge, type MapNode, type Neighbourhood } from "./topology";

export interface Run {
  id: string;
  name: string;
  start: number | null;
  end: number | null;
  attributes: Record<string, string>;
}

export interface Served {
  protocol: string;
  operation: string;
  resource: string;
  requests: number | null;
  rate: number | null;
  errorRatio: number | null;
  p95: number | null;
}

export interface Change {
  kind: "instance" | "operation" | "call" | "figure";
  text: string;
  /** When, where a moment is known. */
  at: number | null;
  /** The map's selection or the entity that shows it. */
  link: { edge?: string; entity?: string } | null;
}

const GONE_AFTER = 180;

/** Starts and ends of processes within the range. */
export function runChanges(runs: Run[], start: number, end: number): Change[] {
  const versions = new Map<string, number>();
  for (const run of runs) versions.set(run.attributes["service.version"] ?? "", run.start ?? 0);
  return runs.flatMap((run) => {
    const version = run.attributes["service.version"];
    const named = `${run.name}${version && versions.size > 1 ? `, version ${version}` : ""}`;
    const link = { entity: run.id };
    const started: Change[] = run.start !== null && run.start > start && run.start <= end ? [{ kind: "instance", text: `${named} started`, at: run.start, link }] : [];
    const gone: Change[] = run.end !== null && run.end < end - GONE_AFTER && run.end > start ? [{ kind: "instance", text: `${named} ended`, at: run.end, link }] : [];
    return [...started, ...gone];
  });
}

export const operationKey = (row: Pick<Served, "protocol" | "operation" | "resource">): string => [row.protocol, row.operation, row.resource].join("\u0000");
export const operationName = (row: Pick<Served, "operation" | "resource">): string =>
  (row.resource.startsWith(row.operation) && row.operation ? row.resource : [row.operation, row.resource].filter(Boolean).join(" ")) || "unnamed";

export function operationChanges(now: Served[], before: Served[]): Change[] {
  const known = new Map(before.map((row) => [operationKey(row), row]));
  const current = new Set(now.map(operationKey));
  const change = (text: string): Change => ({ kind: "operation", text, at: null, link: null });
  const fresh = now.filter((row) => !known.has(operationKey(row))).map((row) => change(`${operationName(row)} is new, ${rate(row.rate)}`));
  const gone = before.filter((row) => !current.has(operationKey(row))).map((row) => change(`${operationName(row)} is no longer called, it was ${rate(row.rate)}`));
  const other = now.flatMap((row) => {
    const past = known.get(operationKey(row));
    const differs = past ? figureChange(row, past) : null;
    return differs ? [change(`${operationName(row)}: ${differs}`)] : [];
  });
  return [...fresh, ...gone, ...other];
}

/** The largest difference between two views of the same, in words; null where there is none to speak of. */
export function figureChange(now: Figured, before: Figured): string | null {
  const [first] = figureChanges(now, before) ?? [];
  if (!first) return null;
  const value = written(first.figure, first.now);
  const named = first.figure === "failed" ? `${value} failed` : first.figure === "p95" ? `p95 ${value}` : value;
  return `${named}, before ${written(first.figure, first.before)}`;
}

/** Callers and callees that came, went, or behave otherwise. */
export function callChanges(id: string, now: Neighbourhood, before: Neighbourhood): Change[] {
  const edges = (of: Neighbourhood) => [...(of.incoming.get(id) ?? []), ...(of.outgoing.get(id) ?? [])].filter((edge) => (edge.requests ?? 0) > 0);
  const past = new Map(edges(before).map((edge) => [edge.id, edge]));
  const current = new Map(edges(now).map((edge) => [edge.id, edge]));
  const words = (edge: MapEdge, of: Neighbourhood) =>
    edge.source === id ? `calls ${nameOf(edge.target, of.byId)} (${protocolName(edge.protocol)})` : `${nameOf(edge.source, of.byId)} calls it (${protocolName(edge.protocol)})`;
  const call = (edge: MapEdge, text: string): Change => ({ kind: "call", text, at: null, link: { edge: edge.id } });
  const fresh = [...current.values()].filter((edge) => !past.has(edge.id)).map((edge) => call(edge, `${words(edge, now)}: new`));
  const gone = [...past.values()].filter((edge) => !current.has(edge.id)).map((edge) => call(edge, `${words(edge, before)}: no longer`));
  const other = [...current.values()].flatMap((edge) => {
    const was = past.get(edge.id);
    const differs = was ? figureChange(edge, was) : null;
    return differs ? [call(edge, `${words(edge, now)}: ${differs}`)] : [];
  });
  return [...fresh, ...gone, ...other];
}

export function nodeChange(now: MapNode | undefined, before: MapNode | undefined): Change[] {
  const differs = now && before ? figureChange(now, before) : null;
  return differs ? [{ kind: "figure", text: `All requests: ${differs}`, at: null, link: null }] : [];
}
