// A quick layered layout for hundreds and thousands of nodes, where an exact one takes minutes: ranks by the longest
// way of calls, some sweeps towards the middle of the neighbours, wide ranks wrapped into rows.
import { PITCH_X, PITCH_Y, type Layout, type LayoutInput, type Point } from "./layout";

const SWEEPS = 6;
const ROW_GAP = 140;

export function layered(input: LayoutInput): Layout {
  const forward = acyclic(input);
  const rank = shallow(ranks(input.nodes, forward), Math.ceil(Math.sqrt(input.nodes.length) * (input.heights ? 0.9 : 0.7)));
  const rows = ordered(input.nodes, forward, rank);
  const widest = Math.max(8, Math.ceil(Math.sqrt(input.nodes.length) * 1.8));
  const nodes: Record<string, Point> = {};
  const tallest = Math.max(0, ...Object.values(input.heights ?? {}));
  const [gap, pitch] = [Math.max(ROW_GAP, tallest + 36), Math.max(PITCH_Y, tallest + 84)];
  let y = 0;
  for (const row of rows) {
    for (let from = 0; from < row.length; from += widest) {
      const part = row.slice(from, from + widest);
      part.forEach((id, index) => (nodes[id] = { x: (index - (part.length - 1) / 2) * PITCH_X, y }));
      y += from + widest < row.length ? gap : pitch;
    }
  }
  return { nodes, bends: {}, inner: {} };
}

type Links = Map<string, string[]>;

/** Calls that would close a circle are left out, found by a walk without recursion (chains can be long). */
function acyclic({ nodes, edges }: LayoutInput): Links {
  const all: Links = new Map(nodes.map((id) => [id, []]));
  for (const { source, target } of edges) if (source !== target && all.has(target)) all.get(source)?.push(target);
  const forward: Links = new Map(nodes.map((id) => [id, []]));
  const state = new Map<string, "open" | "done">();
  const called = new Set(edges.map((edge) => edge.target));
  for (const root of [...nodes.filter((id) => !called.has(id)), ...nodes]) {
    if (state.has(root)) continue;
    state.set(root, "open");
    const stack = [{ id: root, next: 0 }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const target = all.get(top.id)?.[top.next++];
      if (target === undefined) {
        state.set(top.id, "done");
        stack.pop();
        continue;
      }
      if (state.get(target) === "open") continue;
      forward.get(top.id)?.push(target);
      if (state.has(target)) continue;
      state.set(target, "open");
      stack.push({ id: target, next: 0 });
    }
  }
  return forward;
}

/** The longest way from a node that nobody calls. */
function ranks(nodes: string[], forward: Links): Map<string, number> {
  const waits = new Map(nodes.map((id) => [id, 0]));
  for (const targets of forward.values()) for (const target of targets) waits.set(target, (waits.get(target) ?? 0) + 1);
  const rank = new Map(nodes.map((id) => [id, 0]));
  const ready = nodes.filter((id) => waits.get(id) === 0);
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    for (const target of forward.get(id) ?? []) {
      rank.set(target, Math.max(rank.get(target) ?? 0, (rank.get(id) ?? 0) + 1));
      const left = (waits.get(target) ?? 1) - 1;
      waits.set(target, left);
      if (left === 0) ready.push(target);
    }
  }
  return rank;
}

/** A chain of a hundred calls would make a picture of a hundred rows: ranks are pressed together, in their order. */
function shallow(rank: Map<string, number>, most: number): Map<string, number> {
  const deepest = Math.max(0, ...rank.values());
  const rows = Math.max(MOST_RANKS, most);
  if (deepest < rows) return rank;
  return new Map([...rank].map(([id, at]) => [id, Math.floor((at * rows) / (deepest + 1))]));
}

const MOST_RANKS = 6;

function ordered(nodes: string[], forward: Links, rank: Map<string, number>): string[][] {
  const rows: string[][] = [];
  for (const id of nodes) (rows[rank.get(id) ?? 0] ??= []).push(id);
  const around: Links = new Map(nodes.map((id) => [id, [...(forward.get(id) ?? [])]]));
  for (const [source, targets] of forward) for (const target of targets) around.get(target)?.push(source);
  const place = new Map<string, number>();
  const settle = (row: string[]) => row.forEach((id, index) => place.set(id, (index + 0.5) / row.length));
  rows.forEach(settle);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const row of rows) {
      const middle = new Map(row.map((id) => [id, mean((around.get(id) ?? []).map((other) => place.get(other) ?? 0.5), place.get(id) ?? 0.5)]));
      row.sort((a, b) => (middle.get(a) ?? 0) - (middle.get(b) ?? 0));
      settle(row);
    }
  }
  return rows.filter((row) => row !== undefined);
}

const mean = (values: number[], otherwise: number): number => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : otherwise);
