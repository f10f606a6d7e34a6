// All services, worst first.
import { useMemo, useRef } from "preact/hooks";
import { fetchTopology } from "../api/topology";
import { nodeHref } from "../components/links";
import { NoRequests } from "../components/NoRequests";
import { PulseLine } from "../components/PulseLine";
import { KindGlyph, Magnifier, Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { Table, type Column } from "../components/Table";
import { nodeMatches, parseFilter } from "../domain/filter";
import { between, count, milliseconds, perSecond, plural, share } from "../domain/format";
import { isBad, severity, tone } from "../domain/status";
import { glyphOf, neighbourhood, runtimeOf, type MapNode } from "../domain/topology";
import { interval } from "../state/clock";
import { useKeys } from "../state/keys";
import { param, setParams, utc } from "../state/location";
import { useQuery } from "../state/query";
import { moment, subject } from "../state/subject";

const COLUMNS: Column<MapNode>[] = [
  { key: "state", head: "State", value: (node) => severity(node.status) * 1e9 - (node.rate ?? 0), cell: (node) => <Sign status={node.status} /> },
  { key: "name", head: "Service", value: (node) => node.name, cell: (node) => <><KindGlyph glyph={glyphOf(node, [])} size={14} /> <a class="el op" title={node.name} href={nodeHref(node)}>{node.name}</a></> },
  { key: "runtime", head: "Runs", optional: "h1c", value: runtimeOf, cell: (node) => <span class="dim">{runtimeOf(node)}</span> },
  { key: "pulse", head: "Over the range", optional: "h1c", value: (node) => node.requests, cell: (node) => <PulseLine pulse={node.pulse} />, first: "descending" },
  { key: "rate", head: "per s", numeric: true, value: (node) => node.made?.rate ?? node.rate, cell: (node) => (node.made ? <span class="dim">calls {perSecond(node.made.rate)}</span> : perSecond(node.rate)) },
  {
    key: "failed", head: "failed", numeric: true, value: (node) => node.errorRatio, cell: (node) => share(node.errorRatio),
    className: (node) => ((node.errorRatio ?? 0) > 0 ? (isBad(node.status) ? `b ${tone(node.status)}` : "") : "dim"),
  },
  { key: "p50", head: "p50", numeric: true, optional: "h1c", value: (node) => node.p50, cell: (node) => milliseconds(node.p50) },
  { key: "p95", head: "p95", numeric: true, value: (node) => node.p95, cell: (node) => milliseconds(node.p95) },
  { key: "p99", head: "p99", numeric: true, optional: "h2c", value: (node) => node.p99, cell: (node) => milliseconds(node.p99) },
  {
    key: "why", head: "Why", optional: "h2c", value: (node) => node.reasons[0]?.text,
    cell: (node) => <span class="el mid" style={{ display: "block", maxWidth: "420px" }} title={node.reasons[0]?.text}>{node.reasons[0]?.text ?? ""}</span>,
  },
];

export function ServicesPage() {
  // The map's own data: what a service calls, and in which protocols, can be filtered by here too.
  const query = useQuery(subject("topology service"), moment(), (signal) => fetchTopology(interval.peek(), "service", signal));
  const filter = param("q");
  const input = useRef<HTMLInputElement>(null);
  useKeys(() => [{ keys: "f", what: "find on the page", run: () => input.current?.focus() }], []);
  const terms = useMemo(() => parseFilter(filter), [filter]);
  const topology = query.data;
  if (!topology) return <div class="col grow"><h1 class="vh">Services</h1><Nothing what="Services" query={query} /></div>;
  const around = neighbourhood(topology);
  const all = topology.nodes.filter((node) => node.kind === "service");
  const shown = all.filter((node) => nodeMatches(terms, node, around));
  const bad = all.filter((node) => isBad(node.status) || node.status === "no_data").length;
  const affected = all.filter((node) => node.status === "affected").length;
  const { start, end } = interval.value;
  const range = between(start, end, utc.value);
  return (
    <div class="col grow" tabIndex={0} role="region" aria-label="Services">
      <Busy on={query.stale} />
      <FailureLine what="Services" query={query} />
      <div class={`pad${query.stale ? " dimmed" : ""}`}>
        <div class="pagehead">
          <div class="grow">
            <h1>{bad || affected ? `${count(bad)} of ${plural(all.length, "service")} ${bad === 1 ? "deviates" : "deviate"}${affected ? `, ${count(affected)} affected by a callee` : ""}` : `Nothing deviates in ${range}`}</h1>
            <div class="sub">{plural(all.length, "service")} in {range}, worst first</div>
          </div>
          <label class="find">
            <Magnifier size={12} />
            <input ref={input} value={filter} placeholder={`Filter ${plural(all.length, "service")}`} aria-label="Filter services" spellcheck={false} onInput={(event) => setParams({ q: event.currentTarget.value })} />
          </label>
        </div>
        {all.length === 0 && <NoRequests />}
        {all.length > 0 && shown.length === 0 && (
          <p class="notice">No service matches {filter}. {count(all.length)} without this filter. <button class="btn s" onClick={() => setParams({ q: null })}>Remove it</button></p>
        )}
        {shown.length > 0 && <Table label="Services" rows={shown} columns={COLUMNS} initial={{ key: "state", direction: "ascending" }} rowKey={(node) => node.id} sortParam="sort" />}
      </div>
    </div>
  );
}
