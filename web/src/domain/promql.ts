// The questions of the service page, in PromQL over the one family that all protocols feed. The console has no
// private way to series: what it draws, anyone can ask for.
import type { Interval } from "./range";

export const FAMILY = "limpid_request_duration_seconds";

const quote = (value: string): string => `"${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

/** What is asked about: a service, or one edge as one of its sides saw it. */
export type Matchers = Record<string, string | string[]>;

const literal = (value: string): string => value.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Of several values any will do. */
export const matchers = (labels: Matchers): string =>
  `{${Object.entries(labels).map(([name, value]) => (Array.isArray(value) ? `${name}=~${quote(value.map(literal).join("|"))}` : `${name}=${quote(value)}`)).join(",")}}`;

/** A service as it saw itself, or as its callers saw it. */
export const ofService = (service: string, side: "server" | "client"): Matchers => (side === "server" ? { service, side } : { peer: service, side });

export function step(start: number, end: number, points: number): number {
  return Math.max(5, Math.ceil((end - start) / points / 5) * 5);
}

/** Agents send every five seconds: a shorter window would often hold one sample only. */
export const windowOf = (stepSeconds: number): string => `${Math.max(30, stepSeconds * 2)}s`;

/** The whole range as one window. */
export const windowOver = ({ start, end }: Interval): string => `${Math.max(30, Math.round(end - start))}s`;

/** By operation, result and outcome: how many per second over the whole range. */
export const ratesByOperation = (of: Matchers, window: string): string =>
  `sum by (operation, resource, code, status) (rate(${FAMILY}_count${matchers(of)}[${window}]))`;

export const p95ByOperation = (of: Matchers, window: string): string =>
  `histogram_quantile(0.95, sum by (operation, resource) (rate(${FAMILY}${matchers(of)}[${window}])))`;

export const p95Of = (of: Matchers, window: string): string => `histogram_quantile(0.95, sum(rate(${FAMILY}${matchers(of)}[${window}])))`;

/** Seconds that requests took per second, whole or by one set of labels. */
export const timeSpent = (of: Matchers, window: string, by: string[] = []): string =>
  `sum${by.length ? ` by (${by.join(", ")})` : ""} (rate(${FAMILY}_sum${matchers(of)}[${window}]))`;

export const rateOf = (of: Matchers, window: string): string => `sum(rate(${FAMILY}_count${matchers(of)}[${window}]))`;

/** How many requests fell under each bound, for the heat map; failed ones apart. */
export const underBounds = (of: Matchers, window: string): string =>
  `sum by (le, status) (increase(${FAMILY}_bucket${matchers(of)}[${window}]))`;

export const rateByOperation = (of: Matchers, window: string): string =>
  `sum by (operation, resource) (rate(${FAMILY}_count${matchers(of)}[${window}]))`;

export const failedShare = (of: Matchers, window: string): string => {
  const failed = `sum(rate(${FAMILY}_count${matchers(of).replace(/}$/, ',status!="ok"}')}[${window}]))`;
  // `or 0 * total` gives 0 where requests were seen and none failed; where none were seen there is no value at all.
  return `(${failed} or 0 * ${rateOf(of, window)}) / (${rateOf(of, window)} > 0)`;
};

export const quantileOf = (share: number, family: string, of: Matchers, window: string): string => `histogram_quantile(${share}, sum(rate(${family}${matchers(of)}[${window}])))`;
export const quantile = (share: number, of: Matchers, window: string): string => quantileOf(share, FAMILY, of, window);

/** Connections that are open at a moment, by who is at the other end. */
export const openConnections = (service: string, window: string): string =>
  `sum by (peer, peer_address, protocol, side) (last_over_time(limpid_connection_active${matchers({ service })}[${window}]))`;

/** A program's share of a CPU and its runs per second, for the table of collectors. */
export const programTime = (host: string, window: string): string => `sum by (collector, program) (rate(limpid_program_run_time_seconds_total${matchers({ host })}[${window}]))`;
export const programRuns = (host: string, window: string): string => `sum by (collector, program) (rate(limpid_program_runs_total${matchers({ host })}[${window}]))`;

/** Memory, CPUs, open files and threads of processes at a moment; the label `of` says which. */
export function processUse(of: Matchers): string {
  const labelled = (what: string, text: string) => `label_replace(sum by (instance) (${text}), "of", "${what}", "", "")`;
  const gauge = (name: string) => `last_over_time(limpid_process_${name}${matchers(of)}[1m])`;
  return [
    labelled("memory", gauge("memory_usage_bytes")),
    labelled("files", gauge("open_files")),
    labelled("threads", gauge("threads")),
    labelled("cpu", `rate(limpid_process_cpu_time_seconds_total${matchers(of)}[1m])`),
  ].join(" or ");
}
