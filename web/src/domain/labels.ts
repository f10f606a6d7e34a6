// Labels of edges never overlap a plate or another label: bad ones are placed first, and a healthy one that does not
// fit is left out (its figures stand in the panel and in the table).
import type { Box, Point } from "./layout";
import type { Route } from "./geometry";

export interface LabelWish {
  id: string;
  route: Route;
  /** Widths of the two lines, in pixels. */
  width: number;
  band: number;
  /** Lower is placed first. */
  priority: number;
  /** A bad edge's label is placed even where it must cover something. */
  required: boolean;
  height?: number;
}

export interface PlacedLabel {
  id: string;
  x: number;
  y: number;
  anchor: "start" | "end";
}

const HEIGHT = 27;

export function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** Lines are kept free as well, as a row of small boxes; a label may touch its own line. */
export function lineBoxes(route: Route): Line {
  const boxes: Box[] = [];
  for (let step = 1; step < LINE_STEPS; step += 1) {
    const { x, y } = route.at(step / LINE_STEPS);
    boxes.push({ left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 });
  }
  const whole = boxes.reduce((all, box) => ({ left: Math.min(all.left, box.left), right: Math.max(all.right, box.right), top: Math.min(all.top, box.top), bottom: Math.max(all.bottom, box.bottom) }));
  return { whole, boxes };
}

export interface Line {
  whole: Box;
  boxes: Box[];
}

const LINE_STEPS = 24;

export function placeLabels(wishes: LabelWish[], obstacles: Box[], window: Box, lines: ReadonlyMap<string, Line> = new Map()): PlacedLabel[] {
  const taken = [...obstacles];
  const placed: PlacedLabel[] = [];
  for (const wish of [...wishes].sort((a, b) => a.priority - b.priority || a.id.localeCompare(b.id))) {
    const choices = candidates(wish);
    const possible = choices.filter((choice) => isFree(choice.box, taken, window));
    const clear = possible.find((choice) => isClear(choice.box, wish.id, lines));
    const chosen = clear ?? (wish.required ? (possible[0] ?? choices[0]) : undefined);
    if (!chosen) continue;
    taken.push(chosen.box);
    placed.push(chosen.label);
  }
  return placed;
}

function isFree(box: Box, taken: Box[], window: Box): boolean {
  if (box.left < window.left || box.right > window.right || box.top < window.top || box.bottom > window.bottom) return false;
  return taken.every((other) => !overlaps(box, other));
}

function isClear(box: Box, own: string, lines: ReadonlyMap<string, Line>): boolean {
  for (const [id, { whole, boxes }] of lines) if (id !== own && overlaps(box, whole) && boxes.some((line) => overlaps(box, line))) return false;
  return true;
}

interface Choice {
  label: PlacedLabel;
  box: Box;
}

/** At the callee's end on the side away from the caller; then the other side; then further up the line. */
function candidates(wish: LabelWish): Choice[] {
  const { start, end } = wish.route;
  const leans = start.x - end.x > 24 ? "end" : "start";
  const other = leans === "end" ? "start" : "end";
  const choices: Choice[] = [];
  for (const at of [{ x: end.x, y: end.y - 8 }, wish.route.at(0.8), wish.route.at(0.66), wish.route.at(0.5), wish.route.at(0.35)]) {
    for (const anchor of [leans, other] as const) choices.push(choice(wish, at, anchor));
  }
  return choices;
}

function choice(wish: LabelWish, at: Point, anchor: "start" | "end"): Choice {
  const gap = wish.band / 2 + 7;
  const x = anchor === "start" ? at.x + gap : at.x - gap;
  const left = anchor === "start" ? x - 2 : x - wish.width - 2;
  const height = wish.height ?? HEIGHT;
  const top = at.y - height;
  return {
    label: { id: wish.id, x, y: at.y, anchor },
    box: { left, right: left + wish.width + 4, top, bottom: top + height + 3 },
  };
}
