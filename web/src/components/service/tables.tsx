// What a service does, by operation, and what it runs as.
import type { Entity, Operation } from "../../api/services";
import { bytes, clock, count, milliseconds, MISSING, perSecond, share, span } from "../../domain/format";
import { used } from "../../domain/processes";
import { protocolName, type MapNode } from "../../domain/topology";
import { operationKey, operationName } from "../../domain/changes";
import { queryAt, queryRange } from "../../api/series";
import { ofService, processUse, rateByOperation, step, timeSpent, windowOf, windowOver } from "../../domain/promql";
import { interval, now } from "../../state/clock";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { Spark } from "../Spark";
import { hrefHere, utc } from "../../state/location";
import { entityHref, operationQuery } from "../links";
import { href } from "../../state/location";
import { Table, type Column } from "../Table";

export { operationName };

const failedOf = (row: Operation): number | null => row.errorRatio;

/** Of a row, and of the labels of its series. */
const keyOf = ({ operation, resource }: { operation?: string | null; resource?: string | null }): string => `${operation ?? ""}\u0000${resource ?? ""}`;

/** Rates over time and time taken by operation, from the same family as everything else. */
function useOverTime(service: string, side: "server" | "client") {
  const { start, end } = interval.value;
  const size = step(start, end, SPARK_POINTS);
  const of = ofService(service, side);
  return useQuery(subject(`by operation ${service} ${side}`), slowMoment(15), async (signal) => {
    const [lines, spent] = await Promise.all([
      queryRange(rateByOperation(of, windowOf(size)), { start: Math.floor(start / size) * size, end }, size, signal),
      queryAt(timeSpent(of, windowOver({ start, end }), ["operation", "resource"]), end, signal),
    ]);
    const total = spent.reduce((sum, one) => sum + (one.value ?? 0), 0);
    return { lines: new Map(lines.map((line) => [keyOf(line.labels), line.points])), shares: new Map(spent.map((one) => [keyOf(one.labels), (one.value ?? 0) / (total || 1)])) };
  });
}

const SPARK_POINTS = 60;

interface OperationsProps {
  service: string;
  rows: Operation[];
  side: "server" | "client";
  /** The same then, and what that time is called. */
  before?: { rows: Operation[]; name: string } | null;
  most?: number;
}

export function Operations({ service, rows, side, before, most }: OperationsProps) {
  const { start, end } = interval.value;
  const { data } = useOverTime(service, side);
  const past = new Map(before?.rows.map((row) => [operationKey(row), row]));
  const traces = (row: Operation) => href("/traces", { q: operationQuery(service, row) });
  const then: Column<Operation>[] = before ? [{ key: "before", head: `p95 ${before.name}`, numeric: true, optional: "h1c", value: (row) => past.get(operationKey(row))?.p95, cell: (row) => milliseconds(past.get(operationKey(row))?.p95), className: () => "dim" }] : [];
  const columns: Column<Operation>[] = [
    { key: "operation", head: "Operation", value: operationName, cell: (row) => <a class="el op" href={traces(row)} title={operationName(row)}>{operationName(row)}</a> },
    { key: "protocol", head: "Protocol", optional: "h1c", value: (row) => row.protocol, cell: (row) => <span class="dim">{protocolName(row.protocol)}</span> },
    { key: "line", head: span(end - start), optional: "h2c", value: (row) => row.rate, cell: (row) => <Spark points={data?.lines.get(keyOf(row))} start={start} end={end} />, first: "descending" },
    { key: "rate", head: "per s", numeric: true, value: (row) => row.rate, cell: (row) => perSecond(row.rate) },
    { key: "failed", head: "failed", numeric: true, value: (row) => (failedOf(row) ?? -1) * 1e6 + (row.p95 ?? 0), cell: (row) => share(failedOf(row)), className: (row) => shareTone(failedOf(row)) },
    { key: "p50", head: "p50", numeric: true, optional: "h1c", value: (row) => row.p50, cell: (row) => milliseconds(row.p50) },
    { key: "p95", head: "p95", numeric: true, value: (row) => row.p95, cell: (row) => milliseconds(row.p95) },
    ...then,
    { key: "p99", head: "p99", numeric: true, optional: "h2c", value: (row) => row.p99, cell: (row) => milliseconds(row.p99) },
    { key: "latency", head: "Latency", optional: "h2c", value: operationName, text: () => "", cell: (row) => <a href={hrefHere({ op: operationName(row), tab: null })} >heat map<span class="vh"> of {operationName(row)}</span></a> },
    { key: "share", head: "time share", numeric: true, optional: "h2c", value: (row) => data?.shares.get(keyOf(row)), cell: (row) => share(data?.shares.get(keyOf(row))) },
  ];
  return <Table label="Operations" rows={rows} columns={columns} initial={{ key: "failed", direction: "descending" }} rowKey={(row) => `${row.side} ${operationKey(row)}`} {...(most && { most })} />;
}

/** The same limits as the rules of the map: one in twenty is critical, one in a hundred a warning. */
export function shareTone(ratio: number | null): string {
  if (!ratio) return "dim";
  if (ratio >= 0.05) return "b crit";
  return ratio >= 0.01 ? "b warn" : "";
}

export function Instances({ entities, nodes, service }: { entities: Entity[]; nodes: Map<string, MapNode>; service: string }) {
  const use = useQuery(subject(`use of ${service}`), slowMoment(10), async (signal) => used(await queryAt(processUse({ service }), interval.peek().end, signal)));
  const useOf = (entity: Entity) => use.data?.get(entity.id);
  const limit = (entity: Entity) => Number(entity.attributes["limpid.limit.memory_bytes"] ?? NaN);
  const of = (entity: Entity) => nodes.get(entity.id);
  const columns: Column<Entity>[] = [
    { key: "name", head: "Process", value: (row) => row.name, cell: (row) => <a href={entityHref(row.id)}>{row.name}</a> },
    { key: "host", head: "Host", optional: "h1c", value: (row) => row.attributes["host.name"], cell: (row) => row.attributes["host.name"] ?? <span class="dim">{MISSING}</span> },
    { key: "listen", head: "Listens on", optional: "h2c", value: (row) => row.attributes["limpid.listen"], cell: (row) => <span class="mono el" style={{ display: "inline-block", maxWidth: "220px", verticalAlign: "bottom" }}>{row.attributes["limpid.listen"] ?? MISSING}</span> },
    { key: "rate", head: "per s", numeric: true, value: (row) => of(row)?.rate, cell: (row) => perSecond(of(row)?.rate) },
    { key: "failed", head: "failed", numeric: true, value: (row) => of(row)?.errorRatio, cell: (row) => share(of(row)?.errorRatio), className: (row) => shareTone(of(row)?.errorRatio ?? null) },
    { key: "p95", head: "p95", numeric: true, value: (row) => of(row)?.p95, cell: (row) => milliseconds(of(row)?.p95) },
    { key: "cpu", head: "CPU", numeric: true, optional: "h1c", value: (row) => useOf(row)?.cpus, cell: (row) => share(useOf(row)?.cpus) },
    { key: "memory", head: "memory", numeric: true, optional: "h1c", value: (row) => useOf(row)?.memory, cell: (row) => `${bytes(useOf(row)?.memory)}${Number.isFinite(limit(row)) ? ` of ${bytes(limit(row))}` : ""}` },
    { key: "threads", head: "threads", numeric: true, optional: "h2c", value: (row) => useOf(row)?.threads, cell: (row) => count(useOf(row)?.threads) },
    { key: "seen", head: "seen", numeric: true, optional: "h1c", value: (row) => row.end, cell: (row) => seen(row) },
  ];
  return <Table label="Instances" rows={entities} columns={columns} initial={{ key: "rate", direction: "descending" }} rowKey={(row) => `${row.id} ${row.start ?? ""}`} />;
}

function seen(entity: Entity): string {
  if (entity.start === null) return MISSING;
  const gone = entity.end !== null && now.value - entity.end > 180;
  return gone ? `until ${clock(entity.end, utc.value)}` : `for ${span((entity.end ?? now.value) - entity.start)}`;
}
