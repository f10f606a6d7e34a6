// From a layout with all groups collapsed to one in which some are open. Room for an open group is made by stretching
// the picture where the group stands: everything keeps its order and nothing comes to lie on anything else.
import { bounds, PITCH_X, type Box, type Layout, type Point } from "./layout";
import type { Group } from "./groups";

export interface Frame {
  group: Group;
  box: Box;
}

export interface Expanded {
  layout: Layout;
  frames: Frame[];
}

/** Plates keep their size when the picture shrinks, so a frame needs more room than at its natural size. */
const HEAD = 76;
const FOOT = 56;
const GAP = 24;
const MARK_PITCH = 11;
const MARKS_IN_ROW = 14;
export const MOST_MARK_ROWS = 6;
const NODE_HALF = 30;

/** How many of a group's marks are drawn, and in how many rows. */
export function marksOf(members: number): { rows: number; inRow: number; pitch: number; shown: number } {
  const rows = Math.min(MOST_MARK_ROWS, Math.ceil(members / MARKS_IN_ROW));
  return { rows, inRow: MARKS_IN_ROW, pitch: MARK_PITCH, shown: Math.min(members, rows * MARKS_IN_ROW) };
}

/** Height of a collapsed group's plate, at scale 1. */
export const groupHeight = (members: number): number => 46 + marksOf(members).rows * MARK_PITCH;

function openSize(inner: Record<string, Point>, members: string[]): Box {
  const points = members.flatMap((id) => inner[id] ?? []);
  const box = bounds(points.length ? points : [{ x: 0, y: 0 }]);
  const half = PITCH_X / 2 + 6;
  return { left: box.left - half, right: box.right + half, top: box.top - NODE_HALF - HEAD, bottom: box.bottom + NODE_HALF + FOOT };
}

interface Interval {
  from: number;
  to: number;
  size: number;
}

/** A rising function that makes each interval as long as it asks for, and keeps the rest as it is. */
export function stretching(intervals: Interval[]): (at: number) => number {
  const cuts = [...new Set(intervals.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const pieces = cuts.slice(1).map((to, index) => {
    const from = cuts[index] ?? to;
    const over = intervals.filter((one) => one.from <= from && one.to >= to);
    return { from, to, slope: Math.max(1, ...over.map((one) => one.size / (one.to - one.from))) };
  });
  return (at) => {
    let moved = at;
    for (const { from, to, slope } of pieces) moved += Math.max(0, Math.min(at, to) - from) * (slope - 1);
    return moved;
  };
}

export function expanded(base: Layout, groups: Group[]): Expanded {
  const open = groups.flatMap((group) => {
    const at = base.nodes[group.id];
    return group.isOpen && at ? [{ group, at, size: openSize(base.inner, group.members.map((node) => node.id)) }] : [];
  });
  if (open.length === 0) return { layout: base, frames: [] };
  const columns = open.map(({ at, size }): Interval => ({ from: at.x - PITCH_X / 2, to: at.x + PITCH_X / 2, size: size.right - size.left + GAP }));
  const rows = open.map(({ group, at, size }): Interval => {
    const half = groupHeight(group.members.length) / 2 + GAP / 2;
    return { from: at.y - half, to: at.y + half, size: size.bottom - size.top + GAP };
  });
  const wide = stretching(columns);
  const high = stretching(rows);
  const move = ({ x, y }: Point): Point => ({ x: wide(x), y: high(y) });
  const nodes: Record<string, Point> = {};
  for (const [id, at] of Object.entries(base.nodes)) nodes[id] = move(at);
  const frames = open.map(({ group, size }, index): Frame => {
    const middle = { x: middleOf(columns[index], wide), y: middleOf(rows[index], high) };
    // The middle of the room that was made is the middle of the frame, wherever its members stand in it.
    const shift = { x: middle.x - (size.left + size.right) / 2, y: middle.y - (size.top + size.bottom) / 2 };
    for (const node of group.members) {
      const inside = base.inner[node.id];
      if (inside) nodes[node.id] = { x: inside.x + shift.x, y: inside.y + shift.y };
    }
    return { group, box: { left: size.left + shift.x, right: size.right + shift.x, top: size.top + shift.y, bottom: size.bottom + shift.y } };
  });
  const bends = Object.fromEntries(Object.entries(base.bends).map(([id, points]) => [id, points.map(move)]));
  return { layout: { nodes, bends, inner: base.inner }, frames };
}

const middleOf = (interval: Interval | undefined, move: (at: number) => number): number => (interval ? (move(interval.from) + move(interval.to)) / 2 : 0);
