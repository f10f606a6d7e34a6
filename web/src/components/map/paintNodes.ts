// Nodes on the canvas: plates, rings, marks and collapsed groups, as they are in SVG.
import { changeSign } from "../../domain/difference";
import { groupSize, type Plate } from "../../domain/geometry";
import { GLYPHS } from "../../domain/glyphs";
import { PITCH_X } from "../../domain/layout";
import { isBad, type Status } from "../../domain/status";
import { glyphOf, isGone, seenFromCallersOnly, type Glyph, type MapNode } from "../../domain/topology";
import { color, inkOf, paintSign, path, write, type Brush } from "./brush";
import { groupMarks, groupTexts, MARK, markOf, NARROW } from "./marks";
import { pulsePaths } from "./pulse";
import { plateTexts } from "./texts";

const RING: Record<Status, string> = { critical: "crit-g", warning: "warn-g", affected: "warn-g", no_data: "none-g", unknown: "none-g", ok: "ok" };

export function paintNode(brush: Brush, node: MapNode, plate: Plate): void {
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
  const { name } = plateTexts(node, plate, plate.scaleX * PITCH_X);
  const ink = isBad(node.status) || node.status === "no_data" ? inkOf(brush, node.status, "ink") : color(brush, "ink");
  write(brush, name, 0, 27, { size: 11, weight: isBad(node.status) ? 650 : 400, ink, align: "middle", halo: true });
  paintSign(brush, node.status, { x: 12, y: -11 }, badgeText(node));
  paintChangeSign(brush, changeSign(node.difference));
}

/** Beside a ring there is no room for a figure: only which way it went. */
function paintChangeSign(brush: Brush, sign: string): void {
  if (!sign) return;
  const { pen } = brush;
  pen.beginPath();
  pen.arc(-12, -11, 7, 0, Math.PI * 2);
  pen.fillStyle = color(brush, "surface");
  pen.fill();
  pen.lineWidth = 1;
  pen.strokeStyle = color(brush, "ink-2");
  pen.stroke();
  write(brush, sign, -12, -7, { size: 11, weight: 700, ink: color(brush, "ink"), align: "middle" });
}

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
  if (texts.change) write(brush, texts.change, texts.from, y + 49, { size: 11, weight: none ? 400 : 600, ink: color(brush, none ? "none" : "ink") });
  else if (!compact && !isPill) paintPulse(brush, node, texts.from, y + height - 6, texts.to - texts.from);
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
