// The scene on a canvas: for maps with more plates than SVG can move. The same geometry, texts and signs as in SVG.
import { bandWidth, coreWidth, arrowAngle, groupSize, type Plate, type Route } from "../../domain/geometry";
import { GLYPHS } from "../../domain/glyphs";
import { isBad, tone, type Status } from "../../domain/status";
import { glyphOf, isGone, seenFromCallersOnly, type Glyph, type MapNode, type Neighbourhood } from "../../domain/topology";
import type { Point } from "../../domain/layout";
import { groupMarks, groupTexts, MARK, markOf, NARROW } from "./marks";
import { pulsePaths } from "./pulse";
import type { DrawnEdge, Scene } from "./scene";
import { plateTexts } from "./texts";

/** The tokens of the theme by name: a worker cannot ask the page for them. */
export type Colors = Record<string, string>;
export const COLOR_NAMES = ["bg", "surface", "line", "line-2", "ink", "ink-2", "ink-3", "accent", "ok", "warn", "warn-g", "warn-soft", "crit", "crit-g", "crit-soft", "on-crit", "none", "none-g", "edge", "flow", "p50"];

export interface Brush {
  pen: OffscreenCanvasRenderingContext2D;
  colors: Colors;
  family: string;
  around: Neighbourhood;
  selection: string;
}

const DIM = 0.25;
const color = (brush: Brush, name: string): string => brush.colors[name] ?? "#888";

export function paint(brush: Brush, scene: Scene): void {
  paintFrames(brush, scene);
  paintEdges(brush, scene.edges, scene.plate);
  for (const { node, at, dimmed } of scene.nodes) {
    brush.pen.save();
    brush.pen.translate(at.x, at.y);
    if (dimmed) brush.pen.globalAlpha = DIM;
    paintNode(brush, node, scene.plate);
    brush.pen.restore();
  }
  paintNewTags(brush, scene);
  for (const { node, text, box, dimmed } of scene.names) {
    brush.pen.globalAlpha = dimmed ? DIM : 1;
    brush.pen.fillStyle = color(brush, "bg");
    brush.pen.fillRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    write(brush, text, box.left + 2, box.bottom - 4, { size: 11, weight: 650, ink: inkOf(brush, node.status, "ink") });
  }
  for (const { label, lines, dimmed } of scene.labels) {
    brush.pen.globalAlpha = dimmed ? DIM : 1;
    const ink = (name: string, otherwise: string) => color(brush, name || otherwise);
    write(brush, lines.head, label.x, label.y - 14, { size: lines.headTone ? 12 : 11, weight: lines.headTone ? 650 : 400, ink: ink(lines.headTone, "ink-3"), align: label.anchor, halo: true });
    const text = lines.left + lines.right;
    write(brush, text, label.x, label.y, { size: 11, ink: color(brush, lines.rightTone || "ink-2"), align: label.anchor, halo: true });
  }
  brush.pen.globalAlpha = 1;
}

function paintFrames(brush: Brush, { frames }: Scene): void {
  const { pen } = brush;
  for (const { id, box, value, figure, status } of frames) {
    const selected = brush.selection === `node:${id}`;
    pen.strokeStyle = color(brush, selected ? "accent" : "line-2");
    pen.lineWidth = selected ? 1.6 : 0.8;
    pen.setLineDash(status === "no_data" ? [3, 3] : []);
    pen.beginPath();
    pen.roundRect(box.left, box.top, Math.max(20, box.right - box.left), Math.max(20, box.bottom - box.top), 8);
    pen.stroke();
    pen.setLineDash([]);
    const width = write(brush, value, box.left + 12, box.top + 18, { size: 12, weight: 650, ink: color(brush, "ink"), halo: true });
    write(brush, figure.text, box.left + 20 + width, box.top + 18, { size: 11, weight: isBad(figure.status) ? 650 : 400, ink: inkOf(brush, figure.status, "ink-3"), halo: true });
  }
}

const inkOf = (brush: Brush, status: Status, otherwise: string): string => {
  const name = tone(status);
  return color(brush, name === "nonec" ? "none" : name || otherwise);
};

const CORE: Partial<Record<Status, string>> = { critical: "crit-g", warning: "warn-g", no_data: "none-g" };
const BAND: Partial<Record<Status, string>> = { critical: "crit-soft", warning: "warn-soft" };

/** Edges of one look are one path: thousands of strokes would be thousands of passes over the picture. */
function paintEdges(brush: Brush, edges: DrawnEdge[], plate: Plate): void {
  const { pen } = brush;
  const bands = new Map<string, Batch>();
  const cores = new Map<string, Batch>();
  const heads = new Map<string, Batch>();
  for (const { edge, route, dimmed } of edges) {
    const none = edge.status === "no_data";
    const core = CORE[edge.status] ?? "edge";
    const band = Math.round(bandWidth(edge.rate));
    const selected = brush.selection === `edge:${edge.id}`;
    if (selected) into(bands, { ink: "accent", width: band + 7, dim: false, faint: true }, route);
    if (band > 0 && !none) into(bands, { ink: BAND[edge.status] ?? "flow", width: band, dim: dimmed }, route);
    into(cores, { ink: core, width: Math.round(coreWidth(edge) * 2) / 2, dim: dimmed, dots: none }, route);
    into(heads, { ink: core, width: 0, dim: dimmed }, route);
  }
  for (const batch of [...bands.values(), ...cores.values()]) strokeBatch(brush, batch);
  for (const batch of heads.values()) paintHeads(brush, batch);
  if (plate.detail !== "mark") for (const { edge, route } of edges) if (isBad(edge.status)) paintSign(brush, edge.status, route.at(0.5), "!");
  pen.globalAlpha = 1;
}

/** An edge that was not there before the range, or not at its beginning. */
function paintNewTags(brush: Brush, { edges, plate }: Scene): void {
  const { pen } = brush;
  if (plate.detail === "mark") return;
  for (const { route } of edges.filter(({ edge }) => edge.firstSeen !== null && !isBad(edge.status))) {
    const { x, y } = route.at(0.5);
    pen.beginPath();
    pen.roundRect(x - 14, y - 8, 28, 15, 3);
    pen.fillStyle = color(brush, "surface");
    pen.fill();
    pen.lineWidth = 1;
    pen.strokeStyle = color(brush, "line-2");
    pen.stroke();
    write(brush, "new", x, y + 3.5, { size: 11, ink: color(brush, "ink-2"), align: "middle" });
  }
}

interface Look {
  ink: string;
  width: number;
  dim: boolean;
  dots?: boolean;
  faint?: boolean;
}

interface Batch extends Look {
  routes: Route[];
}

function into(batches: Map<string, Batch>, look: Look, route: Route): void {
  const key = `${look.ink} ${look.width} ${look.dim} ${look.dots ?? ""} ${look.faint ?? ""}`;
  const batch = batches.get(key);
  if (batch) batch.routes.push(route);
  else batches.set(key, { ...look, routes: [route] });
}

/** One path grows slow with its length: it is cut into pieces. */
const AT_ONCE = 200;

function strokeBatch(brush: Brush, { ink, width, dim, dots, faint, routes }: Batch): void {
  const { pen } = brush;
  pen.strokeStyle = color(brush, ink);
  pen.lineWidth = width;
  pen.globalAlpha = faint ? 0.28 : dim ? DIM : 1;
  pen.lineCap = dots ? "round" : "butt";
  pen.setLineDash(dots ? [1, 5] : []);
  for (let from = 0; from < routes.length; from += AT_ONCE) {
    pen.beginPath();
    for (const { cubics } of routes.slice(from, from + AT_ONCE)) {
      const first = cubics[0];
      if (first) pen.moveTo(first.from.x, first.from.y);
      for (const { c1, c2, to } of cubics) pen.bezierCurveTo(c1.x, c1.y, c2.x, c2.y, to.x, to.y);
    }
    pen.stroke();
  }
  pen.setLineDash([]);
}

function paintHeads(brush: Brush, { ink, dim, routes }: Batch): void {
  const { pen } = brush;
  pen.fillStyle = color(brush, ink);
  pen.globalAlpha = dim ? DIM : 1;
  pen.beginPath();
  for (const route of routes) {
    const angle = (arrowAngle(route) * Math.PI) / 180;
    const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
    const corner = (x: number, y: number) => [route.end.x + x * cos - y * sin, route.end.y + x * sin + y * cos] as const;
    pen.moveTo(...corner(0, 7));
    pen.lineTo(...corner(-4.5, -2));
    pen.lineTo(...corner(4.5, -2));
    pen.closePath();
  }
  pen.fill();
}

const OCTAGON = "M-3.300-8h6.600l4.700 4.700v6.600l-4.700 4.700h-6.600l-4.700-4.700v-6.600z";
const TRIANGLE = "M0-9.500l9.500 16.500h-19z";

function paintSign(brush: Brush, status: Status, at: Point, text: string): void {
  const { pen } = brush;
  pen.save();
  pen.translate(at.x, at.y);
  pen.lineWidth = 1.5;
  if (status === "critical") {
    fillAndStroke(brush, OCTAGON, "crit-g", "surface");
    write(brush, text, 0, 4, { size: 11, weight: 700, ink: color(brush, "on-crit"), align: "middle" });
  } else if (status === "warning") {
    fillAndStroke(brush, TRIANGLE, "warn-soft", "warn-g");
    write(brush, text, 0, 4.5, { size: 10.5, weight: 700, ink: color(brush, "warn"), align: "middle" });
  } else if (status === "affected") {
    pen.lineWidth = 1.3;
    fillAndStroke(brush, "M6.500 0a6.500 6.500 0 1 1-13 0a6.500 6.500 0 1 1 13 0z", "surface", "warn-g");
    pen.stroke(path("M-2.500-2.500l5 5M2.600-1.400v4h-4"));
  }
  pen.restore();
}

function fillAndStroke(brush: Brush, shape: string, fill: string, stroke: string): void {
  brush.pen.fillStyle = color(brush, fill);
  brush.pen.strokeStyle = color(brush, stroke);
  brush.pen.fill(path(shape));
  brush.pen.stroke(path(shape));
}

const paths = new Map<string, Path2D>();
function path(text: string): Path2D {
  const known = paths.get(text) ?? new Path2D(text);
  if (paths.size < 200) paths.set(text, known);
  return known;
}

const RING: Record<Status, string> = { critical: "crit-g", warning: "warn-g", affected: "warn-g", no_data: "none-g", unknown: "none-g", ok: "ok" };

function paintNode(brush: Brush, node: MapNode, plate: Plate): void {
  if (node.members) return paintGroup(brush, node, node.members, plate);
  if (plate.detail === "mark") return paintMark(brush, node);
  if (plate.detail === "ring") return paintRingNode(brush, node, plate);
  paintPlate(brush, node, plate);
}

function paintMark(brush: Brush, node: MapNode): void {
  const { pen } = brush;
  if (isBad(node.status)) {
    paintSign(brush, node.status, { x: 0, y: 0 }, "!");
    return;
  }
  const look = MARK[markOf(node)];
  pen.beginPath();
  pen.roundRect(-3.5, -3.5, 7, 7, 1.5);
  pen.fillStyle = color(brush, look.fill?.slice(2) ?? "bg");
  pen.fill();
  if (!look.stroke) return;
  pen.setLineDash(look.dash ? [2, 1.5] : []);
  pen.strokeStyle = color(brush, look.stroke.slice(2));
  pen.lineWidth = 1;
  pen.stroke();
  pen.setLineDash([]);
}

interface RingPlace {
  x: number;
  y: number;
  radius: number;
  size: number;
}

function paintRing(brush: Brush, node: MapNode, glyph: Glyph, { x, y, radius, size }: RingPlace): void {
  const { pen } = brush;
  const none = node.status === "no_data" || isGone(node);
  const half = node.status === "ok" && seenFromCallersOnly(node, brush.around.incoming.get(node.id) ?? []);
  const ink = color(brush, node.kind === "clients" ? "line-2" : none ? "none-g" : RING[node.status]);
  pen.lineWidth = node.status === "critical" ? 3 : node.status === "warning" ? 2.6 : 1.5;
  pen.beginPath();
  pen.arc(x, y, radius, half ? Math.PI / 2 : 0, half ? Math.PI * 1.5 : Math.PI * 2);
  if (isBad(node.status)) {
    pen.fillStyle = color(brush, node.status === "critical" ? "crit-soft" : "warn-soft");
    pen.fill();
  }
  pen.setLineDash(none ? [2.5, 3] : []);
  pen.strokeStyle = ink;
  pen.stroke();
  if (half) {
    pen.setLineDash([2.5, 3]);
    pen.strokeStyle = color(brush, "none-g");
    pen.beginPath();
    pen.arc(x, y, radius, -Math.PI / 2, Math.PI / 2);
    pen.stroke();
  }
  pen.setLineDash([]);
  pen.save();
  pen.translate(x - size / 2, y - size / 2);
  pen.scale(size / 16, size / 16);
  pen.strokeStyle = color(brush, none ? "none-g" : "ink-2");
  pen.lineWidth = 1.3;
  pen.stroke(path(GLYPHS[glyph]));
  pen.restore();
}

function paintRingNode(brush: Brush, node: MapNode, plate: Plate): void {
  const { pen } = brush;
  const selected = brush.selection === `node:${node.id}`;
  pen.beginPath();
  pen.arc(0, 0, 15, 0, Math.PI * 2);
  pen.fillStyle = color(brush, "bg");
  pen.fill();
  if (selected) strokeSelected(brush);
  paintRing(brush, node, glyphIn(brush, node), { x: 0, y: 0, radius: 13, size: 14 });
  const { name } = plateTexts(node, plate, plate.scaleX * ROOM);
  const ink = isBad(node.status) || node.status === "no_data" ? inkOf(brush, node.status, "ink") : color(brush, "ink");
  write(brush, name, 0, 27, { size: 11, weight: isBad(node.status) ? 650 : 400, ink, align: "middle", halo: true });
  paintSign(brush, node.status, { x: 12, y: -11 }, badgeText(node));
}

const ROOM = 188;
const badgeText = (node: MapNode): string => String(node.reasons.length || "!");
const glyphIn = (brush: Brush, node: MapNode): Glyph => glyphOf(node, brush.around.incoming.get(node.id) ?? []);

function strokeSelected(brush: Brush): void {
  brush.pen.strokeStyle = color(brush, "accent");
  brush.pen.lineWidth = 4;
  brush.pen.stroke();
}

function paintPlate(brush: Brush, node: MapNode, plate: Plate): void {
  const { pen } = brush;
  const compact = plate.detail === "compact";
  const isPill = node.kind === "clients" && !compact;
  const round = node.kind === "external" || node.kind === "clients";
  const none = node.status === "no_data" || isGone(node);
  const { width } = plate;
  const height = isPill ? 34 : plate.height;
  const [x, y] = [-width / 2, -height / 2];
  const selected = brush.selection === `node:${node.id}`;
  pen.beginPath();
  pen.roundRect(x, y, width, height, round ? height / 2 : 5);
  if (selected) strokeSelected(brush);
  pen.fillStyle = color(brush, none ? "bg" : "surface");
  pen.fill();
  pen.strokeStyle = color(brush, isBad(node.status) ? RING[node.status] : none ? "none-g" : "line-2");
  pen.lineWidth = isBad(node.status) ? 1.5 : 0.8;
  pen.setLineDash(none ? [3, 3] : []);
  pen.stroke();
  pen.setLineDash([]);
  const ringY = isPill ? 0 : y + (compact ? 21 : 24);
  paintRing(brush, node, glyphIn(brush, node), { x: x + (compact ? 18 : 23) + (round ? 7 : 0), y: ringY, radius: isPill || compact ? 11 : 14, size: compact || isPill ? 13 : 16 });
  const texts = plateTexts(node, plate, 0);
  const size = compact ? 11 : 12;
  const ink = (name: string) => color(brush, name === "nonec" ? "none" : name || "ink-2");
  write(brush, texts.name, texts.from, y + (isPill ? 14 : 17), { size: compact || isPill ? 12 : 13, weight: 650, ink: color(brush, none ? "none" : "ink") });
  if (texts.runtime) write(brush, texts.runtime, texts.to, y + (isPill ? 14 : 17), { size: 11, ink: color(brush, "ink-3"), align: "end" });
  const line = y + (isPill ? 28 : 32);
  if (texts.left) write(brush, texts.left.text, texts.from, line, { size, weight: texts.left.strong ? 650 : 400, ink: ink(texts.left.tone) });
  if (texts.right) write(brush, texts.right.text, texts.to, line, { size, weight: texts.right.strong ? 650 : 400, ink: ink(texts.right.tone), align: "end" });
  if (!compact && !isPill) paintPulse(brush, node, texts.from, y + height - 6, texts.to - texts.from);
  paintSign(brush, node.status, { x: x + 5 + (round ? 4 : 0), y: y + 3 }, badgeText(node));
}

function paintPulse(brush: Brush, node: MapNode, x: number, bottom: number, width: number): void {
  const { pen } = brush;
  const bars = pulsePaths(node.pulse, width, 13);
  pen.save();
  pen.translate(x, bottom);
  const inks = { ok: node.status === "no_data" ? "none-g" : "p50", slow: "warn-g", failed: "crit-g", none: "none-g" } as const;
  for (const [name, ink] of Object.entries(inks)) {
    const bar = bars[name as keyof typeof bars];
    if (!bar) continue;
    pen.fillStyle = color(brush, ink);
    pen.fill(new Path2D(bar));
  }
  pen.restore();
}

function paintGroup(brush: Brush, node: MapNode, members: MapNode[], plate: Plate): void {
  const { pen } = brush;
  const { width, height } = groupSize(members.length, plate);
  const [x, y] = [-width / 2, -height / 2];
  const none = members.every((member) => member.status === "no_data");
  const selected = brush.selection === `node:${node.id}`;
  pen.beginPath();
  pen.roundRect(x, y, width, height, 5);
  if (selected) strokeSelected(brush);
  pen.fillStyle = color(brush, none ? "bg" : "surface");
  pen.fill();
  pen.strokeStyle = color(brush, isBad(node.status) ? RING[node.status] : none ? "none-g" : "line-2");
  pen.lineWidth = isBad(node.status) ? 1.5 : 0.8;
  pen.stroke();
  const { name, figure } = groupTexts(node, width);
  write(brush, name, x + (width < NARROW ? 4 : 8), y + 15, { size: width < NARROW ? 11 : 12, weight: 650, ink: color(brush, none ? "none" : "ink") });
  if (figure) write(brush, figure.text, x + width - 8, y + 15, { size: 11, weight: isBad(figure.status) ? 650 : 400, ink: inkOf(brush, figure.status, "ink-2"), align: "end" });
  pen.save();
  pen.translate(x, y);
  pen.lineWidth = 1;
  for (const { kind, path: shape } of groupMarks(members, plate)) {
    const look = MARK[kind];
    if (look.fill) {
      pen.fillStyle = color(brush, look.fill.slice(2));
      pen.fill(new Path2D(shape));
    } else {
      pen.strokeStyle = color(brush, look.stroke?.slice(2) ?? "none-g");
      pen.stroke(new Path2D(shape));
    }
  }
  pen.restore();
}

interface Written {
  size: number;
  weight?: number;
  ink: string;
  align?: "start" | "end" | "middle";
  halo?: boolean;
}

function write({ pen, family, colors }: Brush, text: string, x: number, y: number, { size, weight = 400, ink, align = "start", halo = false }: Written): number {
  if (!text) return 0;
  pen.font = `${weight} ${size}px ${family}`;
  pen.textAlign = align === "middle" ? "center" : align;
  if (halo) {
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    pen.strokeStyle = colors["bg"] ?? "#fff";
    pen.strokeText(text, x, y);
  }
  pen.fillStyle = ink;
  pen.fillText(text, x, y);
  return pen.measureText(text).width;
}
