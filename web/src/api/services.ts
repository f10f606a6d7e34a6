// /api/services/…/operations, /api/entities: what one service does and what it runs as.
import { secondsOf } from "../domain/format";
import type { Interval } from "../domain/range";
import { get } from "./http";
import { attributes, list, number, object, string, text, type Json } from "./read";

export interface Operation {
  protocol: string;
  operation: string;
  resource: string;
  requests: number | null;
  errors: number | null;
  rate: number | null;
  errorRatio: number | null;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  side: string | null;
}

export interface Entity {
  id: string;
  kind: string;
  name: string;
  start: number | null;
  end: number | null;
  attributes: Record<string, string>;
}

const operation = (value: Json): Operation => ({
  protocol: text(value["protocol"]),
  operation: text(value["operation"]),
  resource: text(value["resource"]),
  requests: number(value["requests"]),
  errors: number(value["errors"]),
  rate: number(value["requests_per_second"]),
  errorRatio: number(value["error_ratio"]),
  p50: number(value["p50_ms"]),
  p95: number(value["p95_ms"]),
  p99: number(value["p99_ms"]),
  side: string(value["side"]),
});

const entity = (value: Json): Entity => ({
  id: text(value["id"]),
  kind: text(value["kind"]),
  name: text(value["name"], text(value["id"])),
  start: secondsOf(string(value["start_ns"])),
  end: secondsOf(string(value["end_ns"])),
  attributes: attributes(value["attributes"]),
});

export const fetchOperations = (scope: string, name: string, { start, end }: Interval, signal: AbortSignal): Promise<Operation[]> =>
  get(
    `/api/services/${encodeURIComponent(scope)}/${encodeURIComponent(name)}/operations`,
    { start, end },
    (body) => list(object(body, "operations")["operations"], "operations", operation),
    signal,
  );

export const fetchRelated = (id: string, by: string, { start, end }: Interval, signal: AbortSignal): Promise<Entity[]> =>
  get(
    `/api/entities/${encodeURIComponent(id)}/related`,
    { by, start, end },
    (body) => list(object(body, "entities")["entities"], "entities", entity),
    signal,
  );

export const fetchEntity = (id: string, { start, end }: Interval, signal: AbortSignal): Promise<Entity> =>
  get(`/api/entities/${encodeURIComponent(id)}`, { start, end }, (body) => entity(object(body, "entity")), signal);
