// Edges on the canvas, by the thousand.
import { arrowAngle, bandWidth, coreWidth, type Plate, type Route } from "../../domain/geometry";
import { isBad, type Status } from "../../domain/status";
import { isSilent } from "../../domain/topology";
import { color, paintSign, write, type Brush } from "./brush";
import type { DrawnEdge, Scene } from "./scene";

const CORE: Partial<Record<Status, string>> = { critical: "crit-g", warning: "warn-g", no_data: "none-g" };
const BAND: Partial<Record<Status, string>> = { critical: "crit-soft", warning: "warn-soft" };

/** Edges of one look are one path: thousands of strokes would be thousands of passes over the picture. */
export function paintEdges(brush: Brush, edges: DrawnEdge[], plate: Plate): void {
  const { pen } = brush;
  const bands = new Map<string, Batch>();
  const cores = new Map<string, Batch>();
  const heads = new Map<string, Batch>();
  for (const { edge, route, opacity = 1 } of edges) {
    const none = isSilent(edge);
    const core = none ? "none-g" : (CORE[edge.status] ?? "edge");
    const band = Math.round(bandWidth(edge.rate));
    const selected = brush.selection === `edge:${edge.id}`;
    if (selected) into(bands, { ink: "accent", width: band + 7, opacity: 0.28 }, route);
    if (band > 0 && !none) into(bands, { ink: BAND[edge.status] ?? "flow", width: band, opacity }, route);
    into(cores, { ink: core, width: Math.round(coreWidth(edge) * 2) / 2, opacity, dots: none }, route);
    into(heads, { ink: core, width: 0, opacity }, route);
  }
  for (const batch of [...bands.values(), ...cores.values()]) strokeBatch(brush, batch);
  for (const batch of heads.values()) paintHeads(brush, batch);
  if (plate.detail !== "mark") for (const { edge, route } of edges) if (isBad(edge.status)) paintSign(brush, edge.status, route.at(0.5), "!");
  pen.globalAlpha = 1;
}

/** An edge that was not there before the range, or not at its beginning. */
export function paintNewTags(brush: Brush, { tags }: Scene): void {
  const { pen } = brush;
  for (const { x, y } of tags) {
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
  opacity: number;
  dots?: boolean;
}

interface Batch extends Look {
  routes: Route[];
}

function into(batches: Map<string, Batch>, look: Look, route: Route): void {
  const key = `${look.ink} ${look.width} ${look.opacity} ${look.dots ?? ""}`;
  const batch = batches.get(key);
  if (batch) batch.routes.push(route);
  else batches.set(key, { ...look, routes: [route] });
}

/** One path grows slow with its length: it is cut into pieces. */
const AT_ONCE = 200;

function strokeBatch(brush: Brush, { ink, width, opacity, dots, routes }: Batch): void {
  const { pen } = brush;
  pen.strokeStyle = color(brush, ink);
  pen.lineWidth = width;
  pen.globalAlpha = opacity;
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

function paintHeads(brush: Brush, { ink, opacity, routes }: Batch): void {
  const { pen } = brush;
  pen.fillStyle = color(brush, ink);
  pen.globalAlpha = opacity;
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
