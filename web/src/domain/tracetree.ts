// One trace as rows. A call is one row even when both of its sides were seen: the caller's span is the outline, the
// server's span under it is the fill, the gap between them is the network. Siblings of one shape fold.
import { secondsOf } from "./format";

export type SpanKind = "client" | "server" | "internal";
export interface Span {
  id: string;
  parent: string | null;
  name: string;
  service: string;
  instance: string | null;
  kind: SpanKind;
  startNs: string;
  durationNs: string;
  status: "ok" | "error" | "unset";
  protocol: string | null;
  operation: string | null;
  resource: string | null;
  code: string | null;
  peer: string | null;
  attributes: Record<string, string>;
  resourceAttributes: Record<string, string>;
}

/** Milliseconds from the start of the trace. */
export interface Times {
  start: number;
  end: number;
}

export interface Call {
  id: string;
  span: Span;
  client: (Times & { span: Span }) | null;
  server: (Times & { span: Span }) | null;
  queue: number | null;
  children: Call[];
  failed: boolean;
}

export interface Tree {
  roots: Call[];
  duration: number;
  startSeconds: number;
  services: number;
  calls: number;
  spans: number;
}

/** Differences of nanoseconds are exact as BigInt; as milliseconds from the trace's start they fit a number. */
function nanoseconds(text: string): bigint {
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}

export function buildTree(spans: Span[]): Tree {
  const base = spans.reduce<bigint | null>((least, span) => {
    const start = nanoseconds(span.startNs);
    return least === null || start < least ? start : least;
  }, null) ?? 0n;
  const times = (span: Span): Times => {
    const start = Number(nanoseconds(span.startNs) - base) / 1e6;
    return { start, end: start + Math.max(0, Number(nanoseconds(span.durationNs)) / 1e6) };
  };
  const byId = new Map(spans.map((span) => [span.id, span]));
  const calls = new Map<string, Call>();
  for (const span of spans) calls.set(span.id, callOf(span, times(span)));
  const joined = joinViews(spans, byId, calls);
  const roots: Call[] = [];
  for (const span of spans) {
    if (joined.has(span.id)) continue;
    const call = calls.get(span.id);
    const parent = parentCall(span, byId, calls, joined);
    if (call && parent && parent !== call) parent.children.push(call);
    else if (call) roots.push(call);
  }
  const reached = breakCycles(roots, calls, joined);
  for (const call of reached) call.children.sort(byStart);
  const ends = spans.map((span) => times(span).end);
  return {
    roots: roots.sort(byStart),
    duration: ends.length ? ends.reduce((most, end) => Math.max(most, end), 0) : 0,
    startSeconds: secondsOf(base.toString()) ?? 0,
    services: new Set(spans.map((span) => span.service)).size,
    calls: reached.length,
    spans: spans.length,
  };
}

function callOf(span: Span, times: Times): Call {
  const side = { ...times, span };
  return {
    id: span.id,
    span,
    client: span.kind === "client" ? side : null,
    server: span.kind === "client" ? null : side,
    queue: span.kind === "client" ? null : queueOf(span),
    children: [],
    failed: span.status === "error",
  };
}

function queueOf(span: Span): number | null {
  const value = Number(span.attributes["limpid.queue_ns"] ?? NaN);
  return Number.isFinite(value) && value >= 0 ? value / 1e6 : null;
}

/** A server's span whose parent is the client's span of the same call moves into the parent's row. */
function joinViews(spans: Span[], byId: Map<string, Span>, calls: Map<string, Call>): Set<string> {
  const joined = new Set<string>();
  for (const span of spans) {
    const parent = span.parent ? byId.get(span.parent) : undefined;
    const call = parent && calls.get(parent.id);
    const own = calls.get(span.id);
    if (span.kind !== "server" || parent?.kind !== "client" || !call || call.server || !own) continue;
    call.server = own.server;
    call.queue = own.queue;
    call.failed ||= own.failed;
    joined.add(span.id);
  }
  return joined;
}

function parentCall(span: Span, byId: Map<string, Span>, calls: Map<string, Call>, joined: Set<string>): Call | undefined {
  const parent = span.parent ? byId.get(span.parent) : undefined;
  if (!parent) return undefined;
  return joined.has(parent.id) && parent.parent ? calls.get(parent.parent) : calls.get(parent.id);
}

/** Spans that are each other's parents hang from no root; the earliest of such a ring becomes one. */
function breakCycles(roots: Call[], calls: Map<string, Call>, joined: Set<string>): Call[] {
  const reached = new Set<Call>();
  const walk = (from: Call) => {
    const stack = [from];
    for (let call = stack.pop(); call; call = stack.pop()) {
      reached.add(call);
      call.children = call.children.filter((child) => !reached.has(child));
      stack.push(...call.children);
    }
  };
  roots.forEach(walk);
  for (const call of calls.values()) {
    if (joined.has(call.id) || reached.has(call)) continue;
    roots.push(call);
    walk(call);
  }
  return [...reached];
}

export const startOf = (call: Call): number => Math.min(call.client?.start ?? Infinity, call.server?.start ?? Infinity);
export const endOf = (call: Call): number => Math.max(call.client?.end ?? 0, call.server?.end ?? 0);
export const durationOf = (call: Call): number => endOf(call) - startOf(call);
const byStart = (a: Call, b: Call): number => startOf(a) - startOf(b);

/** Whose call it is: the server's name where it is known, else the peer as the caller named it. */
export function calleeOf(call: Call): string {
  if (call.server) return call.server.span.service;
  return call.span.peer ?? call.span.service;
}

export interface Row {
  call: Call;
  depth: number;
  /** Further siblings of the same shape that are folded into this row. */
  folded: Call[];
  hasChildren: boolean;
  open: boolean;
}

export const FOLD_FROM = 6;

export interface RowOptions {
  closed: ReadonlySet<string>;
  unfolded: ReadonlySet<string>;
  worstFirst: boolean;
  /** Milliseconds: shorter calls are left out, unless they or something under them failed. */
  least: number;
}

export function rows(tree: Tree, options: RowOptions): Row[] {
  const out: Row[] = [];
  const isShown = (call: Call) => options.least === 0 || durationOf(call) >= options.least || anyFailed(call);
  const walk = (all: Call[], depth: number) => {
    const calls = options.least === 0 ? all : all.filter(isShown);
    for (const group of fold(order(calls, options.worstFirst), options.unfolded)) {
      const [call, ...folded] = group;
      if (!call) continue;
      const hasChildren = call.children.length > 0 && folded.length === 0;
      const open = hasChildren && !options.closed.has(call.id);
      out.push({ call, depth, folded, hasChildren, open });
      if (open && depth < 200) walk(call.children, depth + 1);
    }
  };
  walk(tree.roots, 0);
  return out;
}

function anyFailed(call: Call): boolean {
  const stack = [call];
  for (let one = stack.pop(); one; one = stack.pop()) {
    if (one.failed) return true;
    stack.push(...one.children);
  }
  return false;
}

function order(calls: Call[], worstFirst: boolean): Call[] {
  if (!worstFirst) return calls;
  return [...calls].sort((a, b) => Number(b.failed) - Number(a.failed) || durationOf(b) - durationOf(a));
}

export const shapeOf = (call: Call): string => `${calleeOf(call)}\u0000${call.span.name}\u0000${call.failed}`;

function fold(calls: Call[], unfolded: ReadonlySet<string>): Call[][] {
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    const shape = shapeOf(call);
    const group = groups.get(shape);
    if (group) group.push(call);
    else groups.set(shape, [call]);
  }
  const out: Call[][] = [];
  for (const call of calls) {
    const group = groups.get(shapeOf(call)) ?? [call];
    const folds = group.length >= FOLD_FROM && !unfolded.has(group[0]?.id ?? "") && group.every((one) => one.children.length === 0);
    if (!folds) out.push([call]);
    else if (group[0] === call) out.push([...group].sort((a, b) => durationOf(b) - durationOf(a)));
  }
  return out;
}

/** The chain of calls that the trace waited for, last end first: each part is where the path stays in that call. */
export function criticalPath(tree: Tree): Map<string, Times[]> {
  const parts = new Map<string, Times[]>();
  const add = (call: Call, start: number, end: number) => {
    if (end - start <= 0) return;
    const list = parts.get(call.id);
    if (list) list.push({ start, end });
    else parts.set(call.id, [{ start, end }]);
  };
  const walk = (call: Call, until: number, depth: number) => {
    let cursor = until;
    const children = [...call.children].sort((a, b) => endOf(b) - endOf(a));
    for (const child of children) {
      const end = endOf(child);
      if (end > cursor || depth > 200) continue;
      add(call, end, cursor);
      walk(child, end, depth + 1);
      cursor = Math.min(cursor, startOf(child));
    }
    add(call, startOf(call), cursor);
  };
  for (const root of tree.roots.slice(0, 1)) walk(root, endOf(root), 0);
  return parts;
}

/** Where a server's own time is, apart from its waiting for callees: the union of its children is taken out. */
export function ownParts(call: Call): { waits: Times[]; own: number } {
  const server = call.server;
  if (!server) return { waits: [], own: 0 };
  const merged: Times[] = [];
  for (const child of [...call.children].sort(byStart)) {
    const start = Math.max(server.start, startOf(child));
    const end = Math.min(server.end, endOf(child));
    const last = merged.at(-1);
    if (end <= start) continue;
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  const waiting = merged.reduce((sum, part) => sum + part.end - part.start, 0);
  return { waits: merged, own: Math.max(0, server.end - server.start - waiting) };
}

/** Time by who spent it, for the page's sentence: the largest first. */
export function ownTimes(tree: Tree): { name: string; share: number }[] {
  const sums = new Map<string, number>();
  const stack = [...tree.roots];
  for (let call = stack.pop(); call; call = stack.pop()) {
    stack.push(...call.children);
    const own = call.server ? ownParts(call).own : durationOf(call);
    sums.set(calleeOf(call), (sums.get(calleeOf(call)) ?? 0) + own);
  }
  const total = tree.duration || 1;
  return [...sums].map(([name, sum]) => ({ name, share: sum / total })).sort((a, b) => b.share - a.share);
}
