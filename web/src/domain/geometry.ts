// From layout units to pixels: what is drawn at which scale, where an edge leaves and arrives, how wide it is.
import type { Box, Layout, Point } from "./layout";
import { PITCH_X } from "./layout";
import { groupHeight } from "./expand";
import { failedConnects, neverConnected, type MapEdge, type MapNode } from "./topology";

export type Detail = "full" | "compact" | "ring" | "mark";

export interface Plate {
  detail: Detail;
  width: number;
  height: number;
  scaleX: number;
  scaleY: number;
}

export interface View {
  /** Layout units to pixels, x and y apart. */
  scaleX: number;
  scaleY: number;
  offsetX: number;
  offsetY: number;
}

/** Zoom changes what is drawn, not the size of text. */
export function plateAt(scaleX: number, scaleY: number): Plate {
  const scales = { scaleX, scaleY };
  if (scaleX > 0.93 && scaleY > 0.66) return { detail: "full", width: Math.min(176, PITCH_X * scaleX - 12), height: 60, ...scales };
  // Narrower than this a small plate would show half a name.
  if (scaleX > 0.64 && scaleY > 0.4) {
    return { detail: "compact", width: Math.min(150, PITCH_X * scaleX - 10), height: 42, ...scales };
  }
  // Closer than this, rings would stand on the names above them.
  if (scaleX > 0.2 && scaleY > 0.28) return { detail: "ring", width: 30, height: 30, ...scales };
  return { detail: "mark", width: 9, height: 9, ...scales };
}

/** A collapsed group's plate: as much as there is room for, at least its name. */
export function groupSize(members: number, plate: Plate): Size {
  const width = Math.min(176, Math.max(14, PITCH_X * plate.scaleX - (plate.detail === "ring" || plate.detail === "mark" ? 6 : 12)));
  // At least one row of marks, but where nothing has room for more than a name.
  const least = plate.detail === "mark" ? 14 : Math.min(groupHeight(members), 38);
  return { width, height: Math.max(least, groupHeight(members) * Math.min(1, plate.scaleY)) };
}

export interface Size {
  width: number;
  height: number;
}

const MARGIN = { top: 46, bottom: 94 };
const RING_SIDE = 36;

/** The picture fills the window: both scales as large as fit, never so large that little stands in much. */
export function fit(box: Box, size: Size, hasGroups = false): View {
  const top = size.width < 500 ? 26 : MARGIN.top;
  const height = Math.max(60, size.height - top - MARGIN.bottom);
  const scaleY = Math.min(1.12, height / Math.max(1, box.bottom - box.top));
  const scaleX = Math.min(1.1, widthScale(box.right - box.left, size.width, scaleY, hasGroups));
  return {
    scaleX,
    scaleY,
    offsetX: size.width / 2 - ((box.left + box.right) / 2) * scaleX,
    offsetY: top + Math.max(0, (height - (box.bottom - box.top) * scaleY) / 3) - box.top * scaleY,
  };
}

/** The largest scale at which whole plates fit; rings need less room beside them than plates do. */
function widthScale(length: number, width: number, scaleY: number, hasGroups: boolean): number {
  const ofPlates = (width - 8) / (length + PITCH_X);
  // A group stays a plate where nodes are rings.
  if (hasGroups) return ofPlates;
  const { detail } = plateAt(Math.min(1.1, ofPlates), scaleY);
  if (detail === "full" || detail === "compact") return ofPlates;
  const ofRings = Math.max(60, width - 2 * RING_SIDE) / Math.max(1, length);
  // Not so wide that plates come back, which would stick out.
  return plateAt(ofRings, scaleY).detail === "compact" ? 0.64 : ofRings;
}

export const toScreen = (point: Point, view: View): Point => ({
  x: point.x * view.scaleX + view.offsetX,
  y: point.y * view.scaleY + view.offsetY,
});

/** Zoom about a point that stays where it is. */
export function zoomAt(view: View, factor: number, about: Point): View {
  const most = 2.5 / Math.max(view.scaleX, view.scaleY);
  const least = 0.03 / Math.min(view.scaleX, view.scaleY);
  const by = Math.min(most, Math.max(least, factor));
  return {
    scaleX: view.scaleX * by,
    scaleY: view.scaleY * by,
    offsetX: about.x - (about.x - view.offsetX) * by,
    offsetY: about.y - (about.y - view.offsetY) * by,
  };
}

export const bandWidth = (rate: number | null): number => (rate && rate > 0 ? 2 + 2.6 * Math.log10(1 + rate) : 0);

/** In a critical edge the core says the share of failed requests. */
/** Of all that was tried: connects that failed never became requests. */
function failedShare(edge: MapEdge): number {
  const connects = neverConnected(edge) ? 0 : failedConnects(edge);
  const all = (edge.requests ?? 0) + connects;
  return connects > 0 && all > 0 ? ((edge.errors ?? 0) + connects) / all : (edge.errorRatio ?? 0);
}

export function coreWidth(edge: MapEdge): number {
  if (edge.status === "critical") return Math.max(2.2, bandWidth(edge.rate) * Math.sqrt(failedShare(edge)));
  return edge.status === "warning" ? 2 : 1.3;
}

/** A drawn edge: its path and the points on it that carry labels and signs. */
export interface Route {
  /** As in SVG. Made when it is asked for: a canvas draws the curves themselves. */
  readonly path: string;
  cubics: Cubic[];
  start: Point;
  end: Point;
  at: (share: number) => Point;
}

export interface Cubic {
  from: Point;
  c1: Point;
  c2: Point;
  to: Point;
}

const ARROW = 7;

export interface Port {
  /** From the middle of the plate's side; of a call to itself, up or down from the plate's middle. */
  out: number;
  in: number;
}

const LOOP_PITCH = 20;

/** Ends of edges are spread over a plate's side in the order of what they lead to, so that they do not cross there. */
export function ports(all: MapEdge[], layout: Layout, plate: Plate): Map<string, Port> {
  const result = new Map<string, Port>();
  for (const edge of all) result.set(edge.id, { out: 0, in: 0 });
  const edges = all.filter((edge) => edge.source !== edge.target);
  for (const list of groupBy(all.filter((edge) => edge.source === edge.target), (edge) => edge.source).values()) {
    list.forEach((edge, index) => result.set(edge.id, { out: (index - (list.length - 1) / 2) * LOOP_PITCH, in: 0 }));
  }
  const spread = (key: "source" | "target", other: "target" | "source", end: "out" | "in") => {
    for (const list of groupBy(edges, (edge) => edge[key]).values()) {
      const order = (edge: MapEdge) => (nearBend(edge, key, layout) ?? layout.nodes[edge[other]])?.x ?? 0;
      const sorted = [...list].sort((a, b) => order(a) - order(b) || a.id.localeCompare(b.id));
      const step = Math.min(26, (plate.width - 30) / Math.max(1, sorted.length));
      sorted.forEach((edge, index) => {
        const port = result.get(edge.id);
        if (port) port[end] = (index - (sorted.length - 1) / 2) * Math.max(3, step);
      });
    }
  };
  spread("source", "target", "out");
  spread("target", "source", "in");
  return result;
}

function nearBend(edge: MapEdge, key: "source" | "target", layout: Layout): Point | undefined {
  const bends = layout.bends[edge.id];
  return key === "source" ? bends?.[0] : bends?.at(-1);
}

export function groupBy<T>(list: T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** How far a node reaches from its middle. Under a ring stands its name, so edges leave below that. */
export interface Extent {
  top: number;
  bottom: number;
  side: number;
}

export function extentOf(node: MapNode | undefined, plate: Plate): Extent {
  if (node?.members) {
    const { width, height } = groupSize(node.members.length, plate);
    return { top: height / 2, bottom: height / 2, side: width / 2 };
  }
  if (plate.detail === "ring") return { top: 15, bottom: 31, side: 15 };
  const half = plate.detail === "full" && node?.kind === "clients" ? 17 : plate.height / 2;
  return { top: half, bottom: half, side: plate.width / 2 };
}

export interface End {
  at: Point;
  extent: Extent;
}

export function route(from: End, to: End, bends: Point[], port: Port): Route {
  if (from.at.x === to.at.x && from.at.y === to.at.y) return trace(loop(from, port.out));
  const start = { x: from.at.x + port.out, y: from.at.y + from.extent.bottom };
  const end = { x: to.at.x + port.in, y: to.at.y - to.extent.top - ARROW - 1 };
  // Where ranks stand close, a line begins under the ring itself and passes behind its name.
  if (end.y - start.y < 10) start.y = from.at.y + from.extent.top;
  if (end.y - start.y < 8) return trace(sideways(from, to));
  const inner = bends.filter((bend) => bend.y > start.y + 8 && bend.y < end.y - 8);
  return trace(chain([start, ...inner, end]));
}

/** Vertical tangents at every point: lines leave, pass and arrive upright. */
function chain(points: Point[]): Cubic[] {
  const cubics: Cubic[] = [];
  for (let index = 1; index < points.length; index += 1) {
    const from = points[index - 1];
    const to = points[index];
    if (!from || !to) continue;
    const rise = to.y - from.y;
    const [first, second] = points.length === 2 ? [0.36, 0.72] : [0.45, 0.55];
    cubics.push({ from, to, c1: { x: from.x, y: from.y + rise * first }, c2: { x: to.x, y: to.y - rise * second } });
  }
  return cubics;
}

/** To the same rank: across. Back up: out at the side and in at the same side of the callee, round what is between. */
function sideways(from: End, to: End): Cubic[] {
  const sign = to.at.x >= from.at.x ? 1 : -1;
  const back = to.at.y < from.at.y - 20;
  const start = { x: from.at.x + sign * from.extent.side, y: from.at.y };
  const enter = back ? sign : -sign;
  const end = { x: to.at.x + enter * (to.extent.side + ARROW + 1), y: to.at.y };
  const bow = back ? 56 : Math.max(16, Math.abs(end.x - start.x) * 0.4);
  return [{ from: start, c1: { x: start.x + sign * bow, y: start.y }, c2: { x: end.x + enter * bow, y: end.y }, to: end }];
}

function loop({ at, extent }: End, offset: number): Cubic[] {
  const x = at.x + extent.side;
  const y = at.y + offset;
  return [{ from: { x, y: y - 6 }, c1: { x: x + 44, y: y - 14 }, c2: { x: x + 44, y: y + 14 }, to: { x: x + ARROW + 1, y: y + 6 } }];
}

function trace(cubics: Cubic[]): Route {
  const first = cubics[0];
  const last = cubics.at(-1);
  const origin = { x: 0, y: 0 };
  const at = (share: number): Point => {
    const position = Math.min(0.9999, Math.max(0, share)) * cubics.length;
    const cubic = cubics[Math.floor(position)];
    return cubic ? pointOf(cubic, position % 1) : origin;
  };
  return {
    get path() {
      return pathOf(cubics);
    },
    cubics, start: first?.from ?? origin, end: last?.to ?? origin, at,
  };
}

function pathOf(cubics: Cubic[]): string {
  const n = (value: number) => value.toFixed(1);
  const first = cubics[0];
  const head = first ? `M${n(first.from.x)} ${n(first.from.y)}` : "";
  return head + cubics.map((c) => `C${n(c.c1.x)} ${n(c.c1.y)} ${n(c.c2.x)} ${n(c.c2.y)} ${n(c.to.x)} ${n(c.to.y)}`).join("");
}

function pointOf({ from, c1, c2, to }: Cubic, t: number): Point {
  const u = 1 - t;
  const mix = (a: number, b: number, c: number, d: number) => u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
  return { x: mix(from.x, c1.x, c2.x, to.x), y: mix(from.y, c1.y, c2.y, to.y) };
}

/** The direction of the arrow head at the end of a route, in degrees; 0 points down. */
export function arrowAngle(route: Route): number {
  const before = route.at(0.97);
  const angle = Math.atan2(route.end.y - before.y, route.end.x - before.x) * (180 / Math.PI) - 90;
  return Math.round(angle / 5) * 5;
}
