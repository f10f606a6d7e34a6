// One endpoint outside: how it answers those who call it. Nobody watches it, so all is told as its callers saw it.
import { useMemo } from "preact/hooks";
import { fetchTopology } from "../api/topology";
import { CarriedPart } from "../components/entity/Carried";
import { Removed } from "../components/entity/Removed";
import { entityHref, onMapHref, tracesOfEdge } from "../components/links";
import { Attributes } from "../components/map/NodeDetail";
import { Reasons } from "../components/Reasons";
import { Sentence } from "../components/Sentence";
import { Compare, pastOf, useCompareKey, useThen } from "../components/Compare";
import { Figures } from "../components/service/Figures";
import { shareTone } from "../components/service/tables";
import { Sign } from "../components/Sign";
import { Busy, FailureLine, Nothing } from "../components/states";
import { Table, type Column } from "../components/Table";
import { leadingReason } from "../domain/findings";
import { milliseconds, perSecond, plural, share } from "../domain/format";
import type { Matchers } from "../domain/promql";
import { severity } from "../domain/status";
import { nameOf, neighbourhood, protocolName, type MapEdge, type Neighbourhood, type Topology } from "../domain/topology";
import { interval } from "../state/clock";
import { path, pathParts } from "../state/location";
import { useQuery } from "../state/query";
import { moment, subject } from "../state/subject";

const EMPTY: Topology = { nodes: [], edges: [] };

export function ExternalPage() {
  const name = pathParts("/external/").join("/");
  const id = `external:${name}`;
  const past = pastOf();
  useCompareKey();
  const map = useQuery(subject("topology service"), moment(), (signal) => fetchTopology(interval.peek(), "service", signal));
  const { known: then } = useThen(`external ${id}`, async (at, signal) => ({ node: (await fetchTopology(at, "service", signal)).nodes.find((one) => one.id === id) }));
  const around = useMemo(() => neighbourhood(map.data ?? EMPTY), [map.data]);
  if (!map.data) return <div class="col grow"><h1 class="vh">{name}</h1><Nothing what="The endpoint" query={map} /></div>;
  const node = around.byId.get(id);
  if (!node) return <Removed what="The endpoint" id={path.value} />;
  const incoming = around.incoming.get(id) ?? [];
  const of: Matchers = { peer_address: name, side: "client" };
  const ports = [...new Set(incoming.flatMap((edge) => edge.attributes["server.address"] ?? []))];
  return (
    <>
      <Busy on={map.stale} />
      <div class="col grow" tabIndex={0} role="region" aria-label={name}>
        <FailureLine what="The endpoint" query={map} />
        <div class="head">
          <div class="grow">
            <div class="pagehead" style={{ marginBottom: "2px" }}>
              <Sign status={node.status} size={17} />
              <h1>{name}</h1>
              <span class="sub el">{["outside", ...new Set(incoming.map((edge) => protocolName(edge.protocol))), `called by ${plural(new Set(incoming.map((edge) => edge.source)).size, "service")}`, ...ports.filter((port) => !name.startsWith(port))].join(" · ")}</span>
            </div>
            <p><Sentence of={node} /> <span class="dim">As its callers saw it; it is not watched itself.</span></p>
          </div>
          <a class="btn" href={onMapHref(`node:${id}`)}>Show on map</a>
          <Compare past={past} since={leadingReason(node)?.since ?? null} />
        </div>
        <div class="pad">
          {(node.requests ?? 0) > 0 && <Figures key={id} name={name} node={node} of={of} past={past} before={then?.node} />}
          <section>
            <div class="hd"><h2>Callers</h2><span class="sub">worst first, as each of them sees it</span></div>
            {incoming.length === 0 ? <p class="sub">Nothing called it in this range.</p> : <Table label="Callers" rows={incoming} columns={columnsOf(around)} initial={{ key: "state", direction: "ascending" }} rowKey={(edge) => edge.id} />}
          </section>
          <CarriedPart key={id} title="Requests" sub="failing and slow first" of={of} empty="No request to it was read: what it carries is encrypted, or its protocol is not known." whole={node.rate} />
        </div>
      </div>
      <aside class="col side pn" tabIndex={0} aria-label="Context">
        {node.reasons.length > 0 && <div class="sec"><div class="hd"><h2>Why</h2><span class="sub">most likely first</span></div><Reasons reasons={node.reasons} /></div>}
        <Attributes attributes={node.attributes} />
      </aside>
    </>
  );
}

const columnsOf = (around: Neighbourhood): Column<MapEdge>[] => [
  { key: "state", head: "State", value: (edge) => severity(edge.status) * 1e9 - (edge.rate ?? 0), text: (edge) => edge.status, cell: (edge) => <Sign status={edge.status} /> },
  { key: "name", head: "Caller", value: (edge) => nameOf(edge.source, around.byId), cell: (edge) => <a href={entityHref(edge.source)}>{nameOf(edge.source, around.byId)}</a> },
  { key: "protocol", head: "Protocol", value: (edge) => protocolName(edge.protocol), cell: (edge) => <a href={onMapHref(`edge:${edge.id}`)}>{protocolName(edge.protocol)}</a> },
  { key: "rate", head: "per s", numeric: true, value: (edge) => edge.rate, cell: (edge) => perSecond(edge.rate) },
  { key: "failed", head: "failed", numeric: true, value: (edge) => edge.errorRatio, text: (edge) => share(edge.errorRatio), cell: (edge) => share(edge.errorRatio), className: (edge) => shareTone(edge.errorRatio) },
  { key: "p50", head: "p50", numeric: true, optional: "h1c", value: (edge) => edge.client?.p50, cell: (edge) => milliseconds(edge.client?.p50) },
  { key: "p95", head: "p95", numeric: true, value: (edge) => edge.p95, cell: (edge) => milliseconds(edge.p95) },
  { key: "p99", head: "p99", numeric: true, optional: "h2c", value: (edge) => edge.client?.p99, cell: (edge) => milliseconds(edge.client?.p99) },
  { key: "traces", head: "Traces", optional: "h1c", value: () => null, text: () => "", cell: (edge) => <a href={tracesOfEdge(edge, around.byId.get(edge.source), around.byId.get(edge.target))} >traces<span class="vh"> of {nameOf(edge.source, around.byId)}</span></a> },
];
