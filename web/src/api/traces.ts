// /api/traces: search, and one trace.
import { secondsOf } from "../domain/format";
import type { Interval } from "../domain/range";
import type { Span, SpanKind } from "../domain/tracetree";
import { get } from "./http";
import { attributes, list, number, object, string, text, type Json } from "./read";

export interface TraceSummary {
  id: string;
  root: string;
  service: string;
  start: number | null;
  durationMs: number | null;
  spans: number | null;
  errors: number | null;
  /** The first call's result. */
  code: string | null;
  services: number | null;
  /** Whose time it was, the largest first; without a service it is network or queue. */
  time: { service: string | null; ms: number }[];
}

const summary = (value: Json): TraceSummary => {
  const duration = secondsOf(string(value["duration_ns"]));
  return {
    id: text(value["trace_id"]),
    root: text(value["root"], "root not seen"),
    service: text(value["service"]),
    start: secondsOf(string(value["start_ns"])),
    durationMs: duration === null ? null : duration * 1000,
    spans: number(value["spans"]),
    errors: number(value["errors"]),
    code: string(value["code"]) || null,
    services: number(value["services"]),
    time: list(value["time"], "time", (part) => ({ service: string(part["service"]) || null, ms: (secondsOf(string(part["duration_ns"])) ?? 0) * 1000 })),
  };
};

const KINDS: readonly SpanKind[] = ["client", "server", "internal"];

const span = (value: Json): Span => ({
  id: text(value["span_id"]),
  parent: string(value["parent_span_id"]) || null,
  name: text(value["name"], "unnamed"),
  service: text(value["service"], "unknown"),
  instance: string(value["instance"]),
  kind: KINDS.find((kind) => kind === value["kind"]) ?? "internal",
  startNs: text(value["start_ns"], "0"),
  durationNs: text(value["duration_ns"], "0"),
  status: value["status"] === "error" ? "error" : value["status"] === "ok" ? "ok" : "unset",
  protocol: string(value["protocol"]),
  operation: string(value["operation"]),
  resource: string(value["resource"]) ?? null,
  code: string(value["code"]),
  peer: string(value["peer"]),
  attributes: attributes(value["attributes"]),
  resourceAttributes: typeof value["resource"] === "object" ? attributes(value["resource"]) : attributes(value["resource_attributes"]),
});

const TRACE_LIMIT = 300;

/** What is looked for most: the failed ones, the slowest, and the newest, each once. */
export async function fetchNotable(q: string, interval: Interval, signal: AbortSignal): Promise<{ traces: TraceSummary[]; cut: boolean }> {
  const failed = /(^|\s)status:/.test(q) ? [] : [fetchTraces(`${q} status:error`.trim(), interval, signal, { limit: FAILED_LIMIT })];
  const all = await Promise.all([
    fetchTraces(q, interval, signal, { limit: NEWEST_LIMIT }),
    fetchTraces(q, interval, signal, { limit: SLOWEST_LIMIT, order: "slowest" }),
    ...failed,
  ]);
  const traces = [...new Map(all.flat().map((trace) => [trace.id, trace])).values()];
  return { traces, cut: (all[0]?.length ?? 0) >= NEWEST_LIMIT };
}

const NEWEST_LIMIT = 200;
const SLOWEST_LIMIT = 100;
const FAILED_LIMIT = 100;

export const fetchTraces = (q: string, { start, end }: Interval, signal: AbortSignal, more: { d0?: number; d1?: number; limit?: number; order?: "slowest" } = {}): Promise<TraceSummary[]> =>
  get(
    "/api/traces",
    { q, start, end, limit: more.limit ?? TRACE_LIMIT, order: more.order, min_duration_ms: more.d0, max_duration_ms: more.d1 },
    (body) => list(object(body, "traces")["traces"], "traces", summary).filter((trace) => trace.id !== ""),
    signal,
  );

export interface OneTrace {
  spans: Span[];
  /** How many the server leaves out because there are too many. */
  omitted: number;
}

export const fetchTrace = (id: string, signal: AbortSignal): Promise<OneTrace> =>
  get(
    `/api/traces/${encodeURIComponent(id)}`,
    {},
    (body) => {
      const value = object(body, "trace");
      return { spans: [...new Map(list(value["spans"], "spans", span).map((one) => [one.id, one])).values()], omitted: number(value["omitted"]) ?? 0 };
    },
    signal,
  );
