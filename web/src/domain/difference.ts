// What is different on the map from the time it is compared with: each node and each edge says so itself, and what is
// no longer there stays on the map as something that is gone.
import { milliseconds, rate, share, type Maybe } from "./format";
import { ratioText } from "./compare";
import type { Judged, MapEdge, MapNode, Topology } from "./topology";

/** A figure that is half as large again or less than two thirds is a change; less is weather. */
const RATIO = 1.5;
/** Of failures a hundredth more or less counts. */
const FAILED = 0.01;
const LEAST_REQUESTS = 20;

export interface Figured {
  requests: number | null;
  rate: number | null;
  errorRatio: number | null;
  p95: number | null;
}

export type FigureName = "failed" | "p95" | "rate";

export interface FigureChange {
  figure: FigureName;
  now: number | null;
  before: number | null;
  isMore: boolean;
}

export interface Difference {
  /** `few`: there were too few requests, now or then, to say anything. */
  kind: "new" | "gone" | "changed" | "same" | "few";
  changes: FigureChange[];
  /** The figures of then; null for what was not there. */
  before: Figured | null;
  /** Of a group, and of calls that are drawn as one: how many differ. */
  parts?: number;
}

/** What differs between two views of the same, what matters most first; null where too little is known. */
export function figureChanges(now: Figured, before: Figured): FigureChange[] | null {
  if ((now.requests ?? 0) < LEAST_REQUESTS || (before.requests ?? 0) < LEAST_REQUESTS) return null;
  const changes: FigureChange[] = [];
  const failed = (now.errorRatio ?? 0) - (before.errorRatio ?? 0);
  if (Math.abs(failed) >= FAILED) changes.push({ figure: "failed", now: now.errorRatio, before: before.errorRatio, isMore: failed > 0 });
  for (const figure of ["p95", "rate"] as const) {
    const [a, b] = [now[figure], before[figure]];
    if (a && b && Math.max(a / b, b / a) >= RATIO) changes.push({ figure, now: a, before: b, isMore: a > b });
  }
  return changes;
}

const WRITTEN: Record<FigureName, (value: Maybe) => string> = { failed: share, p95: milliseconds, rate };
export const written = (figure: FigureName, value: Maybe): string => WRITTEN[figure](value);

/** "p95 ↑ 21×", "failed 0 → 18 %": what has changed, which way and how far. */
export function changeText({ figure, now, before, isMore }: FigureChange): string {
  if (figure === "failed") return `failed ${share(before)} → ${share(now)}`;
  return `${figure} ${isMore ? "↑" : "↓"} ${ratioText(now, before) ?? ""}`;
}

/** For what the change itself does not say already. */
export const beforeText = ({ figure, before }: FigureChange): string => (figure === "failed" ? "" : `was ${written(figure, before)}`);

/** The largest change in a few words; "" for what is as it was. */
export function differenceText(difference: Difference | undefined): string {
  if (difference?.parts) return `${difference.parts} changed`;
  const [first] = difference?.changes ?? [];
  if (difference?.kind === "new" || difference?.kind === "gone") return difference.kind;
  return first ? changeText(first) : "";
}

const SIGNS: Partial<Record<Difference["kind"], string>> = { new: "+", gone: "−" };

/** One character: came, went, more, less; "" for what is as it was. */
export function changeSign(difference: Difference | undefined): string {
  const [first] = difference?.changes ?? [];
  return SIGNS[difference?.kind ?? "same"] ?? (first ? (first.isMore ? "↑" : "↓") : "");
}

/** What has not changed, as far as is known. */
export const isPale = (difference: Difference | undefined): boolean => difference?.kind === "same" || difference?.kind === "few";

export const isGoneSince = (thing: Judged): boolean => thing.difference?.kind === "gone";

/** Those that only call are known by what they call. */
export function figuredNode(node: MapNode): Figured {
  return node.made ? { ...node.made } : node;
}

function differenceOf(now: Figured, before: Figured | undefined): Difference {
  if (!before) return { kind: "new", changes: [], before: null };
  const changes = figureChanges(now, before);
  return { kind: changes === null ? "few" : changes.length ? "changed" : "same", changes: changes ?? [], before };
}

/** The map as it is, with what it differs by from then; null where of then nothing is known. */
export function compared(now: Topology, then: Topology): Topology | null {
  if (then.nodes.length === 0) return null;
  const [nodesThen, edgesThen] = [byId(then.nodes), byId(then.edges.filter(isUsed))];
  const nodes = now.nodes.map((node) => {
    const before = nodesThen.get(node.id);
    return { ...node, difference: differenceOf(figuredNode(node), before && figuredNode(before)) };
  });
  const edges = now.edges.map((edge) => ({ ...edge, difference: differenceOf(edge, edgesThen.get(edge.id)) }));
  const [nodesNow, edgesNow] = [byId(now.nodes), byId(now.edges)];
  const goneNodes = then.nodes.filter((node) => !nodesNow.has(node.id)).map((node): MapNode => ({ ...gone(node, figuredNode(node)), p50: null, p99: null, pulse: [], made: null, firstSeen: null, lastSeen: null }));
  const goneEdges = then.edges.filter((edge) => isUsed(edge) && !edgesNow.has(edge.id)).map((edge): MapEdge => ({ ...gone(edge, edge), client: null, server: null, tls: null, network: null, queue: null, networkOrQueue: null, firstSeen: null, failedConnects: {}, retransmits: 0 }));
  return { nodes: [...nodes, ...goneNodes], edges: [...edges, ...goneEdges] };
}

const isUsed = (edge: MapEdge): boolean => (edge.requests ?? 0) > 0;
const byId = <T extends { id: string }>(things: T[]): Map<string, T> => new Map(things.map((thing) => [thing.id, thing]));

/** It stands where it stood, without figures of its own. */
function gone<T extends Judged>(thing: T, { requests, rate: perSecond, errorRatio, p95 }: Figured): T {
  const before = { requests, rate: perSecond, errorRatio, p95 };
  return { ...thing, status: "ok", reasons: [], requests: null, errors: null, rate: null, errorRatio: null, p95: null, difference: { kind: "gone", changes: [], before } };
}

/** What came, what went and what behaves otherwise, in this order of weight within each kind. */
const WEIGHT: Record<FigureName, number> = { failed: 2, p95: 1, rate: 0 };

/** Larger for what differs more, so that lists and tables can be ordered by it; null for what is as it was. */
export function weightOf(difference: Difference | undefined): number | null {
  if (!difference || isPale(difference)) return null;
  if (difference.kind === "new" || difference.kind === "gone") return 4e6 + (difference.kind === "new" ? 1 : 0);
  const [first] = difference.changes;
  if (!first) return null;
  const far = first.figure === "failed" ? Math.abs((first.now ?? 0) - (first.before ?? 0)) * 100 : Math.abs(Math.log2((first.now ?? 1) / (first.before ?? 1)));
  return WEIGHT[first.figure] * 1e6 + far;
}

/** What several together differ by, as far as it can be said in a number. */
export function together(things: Judged[]): Difference | undefined {
  const all = things.flatMap((thing) => thing.difference ?? []);
  const [first] = all;
  if (!first) return undefined;
  const differ = all.filter((one) => !isPale(one)).length;
  if (differ === 0) return { kind: "same", changes: [], before: null };
  const alike = first.kind !== "changed" && all.every((one) => one.kind === first.kind);
  return { kind: alike ? first.kind : "changed", changes: [], before: null, ...(!alike && { parts: differ }) };
}
