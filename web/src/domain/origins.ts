// From where a node of a new picture comes: its own place, else that of the group or the service that it was a part of,
// else the middle of what has become a part of it.
import type { Point } from "./layout";
import type { MapNode } from "./topology";

export function origins(before: MapNode[], now: MapNode[], at: (id: string) => Point | null): Map<string, Point> {
  const holder = new Map(before.flatMap((node) => (node.members ?? []).map((member) => [member.id, node.id] as const)));
  const parts = new Map<string, Point[]>();
  for (const node of before) {
    const point = at(node.id);
    const whole = serviceOf(node);
    if (point && whole) parts.set(whole, [...(parts.get(whole) ?? []), point]);
  }
  const from = new Map<string, Point>();
  for (const node of now) {
    const held = holder.get(node.id);
    const inside = node.members ? node.members.flatMap((member) => at(member.id) ?? []) : (parts.get(node.id) ?? []);
    const point = at(node.id) ?? (held ? at(held) : null) ?? at(serviceOf(node)) ?? middle(inside);
    if (point) from.set(node.id, point);
  }
  return from;
}

const serviceOf = (node: MapNode): string => (node.kind === "process" ? (node.attributes["limpid.service"] ?? "") : "");

function middle(points: Point[]): Point | null {
  if (points.length === 0) return null;
  const sum = points.reduce((all, { x, y }) => ({ x: all.x + x, y: all.y + y }), { x: 0, y: 0 });
  return { x: sum.x / points.length, y: sum.y / points.length };
}
