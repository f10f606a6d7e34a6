// The full equivalent of the map: the same nodes and edges as two tables.
import { useMemo } from "preact/hooks";
import { beforeText, differenceText, isGoneSince, weightOf } from "../../domain/difference";
import { edgeMatches, nodeMatches, type Term } from "../../domain/filter";
import { count, milliseconds, perSecond, share } from "../../domain/format";
import { isBad, severity, tone } from "../../domain/status";
import type { Sort } from "../../domain/sort";
import { glyphOf, isGone, isNew, nameOf, protocolOf, shownEdge, runtimeOf, type MapEdge, type MapNode, type Neighbourhood, type Topology } from "../../domain/topology";
import { hrefHere, param } from "../../state/location";
import { pastOf } from "../Compare";
import { KindGlyph, Sign } from "../Sign";
import { Table, type Column } from "../Table";

type Both = MapNode | MapEdge;

/** Columns that nodes and edges share. */
function figureColumns<T extends Both>(differs: boolean): Column<T>[] {
  return [
    { key: "rate", head: "per s", numeric: true, value: (row) => row.rate, cell: (row) => perSecond(row.rate) },
    {
      key: "failed", head: "failed", numeric: true, value: (row) => row.errorRatio, cell: (row) => share(row.errorRatio),
      className: (row) => ((row.errorRatio ?? 0) > 0 ? (isBad(row.status) ? `b ${tone(row.status)}` : "") : "dim"),
    },
    { key: "p95", head: "p95", numeric: true, value: (row) => row.p95, cell: (row) => milliseconds(row.p95) },
    { key: "requests", head: "requests", numeric: true, optional: "h2c", value: (row) => row.requests, cell: (row) => count(row.requests) },
    ...(differs ? [againstColumn<T>()] : []),
    { key: "why", head: "Why", optional: "h2c", value: (row) => row.reasons[0]?.text, cell: (row) => <span class="el dim" style={{ display: "block", maxWidth: "360px" }} title={row.reasons[0]?.text}>{row.reasons[0]?.text ?? ""}</span> },
  ];
}

const lifeOf = (node: MapNode): string => (isGone(node) ? "gone" : isNew(node) ? "new" : "");

export function TableView({ topology, around, terms }: { topology: Topology; around: Neighbourhood; terms: Term[] }) {
  const nodes = useMemo(() => topology.nodes.filter((node) => nodeMatches(terms, node, around)), [topology, terms]);
  const edges = useMemo(() => topology.edges.filter((edge) => edgeMatches(terms, edge, around)).map(shownEdge), [topology, terms]);
  // Links keep what else the address says, so they are made anew with it; but not for another order of the rows.
  const address = hrefHere(UNORDERED);
  const nodeColumns = useMemo(() => nodeColumnsOf(around, hasDifferences(topology)), [topology, address]);
  const edgeColumns = useMemo(() => edgeColumnsOf(around, hasDifferences(topology)), [topology, address]);
  return (
    <div class="col pad grow" tabIndex={0} role="region" aria-label="Nodes and edges">
      <section>
        <div class="hd"><h2>Nodes</h2><span class="sub">{count(nodes.length)}, {orderText("nodes")}{nodes.length > FAR && <> · <a href="#edges">to the edges</a></>}</span></div>
        <Table label="Nodes" rows={nodes} columns={nodeColumns} initial={WORST} rowKey={idOf} sortParam="nodes" />
      </section>
      <section id="edges">
        <div class="hd"><h2>Edges</h2><span class="sub">{count(edges.length)}, {orderText("edges")}</span></div>
        <Table label="Edges" rows={edges} columns={edgeColumns} initial={WORST} rowKey={idOf} sortParam="edges" />
      </section>
    </div>
  );
}

const UNORDERED = { nodes: null, edges: null };

/** With more nodes than these the edges are out of sight. */
const FAR = 25;
const WORST: Sort = { key: "state", direction: "ascending" };
const idOf = (thing: Both): string => thing.id;
const hasDifferences = (topology: Topology): boolean => topology.nodes.some((node) => node.difference);
const orderText = (name: string): string => (param(name) ? "in the order chosen" : "worst first");

function againstColumn<T extends Both>(): Column<T> {
  return {
    key: "against", head: `Against ${pastOf()?.name ?? "then"}`, first: "descending", value: (row) => weightOf(row.difference), text: (row) => differenceText(row.difference),
    cell: (row) => {
      const [first] = row.difference?.changes ?? [];
      return <span class="nw"><b>{differenceText(row.difference)}</b>{first && <span class="dim"> {beforeText(first)}</span>}</span>;
    },
  };
}

function nodeColumnsOf(around: Neighbourhood, differs: boolean): Column<MapNode>[] {
  return [
    { key: "state", head: "State", value: (node) => severity(node.status), cell: (node) => <Sign status={node.status} /> },
    {
      key: "name", head: "Name", value: (node) => node.name,
      cell: (node) => <><KindGlyph glyph={glyphOf(node, around.incoming.get(node.id) ?? [])} size={14} /> <span class="el"><a href={hrefHere({ ...UNORDERED, view: null, sel: `node:${node.id}` })}>{node.name}</a>{lifeOf(node) && <span class="dim"> {lifeOf(node)}</span>}</span></>,
    },
    { key: "runtime", head: "Runs", optional: "h1c", value: runtimeOf, cell: (node) => <span class="dim">{runtimeOf(node)}</span> },
    ...figureColumns<MapNode>(differs),
  ];
}

function edgeColumnsOf(around: Neighbourhood, differs: boolean): Column<MapEdge>[] {
  return [
    { key: "state", head: "State", value: (edge) => severity(edge.status), cell: (edge) => <Sign status={edge.status} /> },
    { key: "source", head: "Caller", value: (edge) => nameOf(edge.source, around.byId), cell: (edge) => nameOf(edge.source, around.byId) },
    { key: "target", head: "Callee", value: (edge) => nameOf(edge.target, around.byId), cell: (edge) => <a href={hrefHere({ ...UNORDERED, view: null, sel: `edge:${edge.id}` })}>{nameOf(edge.target, around.byId)}</a> },
    { key: "protocol", head: "Protocol", value: (edge) => edge.protocol, cell: (edge) => <span class="dim">{protocolOf(edge)}{isGoneSince(edge) ? ", gone" : isNew(edge) ? ", new" : ""}</span> },
    { key: "client", head: "caller's p95", numeric: true, optional: "h2c", value: (edge) => edge.client?.p95, cell: (edge) => milliseconds(edge.client?.p95) },
    { key: "server", head: "server's p95", numeric: true, optional: "h2c", value: (edge) => edge.server?.p95, cell: (edge) => milliseconds(edge.server?.p95) },
    ...figureColumns<MapEdge>(differs),
  ];
}
