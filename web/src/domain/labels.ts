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

/** Lines are kept free as well, as a row of small boxes. */
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
    const clear = possible.find((choice) => isClear(choice.box, lines));
    const chosen = clear ?? (wish.required ? (leastCrossed(possible, lines) ?? choices[0]) : undefined);
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

function isClear(box: Box, lines: ReadonlyMap<string, Line>): boolean {
  for (const { whole, boxes } of lines.values()) if (overlaps(box, whole) && boxes.some((line) => overlaps(box, line))) return false;
  return true;
}

/** Of places that are free but for lines, the one that hides least of them; the first of equals. */
function leastCrossed(possible: Choice[], lines: ReadonlyMap<string, Line>): Choice | undefined {
  const crossed = ({ box }: Choice) => [...lines.values()].reduce((sum, { boxes }) => sum + boxes.filter((line) => overlaps(box, line)).length, 0);
  return possible.map((choice) => ({ choice, amount: crossed(choice) })).sort((a, b) => a.amount - b.amount)[0]?.choice;
}

interface Choice {
  label: PlacedLabel;
  box: Box;
}

const PLACES = [0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15];

/** At the callee's end on the side away from the caller; then the other side; then further up the line, over, beside
 * or under it, as a slanted line leaves room. */
function candidates(wish: LabelWish): Choice[] {
  const { start, end } = wish.route;
  const leans = start.x - end.x > 24 ? "end" : "start";
  const other = leans === "end" ? "start" : "end";
  const height = wish.height ?? HEIGHT;
  const choices: Choice[] = [];
  for (const at of [{ x: end.x, y: end.y - 8 }, ...PLACES.map((share) => wish.route.at(share))]) {
    for (const down of [0, height / 2, height]) {
      for (const anchor of [leans, other] as const) choices.push(choice(wish, { x: at.x, y: at.y + down }, anchor));
    }
  }
  // A call to itself has little line to stand on: its label goes up or down beside it.
  if (Math.abs(start.y - end.y) < 30) for (const down of [height + 6, -height]) choices.push(choice(wish, { x: end.x + 34, y: end.y + down }, "start"));
  return choices;
}

function choice(wish: LabelWish, at: Point, anchor: "start" | "end"): Choice {
  // A bad edge has its sign on the line: its label stands clear of that too.
  const gap = Math.max(wish.band / 2 + 7, wish.required ? 14 : 0);
  const x = anchor === "start" ? at.x + gap : at.x - gap;
  const left = anchor === "start" ? x - 2 : x - wish.width - 2;
  const height = wish.height ?? HEIGHT;
  const top = at.y - height;
  return {
    label: { id: wish.id, x, y: at.y, anchor },
    box: { left, right: left + wish.width + 4, top, bottom: top + height + 3 },
  };
}
