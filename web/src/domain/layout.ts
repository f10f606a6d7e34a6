// Where things stand on the map. A whole layout is computed once per level (components/map/layout.worker.ts) and then
// pinned: on refresh nothing moves, a new node takes the free slot nearest to its neighbours. Units are pixels at
// scale 1; the view scales x and y apart.
import { grouped } from "./groups";
import { groupHeight } from "./expand";
import type { MapEdge, MapNode, Topology } from "./topology";
import { isHub, neighbourhood } from "./topology";

export interface Point {
  x: number;
  y: number;
}
/** Middle of each node by id, the bends of edges that pass a rank, and where the members of groups stand in their own. */
export interface Layout {
  nodes: Record<string, Point>;
  bends: Record<string, Point[]>;
  inner: Record<string, Point>;
}

export const PITCH_X = 188;
export const PITCH_Y = 156;
const DOCK_GAP = 128;

/** What the worker gets: only the part that has edges. Hubs and lonely nodes are docked below it. */
export interface LayoutInput {
  nodes: string[];
  edges: { id: string; source: string; target: string }[];
  /** Of nodes that are higher than others: collapsed groups. */
  heights?: Record<string, number>;
  /** The insides of the groups, each laid out for itself. */
  insides?: LayoutInput[];
}

export interface Split {
  input: LayoutInput;
  docked: string[];
}

/** A grouped map: the groups collapsed, and each group's inside. */
export function splitGroups(topology: Topology, by: string): Split {
  const { topology: collapsed, groups } = grouped(topology, by, new Set());
  const { input, docked } = split(collapsed);
  const inside = new Map(groups.flatMap((group, at) => group.members.map((node) => [node.id, at] as const)));
  const insides: LayoutInput[] = groups.map((group) => ({ nodes: group.members.map((node) => node.id), edges: [] }));
  for (const { id, source, target } of topology.edges) {
    const at = inside.get(source);
    if (at !== undefined && at === inside.get(target) && source !== target) insides[at]?.edges.push({ id, source, target });
  }
  const heights = Object.fromEntries(groups.map((group) => [group.id, groupHeight(group.members.length)]));
  return { input: { ...input, heights, insides }, docked };
}

export function split(topology: Topology): Split {
  const around = neighbourhood(topology);
  const hubs = new Set<string>();
  for (const node of topology.nodes) {
    if (isHub(node, around.incoming.get(node.id) ?? []) && !(around.outgoing.get(node.id) ?? []).length) hubs.add(node.id);
  }
  const edges = topology.edges.filter((edge) => drawable(edge, hubs, around.byId));
  const linked = new Set(edges.flatMap((edge) => [edge.source, edge.target]));
  const nodes = topology.nodes.filter((node) => linked.has(node.id)).map((node) => node.id);
  const docked = topology.nodes.filter((node) => !linked.has(node.id)).map((node) => node.id);
  return { input: { nodes, edges: edges.map(({ id, source, target }) => ({ id, source, target })) }, docked };
}

function drawable(edge: MapEdge, hubs: Set<string>, byId: Map<string, MapNode>): boolean {
  return edge.source !== edge.target && !hubs.has(edge.target) && byId.has(edge.source) && byId.has(edge.target);
}

/** Docked nodes stand in rows under the rest. */
export function dock(layout: Layout, docked: string[], heights: Record<string, number> = {}): Layout {
  if (docked.length === 0) return layout;
  const pitch = Math.max(110, ...docked.map((id) => (heights[id] ?? 0) + 40));
  const box = bounds(Object.values(layout.nodes));
  const perRow = Math.max(5, Math.ceil(Math.sqrt(docked.length)), Math.floor((box.right - box.left) / PITCH_X) + 1);
  const nodes = { ...layout.nodes };
  const top = Object.keys(layout.nodes).length ? box.bottom + DOCK_GAP : 0;
  docked.forEach((id, index) => {
    const inRow = Math.min(perRow, docked.length - Math.floor(index / perRow) * perRow);
    const middle = (box.left + box.right) / 2 - ((inRow - 1) * PITCH_X) / 2;
    nodes[id] = { x: middle + (index % perRow) * PITCH_X, y: top + Math.floor(index / perRow) * pitch };
  });
  return { ...layout, nodes };
}

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export function bounds(points: Point[]): Box {
  if (points.length === 0) return { left: 0, right: 0, top: 0, bottom: 0 };
  const box = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  for (const { x, y } of points) {
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  return box;
}

/** New nodes that would not be a change but a new picture: then it is laid out anew. */
export function needsNewLayout(pinned: Layout, topology: Topology): boolean {
  const known = topology.nodes.filter((node) => pinned.nodes[node.id]).length;
  return topology.nodes.length - known > Math.max(1, known * 0.34);
}

/** Pinned positions for everything: what is known stays, what is new takes a free slot. */
export function place(pinned: Layout, topology: Topology): Layout {
  const missing = topology.nodes.filter((node) => !pinned.nodes[node.id]);
  if (missing.length === 0) return pinned;
  const nodes = { ...pinned.nodes };
  for (const node of missing) nodes[node.id] = freeSlot(nodes, node.id, topology.edges);
  return { ...pinned, nodes };
}

/** The same for the insides of groups: what is new in one stands near what it talks to there. */
export function placeInside(pinned: Layout, topology: Topology, by: string): Layout {
  const missing = grouped(topology, by, new Set()).groups.map((group) => group.members.filter((node) => !pinned.inner[node.id]).map((node) => [node.id, group] as const)).flat();
  if (missing.length === 0) return pinned;
  const inner = { ...pinned.inner };
  for (const [id, group] of missing) {
    const there = Object.fromEntries(group.members.flatMap((node) => (inner[node.id] ? [[node.id, inner[node.id] as Point]] : [])));
    inner[id] = Object.keys(there).length ? freeSlot(there, id, topology.edges) : { x: 0, y: 0 };
  }
  return { ...pinned, inner };
}

function freeSlot(nodes: Record<string, Point>, id: string, edges: MapEdge[]): Point {
  const callers = edges.filter((edge) => edge.target === id).flatMap((edge) => nodes[edge.source] ?? []);
  const callees = edges.filter((edge) => edge.source === id).flatMap((edge) => nodes[edge.target] ?? []);
  const taken = Object.values(nodes);
  const box = bounds(taken);
  const around = [...callers, ...callees];
  const x = around.length ? median(around.map((point) => point.x)) : (box.left + box.right) / 2;
  let y = box.bottom + PITCH_Y;
  if (callers.length) y = Math.max(...callers.map((point) => point.y)) + PITCH_Y;
  else if (callees.length) y = Math.min(...callees.map((point) => point.y)) - PITCH_Y;
  return nearestFree(taken, { x, y });
}

export function nearestFree(taken: Point[], wanted: Point): Point {
  const isFree = (at: Point) =>
    taken.every((other) => Math.abs(other.x - at.x) >= PITCH_X * 0.98 || Math.abs(other.y - at.y) >= PITCH_Y * 0.6);
  for (let step = 0; step < 400; step += 1) {
    const side = step % 2 ? 1 : -1;
    const at = { x: wanted.x + side * Math.ceil(step / 2) * (PITCH_X / 2), y: wanted.y };
    if (isFree(at)) return at;
  }
  return wanted;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

/** A layout read back from the browser's own storage is input like any other. */
export function readLayout(text: string | null): Layout | null {
  if (!text) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("nodes" in value)) return null;
    const nodes: Record<string, Point> = {};
    for (const [id, point] of Object.entries(value.nodes as object)) {
      if (isPoint(point)) nodes[id] = { x: point.x, y: point.y };
    }
    const inner: Record<string, Point> = {};
    const inside = "inner" in value && typeof value.inner === "object" && value.inner ? value.inner : {};
    for (const [id, point] of Object.entries(inside)) if (isPoint(point)) inner[id] = { x: point.x, y: point.y };
    const bends: Record<string, Point[]> = {};
    const given = "bends" in value && typeof value.bends === "object" && value.bends ? value.bends : {};
    for (const [id, list] of Object.entries(given)) if (Array.isArray(list)) bends[id] = list.filter(isPoint);
    return { nodes, bends, inner };
  } catch {
    return null;
  }
}

const isPoint = (value: unknown): value is Point =>
  typeof value === "object" && value !== null && Number.isFinite((value as Point).x) && Number.isFinite((value as Point).y);
