// The Prometheus API, and /api/timeline for the ribbon.
import type { Interval } from "../domain/range";
import { get } from "./http";
import { list, number, object, ShapeError, type Json } from "./read";

/** One line of a chart: a value per step, null where there is none (a gap stays a gap). */
export interface Series {
  labels: Record<string, string>;
  points: Map<number, number>;
}

export function readMatrix(body: unknown): Series[] {
  const data = object(object(body, "answer")["data"], "data");
  if (data["resultType"] !== "matrix") throw new ShapeError("data.resultType is not `matrix`");
  return list(data["result"], "result", series);
}

function series(value: Json, where: string): Series {
  const points = new Map<number, number>();
  for (const pair of Array.isArray(value["values"]) ? value["values"] : []) {
    if (!Array.isArray(pair)) throw new ShapeError(`${where}.values holds no pairs`);
    const at = number(pair[0]);
    const amount = number(pair[1]);
    if (at !== null && amount !== null) points.set(at, amount);
  }
  const labels = object(value["metric"] ?? {}, `${where}.metric`);
  return { labels: Object.fromEntries(Object.entries(labels).map(([key, label]) => [key, String(label)])), points };
}

export const queryRange = (query: string, { start, end }: Interval, step: number, signal: AbortSignal): Promise<Series[]> =>
  get("/api/v1/query_range", { query, start, end, step }, readMatrix, signal);

function readVector(body: unknown): Sample[] {
  const data = object(object(body, "answer")["data"], "data");
  if (data["resultType"] !== "vector") throw new ShapeError("data.resultType is not `vector`");
  return list(data["result"], "result", (value, where) => {
    const labels = object(value["metric"] ?? {}, `${where}.metric`);
    const pair = Array.isArray(value["value"]) ? value["value"] : [];
    return { labels: Object.fromEntries(Object.entries(labels).map(([key, label]) => [key, String(label)])), value: number(pair[1]) };
  });
}

/** One value per set of labels, at one moment. */
export interface Sample {
  labels: Record<string, string>;
  value: number | null;
}

export const queryAt = (query: string, time: number, signal: AbortSignal): Promise<Sample[]> =>
  get("/api/v1/query", { query, time }, readVector, signal);

export interface Bucket {
  requests: number;
  errors: number;
}
export interface Timeline extends Interval {
  buckets: (Bucket | null)[];
}

function readTimeline(body: unknown, asked: Interval): Timeline {
  const value = object(body, "timeline");
  const buckets = Array.isArray(value["buckets"]) ? value["buckets"].slice(0, 2000) : [];
  return {
    start: number(value["start"]) ?? asked.start,
    end: number(value["end"]) ?? asked.end,
    buckets: buckets.map((bucket) => {
      const requests = typeof bucket === "object" && bucket !== null ? number((bucket as Json)["requests"]) : null;
      return requests === null ? null : { requests, errors: number((bucket as Json)["errors"]) ?? 0 };
    }),
  };
}

export const fetchTimeline = (interval: Interval, buckets: number, signal: AbortSignal): Promise<Timeline> =>
  get("/api/timeline", { ...interval, buckets }, (body) => readTimeline(body, interval), signal);
