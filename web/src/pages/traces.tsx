// Search of traces: how long they took over time, how they spread, and the failed and slow ones of them as a list.
import { fetchFacets, type Exploration } from "../api/facets";
import { fetchNotable, fetchTraces, type TraceSummary } from "../api/traces";
import { HeatCells, HeatKey, type Mark } from "../components/HeatCells";
import { traceHref } from "../components/links";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { Table, type Column } from "../components/Table";
import { Facets } from "../components/traces/Facets";
import { SearchBox } from "../components/traces/SearchBox";
import { MOST_TONES, TimeBar, TimeKey } from "../components/traces/TimeBar";
import { facetOf, mostTime } from "../domain/facets";
import { between, clock, count, day, milliseconds, plural, share } from "../domain/format";
import { parseRectangle, rectangleText } from "../domain/rectangle";
import { term } from "../domain/tracequery";
import { interval } from "../state/clock";
import { oldest } from "../state/health";
import { param, setParams, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, slowMoment, subject } from "../state/subject";

function columnsOf(longest: number, names: string[]): Column<TraceSummary>[] {
  const failed = (trace: TraceSummary) => (trace.errors ?? 0) > 0;
  return [
    { key: "start", head: "Start", value: (trace) => trace.start, text: (trace) => (trace.start === null ? "" : new Date(trace.start * 1000).toISOString()), cell: (trace) => clock(trace.start, utc.value, "milliseconds"), first: "descending" },
    { key: "root", head: "Root", value: (trace) => trace.root, text: (trace) => `${trace.root} ${trace.service}`, cell: (trace) => <span class="el op"><a href={traceHref(trace.id)} title={trace.root}>{trace.root}</a> <span class="dim">{trace.service}</span></span> },
    {
      key: "errors", head: "Result", value: (trace) => (trace.errors ?? -1) * 1e9 + (trace.durationMs ?? 0), text: (trace) => trace.code ?? (failed(trace) ? "failed" : "ok"), first: "descending",
      cell: (trace) => (failed(trace) ? <><Sign status="critical" size={12} /> {trace.code ?? "failed"}</> : (trace.code ?? "ok")), className: (trace) => (failed(trace) ? "b crit" : "dim"),
    },
    { key: "duration", head: "Duration", numeric: true, value: (trace) => trace.durationMs, cell: (trace) => milliseconds(trace.durationMs), className: () => "b" },
    { key: "bar", head: "Where the time went", optional: "h1c", value: (trace) => trace.durationMs, text: (trace) => trace.time.map((part) => `${part.service ?? "between"} ${milliseconds(part.ms)}`).join(", "), cell: (trace) => <TimeBar trace={trace} names={names} longest={longest} />, first: "descending" },
    { key: "spans", head: "spans", numeric: true, optional: "h1c", value: (trace) => trace.spans, cell: (trace) => count(trace.spans) },
    { key: "services", head: "services", numeric: true, optional: "h2c", value: (trace) => trace.services, cell: (trace) => count(trace.services) },
    { key: "id", head: "Trace", optional: "h2c", value: (trace) => trace.id, cell: (trace) => <span class="mono dim">{trace.id.slice(0, 8)}</span> },
  ];
}

export function TracesPage() {
  const text = param("q");
  const marked = param("sel");
  const by = param("by");
  const rectangle = parseRectangle(marked);
  const facets = useQuery(subject(`facets ${text} ${rectangle ? marked : ""} ${by}`), slowMoment(10), (signal) => fetchFacets(text, rectangle ? marked : "", by, interval.peek(), signal));
  // A selection is searched for by itself: it may hold more than what the whole range's newest traces show of it.
  const query = useQuery(subject(`traces ${text} ${rectangle ? marked : ""}`), moment(), async (signal) => {
    if (!rectangle) return fetchNotable(text, interval.peek(), signal);
    const traces = await fetchTraces(text, { start: rectangle.t0, end: rectangle.t1 }, signal, { d0: rectangle.d0, d1: rectangle.d1, order: "slowest" });
    return { traces, cut: false };
  });
  const list = query.data?.traces ?? [];
  const names = mostTime(list, MOST_TONES);
  const longest = list.reduce((most, trace) => Math.max(most, trace.durationMs ?? 0), 0.001);
  const found = facets.data;
  const isEmpty = query.data !== null && list.length === 0 && (found?.traces ?? 0) === 0;
  return (
    <div class="tracecol">
      <h1 class="vh">Traces</h1>
      <Busy on={query.stale || facets.stale} />
      <SearchBox query={text} suggested={suggestedBy(found)} />
      <FailureLine what="Traces" query={query} />
      {!query.data && !found ? (
        <Nothing what="Traces" query={query.error ? query : facets} />
      ) : isEmpty ? (
        <NoTraces text={text} />
      ) : (
        <div class={`split${query.stale ? " dimmed" : ""}`}>
          {found ? <Facets found={found} text={text} by={by} /> : <div class="col fc"><Nothing what="What they have in common" query={facets} /></div>}
          <div class="col res" tabIndex={0} role="region" aria-label="Traces found">
            {found && <Duration found={found} rectangle={marked} marks={marksOf(list)} />}
            <div class="hd"><h2>Traces</h2><span class="sub">failed and slow first{query.data?.cut && ", and the newest of all"}</span><TimeKey names={names} traces={list} /></div>
            {!query.data ? <Nothing what="The list of traces" query={query} /> : list.length === 0 ? <p class="sub">None of the selected ones is kept any more.</p> : <Table label="Traces" rows={list} columns={columnsOf(longest, names)} initial={{ key: "errors", direction: "descending" }} rowKey={(trace) => trace.id} />}
          </div>
        </div>
      )}
    </div>
  );
}

/** Terms that can be searched for here, from what was counted. */
function suggestedBy(found: Exploration | null): string[] {
  const terms = (found?.facets ?? []).flatMap((facet) => {
    const key = facetOf(facet.key).term;
    return key ? facet.values.map((value) => term(key, value.value)) : [];
  });
  return ["status:error", "status:ok", "duration:>1s", ...terms];
}

const MOST_MARKS = 12;

/** The slowest and the failed ones of the list, each once. */
function marksOf(list: TraceSummary[]): Mark[] {
  const known = list.filter((trace) => trace.start !== null && trace.durationMs !== null);
  const worst = [...known].sort((a, b) => Number((b.errors ?? 0) > 0) - Number((a.errors ?? 0) > 0) || (b.durationMs ?? 0) - (a.durationMs ?? 0));
  return worst.slice(0, MOST_MARKS).map((trace) => ({ id: trace.id, at: trace.start ?? 0, duration: trace.durationMs ?? 0, failed: (trace.errors ?? 0) > 0, href: traceHref(trace.id) }));
}

function Duration({ found, rectangle, marks }: { found: Exploration; rectangle: string; marks: Mark[] }) {
  const selected = parseRectangle(rectangle);
  return (
    <section>
      <div class="hd">
        <h2>Duration</h2>
        <span class="sub"><Count found={found} />{selected && <> <button class="btn s" onClick={() => setParams({ sel: null }, "push")}>All of them</button></>}</span>
        <HeatKey most={found.heat.most} failed={found.heat.cells.some((cell) => cell.failed * 2 >= cell.count)} marks={marks.length > 0} />
      </div>
      {!found.complete && <p class="sub">There is more than is read at once: counted in {share(found.share)} of the time, an equal part of each of its {found.heat.times.length} steps. A shorter range or a narrower search counts all.</p>}
      {found.heat.cells.length > 0 && (
        <HeatCells data={found.heat} step={found.step} interval={interval.value} unit="trace" label="Duration of traces over time" selected={selected} marks={marks}
          onSelect={(part) => setParams({ sel: rectangleText(part) }, "push")} />
      )}
    </section>
  );
}

const Count = ({ found }: { found: Exploration }) => (
  <>
    {found.selects ? <><b>{plural(found.selected, "trace")} selected</b> of {count(found.traces)}, {count(found.failed)} failed</> : <><b>{plural(found.traces, "trace")}</b>, {count(found.failed)} with failures</>}
    {" · "}{sampled(found)}
  </>
);

/** How many requests one trace stands for, said as people say it. */
function sampled({ traces, requests }: Exploration): string {
  const each = traces > 0 ? Math.round(requests / traces) : 1;
  return each > 1 ? `one in ${count(each)} traces kept, all failed and slow ones kept; rates and percentiles count every request` : "all of them kept; rates and percentiles count every request";
}

function NoTraces({ text }: { text: string }) {
  const { start, end } = interval.value;
  const gone = oldest.value !== null && end < oldest.value;
  return (
    <div class="center">
      {gone ? <p>Spans before {day(oldest.value, utc.value)} {clock(oldest.value, utc.value, "minutes")} are gone.</p>
        : <p>{text ? `No trace matches ${text} in ${between(start, end, utc.value)}.` : `No traces in ${between(start, end, utc.value)}.`}</p>}
      {text && !gone && <button class="btn" onClick={() => setParams({ q: null, sel: null })}>Remove the filter</button>}
    </div>
  );
}
