// What the canvas is drawn with: colours of the theme, text, signs.
import type { Point } from "../../domain/layout";
import { tone, type Status } from "../../domain/status";
import type { Neighbourhood } from "../../domain/topology";

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

export const color = (brush: Brush, name: string): string => brush.colors[name] ?? "#888";

export const inkOf = (brush: Brush, status: Status, otherwise: string): string => {
  const name = tone(status);
  return color(brush, name === "nonec" ? "none" : name || otherwise);
};

const OCTAGON = "M-3.300-8h6.600l4.700 4.700v6.600l-4.700 4.700h-6.600l-4.700-4.700v-6.600z";
const TRIANGLE = "M0-9.500l9.500 16.500h-19z";

export function paintSign(brush: Brush, status: Status, at: Point, text: string): void {
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

export function fillAndStroke(brush: Brush, shape: string, fill: string, stroke: string): void {
  brush.pen.fillStyle = color(brush, fill);
  brush.pen.strokeStyle = color(brush, stroke);
  brush.pen.fill(path(shape));
  brush.pen.stroke(path(shape));
}

const paths = new Map<string, Path2D>();
export function path(text: string): Path2D {
  const known = paths.get(text) ?? new Path2D(text);
  if (paths.size < 200) paths.set(text, known);
  return known;
}

interface Written {
  size: number;
  weight?: number;
  ink: string;
  align?: "start" | "end" | "middle";
  halo?: boolean;
}

export function write({ pen, family, colors }: Brush, text: string, x: number, y: number, { size, weight = 400, ink, align = "start", halo = false }: Written): number {
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
