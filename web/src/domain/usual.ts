// What is usual for the calls of a trace: the median of all requests like each of them, from the same family as every
// other figure. A call is unusual when it took twice as long and the trace is noticeably longer for it.
import { FAMILY, matchers } from "./promql";
import { durationOf, type Call, type Tree } from "./tracetree";

export interface Usual {
  /** Milliseconds; null where there is no median. */
  median: number | null;
  requests: number;
}

type Labels = Partial<Record<"service" | "peer" | "operation" | "resource", string | null>>;

/** More services than these are not asked about at once. */
const MOST_SERVICES = 40;
/** A median of fewer says little. */
const LEAST_REQUESTS = 20;
const TIMES = 2;
const NOTICEABLE = 0.02;

const BY = { server: "side, service, operation, resource", client: "side, service, peer, operation, resource" };

/** One question for medians, one for how many requests they are of. */
export function usualQueries(tree: Tree, window: string): { medians: string; requests: string } | null {
  const services = [...servicesOf(tree)].sort().slice(0, MOST_SERVICES);
  if (services.length === 0) return null;
  const both = (of: (side: "server" | "client", labels: string) => string) =>
    (["server", "client"] as const).map((side) => of(side, matchers({ service: services, side }))).join(" or ");
  return {
    medians: both((side, labels) => `histogram_quantile(0.5, sum by (${BY[side]}) (rate(${FAMILY}${labels}[${window}])))`),
    requests: both((side, labels) => `sum by (${BY[side]}) (increase(${FAMILY}_count${labels}[${window}]))`),
  };
}

function servicesOf(tree: Tree): Set<string> {
  const names = new Set<string>();
  for (const call of everyCall(tree)) {
    for (const side of [call.client, call.server]) if (side?.span.operation) names.add(side.span.service);
  }
  return names;
}

function everyCall(tree: Tree): Call[] {
  const all: Call[] = [];
  const stack = [...tree.roots];
  for (let call = stack.pop(); call; call = stack.pop()) {
    all.push(call);
    stack.push(...call.children);
  }
  return all;
}

export const usualKey = (side: string, { service, peer, operation, resource }: Labels): string =>
  [side, service, side === "client" ? peer : "", operation, resource].map((part) => part ?? "").join("\u0000");

export interface Compared {
  /** Milliseconds of this call, as the side saw it that the median is of. */
  own: number;
  usual: number;
  requests: number;
  side: "client" | "server";
}

/** A call beside what is usual, as its caller saw it, else as its server did; null where nothing can be said. */
export function comparedCall(call: Call, known: ReadonlyMap<string, Usual>): Compared | null {
  for (const side of ["client", "server"] as const) {
    const view = call[side];
    if (!view || view.span.kind === "internal") continue;
    // Who is at the other end of a call out is known to the figures by name only.
    const usual = known.get(usualKey(side, view.span)) ?? known.get(usualKey(side, { ...view.span, peer: "" }));
    if (usual?.median && usual.requests >= LEAST_REQUESTS) return { own: view.end - view.start, usual: usual.median, requests: usual.requests, side };
  }
  return null;
}

export const excessOf = (one: Compared | null): number => (one ? Math.max(0, one.own - one.usual) : 0);

export const isUnusual = (one: Compared | null, duration: number): boolean =>
  one !== null && one.own >= TIMES * one.usual && excessOf(one) >= NOTICEABLE * duration;

/** The call that explains most of what the trace took longer: its own excess, without that of what it called. */
export function mostUnusual(tree: Tree, known: ReadonlyMap<string, Usual>): { call: Call; compared: Compared } | null {
  let found: { call: Call; compared: Compared; excess: number } | null = null;
  for (const call of everyCall(tree)) {
    const compared = comparedCall(call, known);
    if (!compared || !isUnusual(compared, Math.max(tree.duration, durationOf(call)))) continue;
    const below = call.children.reduce((sum, child) => sum + excessOf(comparedCall(child, known)), 0);
    const excess = excessOf(compared) - below;
    if (!found || excess > found.excess) found = { call, compared, excess };
  }
  return found;
}
