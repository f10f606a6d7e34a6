// Latency over time, of all requests or of one operation: every request counts. A cell or a drawn part leads to the
// traces behind it; the diamonds are the slowest and the failed ones that were kept.
import { queryRange } from "../../api/series";
import type { Operation } from "../../api/services";
import { fetchTraces } from "../../api/traces";
import { operationKey, operationName } from "../../domain/changes";
import { heat, isFailed } from "../../domain/heat";
import { ofService, underBounds, type Matchers } from "../../domain/promql";
import { rectangleText } from "../../domain/rectangle";
import { interval } from "../../state/clock";
import { go, href, param, setParams } from "../../state/location";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { HeatCells, HeatKey, type Mark } from "../HeatCells";
import { operationQuery, traceHref } from "../links";
import { FailureLine } from "../states";

const COLUMNS = 90;
/** Agents send every five seconds: a shorter column would often hold one sample only, and so nothing. */
const LEAST_SECONDS = 15;
const MARKS = 6;

export function HeatMap({ name, side, operations }: { name: string; side: "server" | "client"; operations: Operation[] }) {
  const { start, end } = interval.value;
  const size = Math.max(LEAST_SECONDS, Math.ceil((end - start) / COLUMNS / 5) * 5);
  const chosen = operations.find((row) => operationName(row) === param("op"));
  const of: Matchers = { ...ofService(name, side), ...(chosen && { operation: chosen.operation, resource: chosen.resource }) };
  const key = chosen ? operationKey(chosen) : "";
  const search = operationQuery(name, chosen);
  const query = useQuery(subject(`heat ${name} ${side} ${key}`), slowMoment(10), async (signal) => {
    const from = Math.ceil(start / size) * size;
    return heat(await queryRange(underBounds(of, `${size}s`), { start: from, end: Math.floor(end / size) * size }, size, signal));
  });
  const marks = useQuery(subject(`marks ${search}`), slowMoment(30), (signal) => marksOf(search, signal));
  if (query.data !== null && query.data.cells.length === 0 && !chosen) return null;
  return (
    <section class={query.stale ? "dimmed" : ""}>
      <div class="hd heathead">
        <h2>Latency of</h2>
        <select aria-label="Operation" value={chosen ? operationName(chosen) : ""} onChange={(event) => setParams({ op: event.currentTarget.value }, "push")}>
          <option value="">all requests</option>
          {[...operations].sort((a, b) => (b.requests ?? 0) - (a.requests ?? 0)).slice(0, 100).map((row) => <option key={operationKey(row)} value={operationName(row)}>{operationName(row)}</option>)}
        </select>
        <span class="sub">{side === "client" ? "as its callers see them · " : ""}click or drag to see the traces behind it</span>
        {query.data && <HeatKey most={query.data.most} failed={query.data.cells.some(isFailed)} marks={(marks.data?.length ?? 0) > 0} />}
      </div>
      <FailureLine what="The heat map" query={query} />
      {!query.data ? <div style={{ height: "120px" }} />
        : query.data.cells.length === 0 ? <p class="sub">This operation was not called in this range.</p>
          : <HeatCells data={query.data} step={size} interval={interval.value} unit="request" label={`Latency of requests of ${name}${chosen ? `, ${operationName(chosen)}` : ""}`} marks={marks.data ?? []}
              onSelect={(part) => go(href("/traces", { q: search, sel: rectangleText(part) }))} />}
    </section>
  );
}

/** Traces whose first call is the service's own: a mark stands for a request of this picture. */
async function marksOf(search: string, signal: AbortSignal): Promise<Mark[]> {
  const [slow, failed] = await Promise.all([
    fetchTraces(search, interval.peek(), signal, { limit: MARKS, order: "slowest" }),
    fetchTraces(`${search} status:error`, interval.peek(), signal, { limit: MARKS }),
  ]);
  const all = [...new Map([...slow, ...failed].map((trace) => [trace.id, trace])).values()];
  return all.filter((trace) => trace.start !== null && trace.durationMs !== null).slice(0, 2 * MARKS)
    .map((trace) => ({ id: trace.id, at: trace.start ?? 0, duration: trace.durationMs ?? 0, failed: (trace.errors ?? 0) > 0, href: traceHref(trace.id) }));
}
