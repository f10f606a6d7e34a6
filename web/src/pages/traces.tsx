// Search of traces: what was found as points and as a list, failed and slow first, and how they spread.
import { fetchNotable, fetchTraces, type TraceSummary } from "../api/traces";
import { traceHref } from "../components/links";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { Table, type Column } from "../components/Table";
import { Scatter } from "../components/traces/Scatter";
import { Facets } from "../components/traces/Facets";
import { SearchBox } from "../components/traces/SearchBox";
import { MOST_TONES, TimeBar, TimeKey } from "../components/traces/TimeBar";
import { between, clock, count, milliseconds, plural } from "../domain/format";
import { mostTime } from "../domain/facets";
import { inside, parseRectangle, type Dot } from "../domain/scatter";
import { interval } from "../state/clock";
import { param, setParams, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, subject } from "../state/subject";

function columnsOf(longest: number, names: string[]): Column<TraceSummary>[] {
  const failed = (trace: TraceSummary) => (trace.errors ?? 0) > 0;
  return [
    { key: "start", head: "Start", value: (trace) => trace.start, cell: (trace) => clock(trace.start, utc.value, "milliseconds"), first: "descending" },
    { key: "root", head: "Root", value: (trace) => trace.root, cell: (trace) => <span class="el op"><a href={traceHref(trace.id)} title={trace.root}>{trace.root}</a> <span class="dim">{trace.service}</span></span> },
    {
      key: "errors", head: "Result", value: (trace) => (trace.errors ?? -1) * 1e9 + (trace.durationMs ?? 0), first: "descending",
      cell: (trace) => (failed(trace) ? <><Sign status="critical" size={12} /> {trace.code ?? "failed"}</> : (trace.code ?? "ok")), className: (trace) => (failed(trace) ? "b crit" : "dim"),
    },
    { key: "duration", head: "Duration", numeric: true, value: (trace) => trace.durationMs, cell: (trace) => milliseconds(trace.durationMs), className: () => "b" },
    { key: "bar", head: "Where the time went", optional: "h1c", value: (trace) => trace.durationMs, cell: (trace) => <TimeBar trace={trace} names={names} longest={longest} />, first: "descending" },
    { key: "spans", head: "spans", numeric: true, optional: "h1c", value: (trace) => trace.spans, cell: (trace) => count(trace.spans) },
    { key: "services", head: "services", numeric: true, optional: "h2c", value: (trace) => trace.services, cell: (trace) => count(trace.services) },
    { key: "id", head: "Trace", optional: "h2c", value: (trace) => trace.id, cell: (trace) => <span class="mono dim">{trace.id.slice(0, 8)}</span> },
  ];
}

export function TracesPage() {
  const text = param("q");
  const query = useQuery(subject(`traces ${text}`), moment(), (signal) => fetchNotable(text, interval.peek(), signal));
  const marked = param("sel");
  const rectangle = parseRectangle(marked);
  // A selection is searched for by itself: it may hold more than what the whole range's newest traces show of it.
  const chosen = useQuery(`chosen ${text} ${marked}`, "", (signal) => (rectangle ? fetchTraces(text, { start: rectangle.t0, end: rectangle.t1 }, signal, rectangle) : Promise.resolve([])));
  const found = query.data?.traces ?? [];
  const selected = rectangle ? (chosen.data ?? found.filter((trace) => inside(dotOf(trace), rectangle))) : null;
  const all = [...new Map([...found, ...(selected ?? [])].map((trace) => [trace.id, trace])).values()];
  const shown = selected ?? all;
  const names = mostTime(shown, MOST_TONES);
  const longest = all.reduce((most, trace) => Math.max(most, trace.durationMs ?? 0), 0.001);
  return (
    <div class="tracecol">
      <h1 class="vh">Traces</h1>
      <Busy on={query.stale} />
      <SearchBox query={text} />
      <FailureLine what="Traces" query={query} />
      {!query.data ? (
        <Nothing what="Traces" query={query} />
      ) : all.length === 0 ? (
        <NoTraces text={text} />
      ) : (
        <div class={`split${query.stale ? " dimmed" : ""}`}>
          <Facets traces={all} text={text} selected={selected} />
          <div class="col res" tabIndex={0} role="region" aria-label="Traces found">
            <Count all={all.length} cut={query.data.cut} shown={shown} rectangle={rectangle !== null} />
            <Scatter dots={all.filter((trace) => trace.start !== null && trace.durationMs !== null).map(dotOf)} interval={interval.value} selected={rectangle} />
            <div class="hd"><h2>Traces</h2><span class="sub">failed and slow first</span><TimeKey names={names} traces={shown} /></div>
            <Table label="Traces" rows={shown} columns={columnsOf(longest, names)} initial={{ key: "errors", direction: "descending" }} rowKey={(trace) => trace.id} most={100} />
          </div>
        </div>
      )}
    </div>
  );
}

const dotOf = (trace: TraceSummary): Dot => ({ id: trace.id, start: trace.start ?? 0, duration: trace.durationMs ?? 0, failed: (trace.errors ?? 0) > 0 });

function Count({ all, cut, shown, rectangle }: { all: number; cut: boolean; shown: TraceSummary[]; rectangle: boolean }) {
  const failed = shown.filter((trace) => (trace.errors ?? 0) > 0).length;
  const what = cut ? "the failed, the slowest and the newest ones; narrow the search or the range to see others" : "traces are a sample; rates and percentiles count every request";
  return (
    <div class="hd">
      <h2>Duration</h2>
      <span class="sub">
        {rectangle ? <><b>{plural(shown.length, "trace")} selected</b> of {count(all)}, {count(failed)} failed </> : <><b>{plural(all, "trace")}</b>, {count(failed)} with failures · {what} </>}
        {rectangle && <button class="btn s" onClick={() => setParams({ sel: null })}>All of them</button>}
      </span>
    </div>
  );
}

function NoTraces({ text }: { text: string }) {
  const { start, end } = interval.value;
  return (
    <div class="center">
      <p>{text ? `No trace matches ${text} in ${between(start, end, utc.value)}.` : `No traces in ${between(start, end, utc.value)}.`}</p>
      {text && <button class="btn" onClick={() => setParams({ q: null, sel: null })}>Remove the filter</button>}
    </div>
  );
}
