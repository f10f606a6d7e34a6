// /api/traces/facets: how the traces of a search spread, counted by the server over the whole range.
import { secondsOf } from "../domain/format";
import { floored, type Cell, type Heat } from "../domain/heat";
import type { Interval } from "../domain/range";
import { get } from "./http";
import { list, number, object, string, text, type Json } from "./read";

export interface FacetValue {
  value: string;
  traces: number;
  failed: number;
}
export interface Facet {
  key: string;
  traces: number;
  distinct: number;
  values: FacetValue[];
}
export interface Difference {
  key: string;
  value: string;
  selected: number;
  others: number;
}
export interface Exploration {
  traces: number;
  selected: number;
  failed: number;
  /** How many requests the traces stand for. */
  requests: number;
  selects: boolean;
  complete: boolean;
  /** The share of the time that was read, where there was too much. */
  share: number;
  facets: Facet[];
  apart: Difference[];
  heat: Heat;
  step: number;
}

const facet = (value: Json, where: string): Facet => ({
  key: text(value["key"]),
  traces: number(value["traces"]) ?? 0,
  distinct: number(value["distinct"]) ?? 0,
  values: list(value["values"], `${where}.values`, (one) => ({ value: text(one["value"]), traces: number(one["traces"]) ?? 0, failed: number(one["failed"]) ?? 0 })),
});

const MOST_COLUMNS = 1000;

/** Cells of columns of equal length; a column's time is its end. */
function heat(value: Json): { heat: Heat; step: number } {
  const start = secondsOf(string(value["start_ns"])) ?? 0;
  const end = secondsOf(string(value["end_ns"])) ?? start;
  const columns = Math.min(MOST_COLUMNS, Math.max(1, number(value["columns"]) ?? 1));
  const step = (end - start) / columns;
  const bounds = (Array.isArray(value["bounds_ms"]) ? value["bounds_ms"] : []).flatMap((bound) => number(bound) ?? []);
  const cells = list(value["cells"], "cells", (cell): Cell => ({ x: number(cell["x"]) ?? 0, y: number(cell["y"]) ?? 0, count: number(cell["traces"]) ?? 0, failed: number(cell["failed"]) ?? 0 }));
  const times = Array.from({ length: columns }, (_, column) => start + (column + 1) * step);
  return { heat: floored({ times, bounds, cells, most: 0 }), step };
}

export function readExploration(body: unknown): Exploration {
  const value = object(body, "facets");
  return {
    traces: number(value["traces"]) ?? 0,
    selected: number(value["selected"]) ?? 0,
    failed: number(value["failed"]) ?? 0,
    requests: number(value["requests"]) ?? 0,
    selects: value["selects"] === true,
    complete: value["complete"] !== false,
    share: number(value["share"]) ?? 1,
    facets: list(value["facets"], "facets", facet),
    apart: list(value["apart"], "apart", (one) => ({ key: text(one["key"]), value: text(one["value"]), selected: number(one["selected"]) ?? 0, others: number(one["others"]) ?? 0 })),
    ...heat(object(value["heat"] ?? {}, "heat")),
  };
}

export const fetchFacets = (q: string, sel: string, by: string, { start, end }: Interval, signal: AbortSignal): Promise<Exploration> =>
  get("/api/traces/facets", { q, sel, by, start, end }, readExploration, signal);
