// From data, layout and view to what is drawn: visible edges with their routes, labels that fit, what is dimmed. Pure
// but for the widths of text.
import { bandWidth, extentOf, plateAt, ports, route, toScreen, type Plate, type Route, type Size, type View } from "../../domain/geometry";
import { isPale } from "../../domain/difference";
import { edgeMatches, nodeMatches, type Term } from "../../domain/filter";
import { shorten } from "../../domain/format";
import { lineBoxes, overlaps, placeLabels, type LabelWish, type PlacedLabel } from "../../domain/labels";
import type { Frame } from "../../domain/expand";
import { groupFigure } from "../../domain/groups";
import type { Box, Layout, Point } from "../../domain/layout";
import { deviates, isBad, severity, type Status } from "../../domain/status";
import { isHub, isNew, type MapEdge, type MapNode, type Neighbourhood, type Topology } from "../../domain/topology";
import { textWidth } from "../measure";
import { MARGIN } from "./margin";
import { labelLines, VIEW_LINE, viewLines, viewsWidth, type LabelLines } from "./edgeTexts";

export interface DrawnEdge {
  edge: MapEdge;
  route: Route;
  opacity: number | undefined;
}

export interface Scene {
  plate: Plate;
  nodes: { node: MapNode; at: Point; opacity: number | undefined }[];
  edges: DrawnEdge[];
  labels: { label: PlacedLabel; lines: LabelLines; opacity: number | undefined }[];
  /** Where the two views of a selected edge stand together, when it is too short to hold them along its line. */
  views: PlacedLabel | null;
  frames: DrawnFrame[];
  names: MarkName[];
  /** Where "new" stands on an edge. */
  tags: Point[];
}

export interface SceneInput {
  topology: Topology;
  around: Neighbourhood;
  layout: Layout;
  view: View;
  size: Size;
  terms: Term[];
  selection: string;
  /** Only these stay bright: up- or downstream of the selection. */
  reach: ReadonlySet<string> | null;
  frames: Frame[];
}

/** The name of something bad on a map of marks. */
export interface MarkName {
  node: MapNode;
  text: string;
  box: Box;
  opacity: number | undefined;
}

export interface DrawnFrame {
  id: string;
  value: string;
  figure: { text: string; status: Status };
  status: Status;
  box: Box;
}

/** What a filter leaves out, and what is as it was while the map is compared with another time. */
const DIM = 0.3;
const PALE = 0.5;

/** What needs attention is never pale. */
const opacityOf = (isBright: boolean, thing: MapNode | MapEdge): number | undefined =>
  !isBright ? DIM : isPale(thing.difference) && !deviates(thing.status) ? PALE : undefined;

const OUTSIDE = MARGIN;
const MOST_LINES = 120;

export function scene(input: SceneInput): Scene {
  const { topology, around, layout, view, size } = input;
  const plate = plateAt(view.scaleX, view.scaleY);
  const bright = (node: MapNode) => nodeMatches(input.terms, node, around) && (!input.reach || input.reach.has(node.id));
  const nodes = topology.nodes.flatMap((node) => {
    const at = layout.nodes[node.id];
    const point = at && toScreen(at, view);
    return point && isInside(point, size) ? [{ node, at: point, opacity: opacityOf(bright(node), node) }] : [];
  });
  if (plate.detail === "mark") nodes.sort((a, b) => severity(b.node.status) - severity(a.node.status));
  const edges = drawnEdges(input, plate);
  const frames = drawnFrames(input, plate);
  const placed = drawnLabels(input, plate, nodes, edges, frames);
  return { plate, nodes, edges, frames, names: plate.detail === "mark" ? markNames(nodes, size) : [], tags: newTags(input, plate, nodes, edges, placed.labels), ...placed };
}

const MOST_NAMES = 400;

/** Beside marks only what deviates has a name, the worst first; one that would stand on another is left out. */
function markNames(nodes: Scene["nodes"], size: Size): MarkName[] {
  const bad = nodes.filter(({ node }) => isBad(node.status) && !node.members).sort((a, b) => severity(a.node.status) - severity(b.node.status)).slice(0, MOST_NAMES);
  const taken: Box[] = bad.map(({ at }) => around(at, 9));
  return bad.flatMap(({ node, at, opacity }) => {
    const text = shorten(node.name, 22);
    const width = textWidth(text, 11, 650) + 4;
    const sides = [at.x + 11, at.x - 11 - width];
    const left = sides.find((from) => {
      const box = { left: from, right: from + width, top: at.y - 8, bottom: at.y + 8 };
      return from >= 0 && from + width <= size.width && taken.every((other) => !overlaps(box, other));
    });
    if (left === undefined) return [];
    taken.push({ left, right: left + width, top: at.y - 8, bottom: at.y + 8 });
    return [{ node, text, box: taken.at(-1) as Box, opacity }];
  });
}

const FRAME = { head: 28, side: 10, foot: 12 };

/** Frames of open groups: as large as they are laid out, and never smaller than the plates in them. */
function drawnFrames({ frames, layout, view }: SceneInput, plate: Plate): DrawnFrame[] {
  return frames.map(({ group, box }) => {
    const [a, b] = [toScreen({ x: box.left, y: box.top }, view), toScreen({ x: box.right, y: box.bottom }, view)];
    const whole = { left: a.x, right: b.x, top: a.y, bottom: b.y };
    for (const node of group.members) {
      const at = layout.nodes[node.id];
      if (!at) continue;
      const { x, y } = toScreen(at, view);
      const { side, top, bottom } = extentOf(node, plate);
      whole.left = Math.min(whole.left, x - side - FRAME.side);
      whole.right = Math.max(whole.right, x + side + FRAME.side);
      whole.top = Math.min(whole.top, y - top - FRAME.head);
      whole.bottom = Math.max(whole.bottom, y + bottom + FRAME.foot);
    }
    return { id: group.id, value: group.value, status: group.status, figure: groupFigure(group.members), box: whole };
  });
}

const isInside = ({ x, y }: Point, size: Size): boolean => x > -OUTSIDE && y > -OUTSIDE && x < size.width + OUTSIDE && y < size.height + OUTSIDE;

/** Edges to a hub are drawn when it or the caller is selected, or when they have something to say. */
function isShown(edge: MapEdge, hubs: ReadonlySet<string>, selection: string, marks: boolean): boolean {
  if (isBad(edge.status) || selection === `edge:${edge.id}`) return true;
  const touches = selection === `node:${edge.source}` || selection === `node:${edge.target}`;
  if (marks) return touches;
  return touches || !hubs.has(edge.target);
}

export function hubsOf(topology: Topology, around: Neighbourhood): Set<string> {
  const isDocked = (node: MapNode) => isHub(node, around.incoming.get(node.id) ?? []) && !(around.outgoing.get(node.id) ?? []).length;
  return new Set(topology.nodes.filter(isDocked).map((node) => node.id));
}

export function drawnEdges({ topology, around, layout, view, size, selection, terms, reach }: SceneInput, plate: Plate): DrawnEdge[] {
  const hubs = hubsOf(topology, around);
  const shown = topology.edges.filter((edge) => layout.nodes[edge.source] && layout.nodes[edge.target] && isShown(edge, hubs, selection, plate.detail === "mark"));
  const port = ports(shown, layout, plate);
  const end = (id: string) => ({
    at: toScreen(layout.nodes[id] ?? { x: 0, y: 0 }, view),
    extent: extentOf(around.byId.get(id), plate),
  });
  const drawn: DrawnEdge[] = [];
  for (const edge of shown) {
    const from = end(edge.source);
    const to = end(edge.target);
    if (!crosses(from.at, to.at, size)) continue;
    const bends = (layout.bends[edge.id] ?? []).map((bend) => toScreen(bend, view));
    const inReach = !reach || (reach.has(edge.source) && reach.has(edge.target));
    const isBright = inReach && (terms.length === 0 || edgeMatches(terms, edge, around));
    drawn.push({ edge, route: route(from, to, bends, port.get(edge.id) ?? { out: 0, in: 0 }), opacity: opacityOf(isBright, edge) });
  }
  // What is bad is drawn last, over the rest.
  return drawn.sort((a, b) => severity(b.edge.status) - severity(a.edge.status));
}

function crosses(a: Point, b: Point, size: Size): boolean {
  const misses = Math.max(a.x, b.x) < -OUTSIDE || Math.min(a.x, b.x) > size.width + OUTSIDE;
  return !misses && Math.max(a.y, b.y) > -OUTSIDE && Math.min(a.y, b.y) < size.height + OUTSIDE;
}

function drawnLabels(input: SceneInput, plate: Plate, nodes: Scene["nodes"], edges: DrawnEdge[], frames: DrawnFrame[]): Pick<Scene, "labels" | "views"> {
  const lines = new Map<string, LabelLines>();
  const candidates = edges.filter(({ edge }) => {
    if (input.selection === `edge:${edge.id}`) return false;
    if (plate.detail === "ring" || plate.detail === "mark") return false;
    const touches = input.selection === `node:${edge.source}` || input.selection === `node:${edge.target}`;
    return plate.detail === "full" || isBad(edge.status) || touches || differs(edge);
  });
  const wishes: LabelWish[] = candidates.map(({ edge, route }) => {
    const line = labelLines(edge);
    lines.set(edge.id, line);
    const rank = (severity(edge.status) - Number(differs(edge))) * 1e6 - Math.min(1e5, edge.rate ?? 0);
    return { id: edge.id, route, width: line.width, band: bandWidth(edge.rate), priority: rank, required: isBad(edge.status) && !edge.parts };
  });
  const window: Box = { left: 2, right: input.size.width - 2, top: 2, bottom: input.size.height - 30 };
  const boxes = nodes.map(({ node, at }) => boxOf(node, at, plate));
  const signs = edges.filter(({ edge }) => isBad(edge.status)).map(({ route }) => around(route.at(0.5), 11));
  const selected = edges.find(({ edge }) => input.selection === `edge:${edge.id}`);
  const isLong = selected !== undefined && selected.route.end.y - selected.route.start.y > LONG;
  const views = selected && isLong ? [0.2, 0.52, 0.86].map((share) => around(selected.route.at(share), 60, 10)) : [];
  if (selected && !isLong) wishes.push(viewsWish(selected));
  const opacity = new Map(edges.map((drawn) => [drawn.edge.id, drawn.opacity]));
  // With hundreds of lines nothing would be free; then labels keep clear of plates and of each other only.
  const clear = new Map(edges.length > MOST_LINES ? [] : edges.map(({ edge, route }) => [edge.id, lineBoxes(route)] as const));
  const heads = frames.map(({ box, value }) => ({ left: box.left, right: Math.min(box.right, box.left + 90 + value.length * 7), top: box.top, bottom: box.top + 26 }));
  const placed = placeLabels(wishes, [...boxes, ...signs, ...views, ...heads], window, clear);
  const labels = placed.flatMap((label) => {
    const line = lines.get(label.id);
    return line ? [{ label, lines: line, opacity: opacity.get(label.id) }] : [];
  });
  return { labels, views: placed.find((label) => label.id === selected?.edge.id) ?? null };
}

function labelBox({ label: { x, y, anchor }, lines: { width } }: Scene["labels"][number]): Box {
  const left = anchor === "start" ? x : x - width;
  return { left, right: left + width, top: y - 26, bottom: y + 4 };
}

/** Half of the tag, with a little room. */
const TAG = { wide: 16, high: 9 };

/** On a plate, a label or another tag it could not be read: then further along its edge, or not at all. */
function newTags(input: SceneInput, plate: Plate, nodes: Scene["nodes"], edges: DrawnEdge[], labels: Scene["labels"]): Point[] {
  if (plate.detail === "mark") return [];
  const taken = [...nodes.map(({ node, at }) => boxOf(node, at, plate)), ...labels.map(labelBox)];
  return edges.filter(({ edge }) => isNew(edge) && !isBad(edge.status) && input.selection !== `edge:${edge.id}`).flatMap(({ route }) => {
    const at = [0.5, 0.36, 0.64].map((share) => route.at(share)).find((point) => taken.every((other) => !overlaps(around(point, TAG.wide, TAG.high), other)));
    if (!at) return [];
    taken.push(around(at, TAG.wide, TAG.high));
    return [at];
  });
}

const differs = ({ difference }: MapEdge): boolean => difference !== undefined && !isPale(difference);

/** Shorter than this, three texts along a line would stand on each other. */
const LONG = 120;

function viewsWish({ edge, route }: DrawnEdge): LabelWish {
  const lines = viewLines(edge);
  return { id: edge.id, route, width: viewsWidth(lines), band: bandWidth(edge.rate) + 8, priority: -1, required: true, height: lines.length * VIEW_LINE };
}

const around = ({ x, y }: Point, wide: number, high = wide): Box => ({ left: x - wide, right: x + wide, top: y - high, bottom: y + high });

function boxOf(node: MapNode, at: Point, plate: Plate): Box {
  const extent = extentOf(node, plate);
  return { left: at.x - extent.side - 3, right: at.x + extent.side + 3, top: at.y - extent.top - 3, bottom: at.y + extent.bottom + 3 };
}

/** Everything that calls, or is called by, a node, over any number of steps. */
export function reachOf(start: string, direction: "upstream" | "downstream", around: Neighbourhood): Set<string> {
  const seen = new Set([start]);
  const queue = [start];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const edges = (direction === "upstream" ? around.incoming : around.outgoing).get(id) ?? [];
    for (const edge of edges) {
      const next = direction === "upstream" ? edge.source : edge.target;
      if (seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  return seen;
}
