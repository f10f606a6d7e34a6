// Requests by operation of one process or of one endpoint outside, failing and slow first.
import { queryAt } from "../../api/series";
import { milliseconds, perSecond, share } from "../../domain/format";
import { carried, partsOf, type Carried } from "../../domain/operations";
import { matchers, p95ByOperation, ratesByOperation, windowOver, type Matchers } from "../../domain/promql";
import { interval } from "../../state/clock";
import { useQuery } from "../../state/query";
import { slowMoment, subject } from "../../state/subject";
import { shareTone } from "../service/tables";
import { FailureLine, Nothing } from "../states";
import { Table, type Column } from "../Table";

const COLUMNS: Column<Carried>[] = [
  { key: "name", head: "Operation", value: (row) => row.name, cell: (row) => <span class="el op" title={row.name}>{row.name}</span> },
  { key: "rate", head: "per s", numeric: true, value: (row) => row.rate, cell: (row) => perSecond(row.rate) },
  { key: "failed", head: "failed", numeric: true, value: (row) => row.errorRatio * 1e6 + (row.p95 ?? 0), text: (row) => share(row.errorRatio), cell: (row) => share(row.errorRatio), className: (row) => shareTone(row.errorRatio) },
  { key: "codes", head: "Result of the failed", optional: "h1c", value: (row) => row.codes.join(", "), cell: (row) => row.codes.join(", ") || <span class="dim">–</span> },
  { key: "p95", head: "p95", numeric: true, value: (row) => row.p95, cell: (row) => milliseconds(row.p95) },
];

export function CarriedPart({ title, sub, of, empty, whole = null }: { title: string; sub: string; of: Matchers; empty: string; whole?: number | null }) {
  const query = useQuery(subject(`carried ${matchers(of)}`), slowMoment(10), async (signal) => {
    const { start, end } = interval.peek();
    const window = windowOver({ start, end });
    const [rates, slow] = await Promise.all([queryAt(ratesByOperation(of, window), end, signal), queryAt(p95ByOperation(of, window), end, signal)]);
    return carried(rates, slow);
  });
  return (
    <section class={query.stale ? "dimmed" : ""}>
      <div class="hd"><h2>{title}</h2><span class="sub">{sub}</span></div>
      <FailureLine what={title} query={query} />
      {query.data === null ? <Nothing what={title} query={query} /> : query.data.length === 0 ? <p class="sub">{empty}</p> : <Table label={title} rows={partsOf(query.data, whole)} columns={COLUMNS} initial={{ key: "failed", direction: "descending" }} rowKey={(row) => row.name} />}
    </section>
  );
}
