// Search of traces: what was found as points and as a list, failed and slow first, and how they spread.
import { fetchTraces, TRACE_LIMIT, type TraceSummary } from "../api/traces";
import { traceHref } from "../components/links";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { Table, type Column } from "../components/Table";
import { Scatter } from "../components/traces/Scatter";
import { SearchBox } from "../components/traces/SearchBox";
import { between, clock, count, milliseconds, MISSING, plural } from "../domain/format";
import { inside, parseRectangle, type Dot } from "../domain/scatter";
import { quoted, withTerm } from "../domain/tracequery";
import { interval } from "../state/clock";
import { hrefHere, param, setParams, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, subject } from "../state/subject";

function columnsOf(longest: number): Column<TraceSummary>[] {
  return [
    { key: "start", head: "Start", value: (trace) => trace.start, cell: (trace) => clock(trace.start, utc.value, "milliseconds"), first: "descending" },
    { key: "root", head: "Root", value: (trace) => trace.root, cell: (trace) => <span class="el op"><a href={traceHref(trace.id)}>{trace.root}</a> <span class="dim">{trace.service}</span></span> },
    {
      key: "errors", head: "Failed calls", numeric: true, value: (trace) => (trace.errors ?? -1) * 1e9 + (trace.durationMs ?? 0),
      cell: (trace) => ((trace.errors ?? 0) > 0 ? <><Sign status="critical" size={12} quiet /> {count(trace.errors)}</> : count(trace.errors)), className: (trace) => ((trace.errors ?? 0) > 0 ? "b crit" : "dim"),
    },
    { key: "duration", head: "Duration", numeric: true, value: (trace) => trace.durationMs, cell: (trace) => milliseconds(trace.durationMs), className: () => "b" },
    { key: "bar", head: "Against the longest", optional: "h1c", value: (trace) => trace.durationMs, cell: (trace) => <Bar share={(trace.durationMs ?? 0) / longest} failed={(trace.errors ?? 0) > 0} />, first: "descending" },
    { key: "spans", head: "spans", numeric: true, optional: "h1c", value: (trace) => trace.spans, cell: (trace) => count(trace.spans) },
    { key: "id", head: "Trace", optional: "h2c", value: (trace) => trace.id, cell: (trace) => <span class="mono dim" style={{ paddingLeft: "16px" }}>{trace.id.slice(0, 8)}</span> },
  ];
}

const Bar = ({ share, failed }: { share: number; failed: boolean }) => (
  <svg class="gl" width="220" height="9" aria-hidden="true">
    <rect width={Math.max(1, 220 * Math.min(1, share))} height="9" fill={failed ? "var(--crit-g)" : "var(--p50)"} />
  </svg>
);

export function TracesPage() {
  const text = param("q");
  const query = useQuery(subject(`traces ${text}`), moment(), (signal) => fetchTraces(text, interval.peek(), signal));
  const rectangle = parseRectangle(param("sel"));
  const all = query.data ?? [];
  const shown = rectangle ? all.filter((trace) => inside(dotOf(trace), rectangle)) : all;
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
          <Facets traces={all} text={text} />
          <div class="col res" tabIndex={0} role="region" aria-label="Traces found">
            <Count all={all.length} shown={shown} rectangle={rectangle !== null} />
            <Scatter dots={all.filter((trace) => trace.start !== null && trace.durationMs !== null).map(dotOf)} interval={interval.value} selected={rectangle} />
            <Table label="Traces" rows={shown} columns={columnsOf(longest)} initial={{ key: "errors", direction: "descending" }} rowKey={(trace) => trace.id} most={100} />
          </div>
        </div>
      )}
    </div>
  );
}

const dotOf = (trace: TraceSummary): Dot => ({ id: trace.id, start: trace.start ?? 0, duration: trace.durationMs ?? 0, failed: (trace.errors ?? 0) > 0 });

function Count({ all, shown, rectangle }: { all: number; shown: TraceSummary[]; rectangle: boolean }) {
  const failed = shown.filter((trace) => (trace.errors ?? 0) > 0).length;
  const cut = all >= TRACE_LIMIT ? `the first ${count(TRACE_LIMIT)} found, narrow the search or the range to see the others` : "traces are a sample, rates and percentiles elsewhere count every request";
  return (
    <div class="hd">
      <h2>Duration</h2>
      <span class="sub">
        {rectangle ? <><b>{plural(shown.length, "trace")} selected</b> of {count(all)}, {count(failed)} failed </> : <><b>{plural(all, "trace")}</b>, {count(failed)} with failures · {cut} </>}
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

/** How the traces found spread over roots and services; a click narrows the search. */
function Facets({ traces, text }: { traces: TraceSummary[]; text: string }) {
  const failed = traces.filter((trace) => (trace.errors ?? 0) > 0).length;
  return (
    <div class="col fc" tabIndex={0} role="region" aria-label="How the traces spread">
      <h2>Result</h2>
      <Value name="with failures" amount={failed} all={traces.length} href={hrefHere({ q: withTerm(text, "status", "error"), sel: null })} bad />
      <Value name="without" amount={traces.length - failed} all={traces.length} />
      <h2>Starts at</h2>
      {top(traces.map((trace) => trace.service)).map(([name, amount]) => (
        <Value key={name} name={name || MISSING} amount={amount} all={traces.length} href={hrefHere({ q: withTerm(text, "service", name), sel: null })} />
      ))}
      <h2>Root</h2>
      {top(traces.map((trace) => trace.root)).map(([name, amount]) => (
        <Value key={name} name={name} amount={amount} all={traces.length} href={hrefHere({ q: [text, `operation:${quoted(name)}`].filter(Boolean).join(" "), sel: null })} />
      ))}
    </div>
  );
}

function top(values: string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 8);
}

function Value({ name, amount, all, href, bad = false }: { name: string; amount: number; all: number; href?: string; bad?: boolean }) {
  const content = (
    <>
      <span class="el" title={name}>{name}</span>
      <span class="track" aria-hidden="true"><i class={bad ? "bad" : ""} style={{ width: `${(amount / Math.max(1, all)) * 100}%` }} /></span>
      <span class="num">{count(amount)}</span>
    </>
  );
  return href ? <a class="fv" href={href}>{content}</a> : <div class="fv">{content}</div>;
}
