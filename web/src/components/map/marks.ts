// The marks of a collapsed group, as paths for SVG and for the canvas: octagon, triangle, and squares full, hollow,
// dashed. Shapes differ, so that colour is never the only difference.
import { marksOf } from "../../domain/expand";
import { groupFigure } from "../../domain/groups";
import { groupSize, type Plate } from "../../domain/geometry";
import { shorten } from "../../domain/format";
import type { Status } from "../../domain/status";
import { isGone, type MapNode } from "../../domain/topology";
import { fitText, textWidth } from "../measure";

export interface Look {
  fill?: string;
  stroke?: string;
  dash?: string;
}

export const MARK: Record<Status, Look> = {
  critical: { fill: "--crit-g" },
  warning: { fill: "--warn-g" },
  affected: { stroke: "--warn-g" },
  no_data: { stroke: "--none-g", dash: "2 1.5" },
  unknown: { stroke: "--none-g" },
  ok: { fill: "--p50" },
};

const HEAD = 24;
const SHAPES: Partial<Record<Status, string>> = { critical: "m2.200-4.500h-4.400l-2.300 2.300v4.400l2.300 2.300h4.400l2.300-2.300v-4.400z", warning: "m0-4.600l4.800 8.400h-9.600z" };
const SQUARE = "m-3.200-3.200h6.400v6.400h-6.400z";

export const markOf = (node: MapNode): Status => (isGone(node) ? "no_data" : node.status);

/** As many as there is room for; the bad ones come first. */
export function groupMarks(members: MapNode[], plate: Plate): { kind: Status; path: string }[] {
  const { width, height } = groupSize(members.length, plate);
  const { pitch } = marksOf(members.length);
  const inRow = Math.max(1, Math.floor((width - 12) / pitch));
  const rows = Math.max(0, Math.floor((height - HEAD - 2) / pitch));
  return members.slice(0, inRow * rows).map((node, index) => {
    const kind = markOf(node);
    const [x, y] = [8 + pitch / 2 + (index % inRow) * pitch, HEAD + pitch / 2 + Math.floor(index / inRow) * pitch];
    return { kind, path: `M${x.toFixed(1)} ${y.toFixed(1)}${SHAPES[kind] ?? SQUARE}` };
  });
}

export interface GroupTexts {
  name: string;
  figure: { text: string; status: Status } | null;
}

/** A plate that is smaller has no name, as a mark has none. */
const LEAST_NAMED = 44;

/** On a narrow plate the name is small, and of a long one the end is kept: groups differ there. */
export const NARROW = 80;
const lastPart = (name: string, most: number): string => (name.length <= most ? name : `…${name.slice(-Math.max(1, most - 1))}`);

/** The name comes first: the figure gets what is left, or nothing. */
export function groupTexts(node: MapNode, width: number): GroupTexts {
  if (width < LEAST_NAMED) return { name: "", figure: null };
  const figure = groupFigure(node.members ?? []);
  const room = width - (width < NARROW ? 8 : 16);
  if (width < NARROW) return { name: fitText(node.name, room, 11, 650, lastPart), figure: null };
  const wanted = textWidth(figure.text, 11, 650) + 8;
  const fits = textWidth(node.name, 12, 650) + wanted <= room || room - wanted >= 60;
  return { name: fitText(node.name, fits ? room - wanted : room, 12, 650, shorten), figure: fits ? figure : null };
}
