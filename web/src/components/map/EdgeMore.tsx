// What an edge carries and how long it took over time: asked for in PromQL only when the edge is looked at.
import { queryAt, queryRange } from "../../api/series";
import { milliseconds, perSecond, share } from "../../domain/format";
import { carried, edgeMatchers, partsOf, type Carried } from "../../domain/operations";
import { p95ByOperation, p95Of, ratesByOperation, step, windowOf, windowOver, type Matchers } from "../../domain/promql";
import { protocolName, type MapEdge, type Neighbourhood } from "../../domain/topology";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { moment, slowMoment, subject } from "../../state/subject";
import { Chart, type Line } from "../Chart";
import { shareTone } from "../service/tables";
import { FailureLine } from "../states";

const POINTS = 80;
const MOST = 12;

interface Props {
  edge: MapEdge;
  around: Neighbourhood;
}

const DATABASES = ["postgresql", "mysql", "mongodb", "cassandra", "clickhouse"];

export function EdgeOperations({ edge, around }: Props) {
  const of = edgeMatchers(edge, "server", around) ?? edgeMatchers(edge, "client", around);
  const query = useQuery(subject(`carried ${edge.id}`), slowMoment(10), async (signal) => {
    const { start, end } = interval.peek();
    const window = windowOver({ start, end });
    const both = of ? await Promise.all([queryAt(ratesByOperation(of, window), end, signal), queryAt(p95ByOperation(of, window), end, signal)]) : null;
    return both ? carried(...both, edge.protocol) : [];
  });
  if (!of || (query.data !== null && query.data.length === 0)) return null;
  const isDatabase = DATABASES.includes(edge.protocol);
  return (
    <div class="sec">
      <div class="hd"><h2>{isDatabase ? "Statements" : edge.protocol === "dns" ? "Lookups" : "Operations"}</h2><span class="sub">failing and slow first</span></div>
      <FailureLine what="Operations" query={query} />
      {query.data && <CarriedTable rows={partsOf(query.data, edge.rate).slice(0, MOST)} mono={isDatabase} />}
      {query.data && query.data.length > MOST && <p class="sub">{query.data.length - MOST} more, see the service.</p>}
    </div>
  );
}

export function CarriedTable({ rows, mono = false }: { rows: Carried[]; mono?: boolean }) {
  return (
    <table class="carried">
      <thead><tr><th><span class="vh">Operation</span></th><th class="num">per s</th><th class="num">failed</th><th class="num">p95</th></tr></thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.name}>
            <td class="w"><span class={mono ? "mono" : ""}>{row.name}</span>{row.codes.length > 0 && <span class="crit"> {row.codes.join(", ")}</span>}</td>
            <td class="num">{perSecond(row.rate)}</td>
            <td class={`num ${shareTone(row.errorRatio)}`}>{share(row.errorRatio)}</td>
            <td class="num">{milliseconds(row.p95)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function EdgeChart({ edge, around }: Props) {
  const { start, end } = interval.value;
  const size = step(start, end, POINTS);
  const sides: [string, string, Matchers | null][] = [["caller", "--s-client", edgeMatchers(edge, "client", around)], ["server", "--s-server", edgeMatchers(edge, "server", around)]];
  const query = useQuery(subject(`p95 ${edge.id}`), moment(), (signal) =>
    Promise.all(sides.map(async ([name, color, of]): Promise<Line | null> => {
      if (!of) return null;
      const [found] = await queryRange(p95Of(of, windowOf(size)), { start: Math.floor(start / size) * size, end }, size, signal);
      return found ? { name, color, points: new Map([...found.points].map(([at, seconds]) => [at, seconds * 1000])) } : null;
    })),
  );
  const lines = (query.data ?? []).filter((line): line is Line => line !== null);
  if (query.data !== null && lines.length === 0) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>p95</h2><span class="sub">{milliseconds(edge.p95)} in this range</span></div>
      <FailureLine what="The chart" query={query} />
      <Chart interval={interval.value} step={size} named lines={lines} format={milliseconds} sentence={`p95 of ${protocolName(edge.protocol)} over time, ${milliseconds(edge.p95)} in this range`} />
    </div>
  );
}
