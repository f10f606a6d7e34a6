// A selected node: the sentence, why, callers and callees, what it is.
import { figuredNode, isGoneSince } from "../../domain/difference";
import { milliseconds, perSecond, plural, share } from "../../domain/format";
import { isBad, tone } from "../../domain/status";
import { glyphOf, isUnread, nameOf, protocolName, runtimeOf, serviceParts, shownEdge, type MapEdge, type MapNode, type Neighbourhood } from "../../domain/topology";
import { term } from "../../domain/tracequery";
import { hrefHere, param } from "../../state/location";
import { nodeHref, onMapHref, tracesOf } from "../links";
import { Reasons } from "../Reasons";
import { Sentence } from "../Sentence";
import { KindGlyph, Sign } from "../Sign";
import { WhereService } from "../WhereService";
import { Against, GoneSince } from "./Against";
import { NodeInstances, NodeOperations } from "./NodeMore";

export function NodeDetail({ node, around }: { node: MapNode; around: Neighbourhood }) {
  const incoming = around.incoming.get(node.id) ?? [];
  const outgoing = around.outgoing.get(node.id) ?? [];
  const parts = serviceParts(node.id);
  const show = param("show");
  const reach = (value: string, text: string) => (
    <a class={`btn s ${show === value ? "on" : ""}`} href={hrefHere({ show: show === value ? null : value })} aria-current={show === value ? "true" : undefined}>
      {text}
    </a>
  );
  return (
    <>
      <div class="sec" style={{ paddingTop: "14px" }}>
        <h2 class="big">
          <KindGlyph glyph={glyphOf(node, incoming)} /> {node.name}
        </h2>
        <div class="sub">{[node.kind, runtimeOf(node), instances(node)].filter(Boolean).join(" · ")}</div>
        <div class="state">
          <span style={{ paddingTop: "1px" }}><Sign status={node.status} size={15} /></span>
          <div>{isGoneSince(node) ? <GoneSince /> : <Sentence of={node} />}</div>
        </div>
        <div style={{ display: "flex", gap: "6px", flexWrap: "wrap", marginTop: "12px" }}>
          {node.kind === "service" && <a class="btn s" href={nodeHref(node)}>Open service</a>}
          {node.kind === "service" && <a class="btn s" href={tracesOf(node.name)}>Traces</a>}
          {node.kind === "service" && (node.errors ?? 0) > 0 && <a class="btn s" href={tracesOf(node.name, term("status", "error"))}>Failed traces</a>}
          {incoming.length > 0 && reach("upstream", "Upstream")}
          {outgoing.length > 0 && reach("downstream", "Downstream")}
        </div>
      </div>
      <Against difference={node.difference} now={figuredNode(node)} />
      {node.reasons.length > 0 && (
        <div class="sec">
          <div class="hd"><h2>Why</h2><span class="sub">most likely first</span></div>
          <Reasons reasons={node.reasons} />
        </div>
      )}
      {parts && (node.requests ?? 0) > 0 && outgoing.length > 0 && <WhereService key={node.id} name={parts.name} />}
      <Neighbours title="Callers" edges={incoming} end="source" around={around} empty="Nothing calls it in this range." />
      <Neighbours title="Callees" edges={outgoing} end="target" around={around} empty="It calls nothing in this range." />
      {parts && <NodeOperations key={`${node.id} operations`} scope={parts.scope} name={parts.name} />}
      {parts && <NodeInstances key={`${node.id} instances`} id={node.id} />}
      <Attributes attributes={node.attributes} />
    </>
  );
}

const instances = (node: MapNode): string => {
  const amount = Number(node.attributes["limpid.instances"] ?? NaN);
  return Number.isFinite(amount) ? plural(amount, "instance") : "";
};

interface NeighboursProps {
  title: string;
  edges: MapEdge[];
  end: "source" | "target";
  around: Neighbourhood;
  empty: string;
  /** On other pages than the map a call opens on the map. */
  toMap?: boolean;
}

export function Neighbours({ title, edges, end, around, empty, toMap = false }: NeighboursProps) {
  const sorted = [...edges].sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0));
  return (
    <div class="sec">
      <div class="nb h">
        <h2>{title}</h2>
        <span class="num">per s</span>
        <span class="num">failed</span>
        <span class="num">p95</span>
      </div>
      {sorted.slice(0, 50).map((edge) => (
        <NeighbourLine key={edge.id} edge={shownEdge(edge)} name={nameOf(edge[end], around.byId)} toMap={toMap} />
      ))}
      {edges.length === 0 && <div class="sub">{empty}</div>}
      {edges.length > 50 && <div class="sub">{plural(edges.length - 50, "more", "more")}, see the table view.</div>}
    </div>
  );
}

function NeighbourLine({ edge, name, toMap }: { edge: MapEdge; name: string; toMap: boolean }) {
  const target = toMap ? onMapHref(`edge:${edge.id}`) : hrefHere({ sel: `edge:${edge.id}`, show: null });
  const color = isBad(edge.status) ? `b ${tone(edge.status)}` : "";
  return (
    <div class="nb">
      <span class="el">
        <Sign status={edge.status} size={13} /> <a href={target}>{name}</a> <span class="dim">{isUnread(edge) ? "handshakes" : protocolName(edge.protocol)}</span>
      </span>
      <span class="num">{perSecond(edge.rate)}</span>
      <span class={`num ${(edge.errorRatio ?? 0) > 0 ? color : "dim"}`}>{share(edge.errorRatio)}</span>
      <span class="num">{milliseconds(edge.p95)}</span>
    </div>
  );
}

export function Attributes({ attributes }: { attributes: Record<string, string> }) {
  const entries = Object.entries(attributes).sort(([a], [b]) => a.localeCompare(b));
  if (entries.length === 0) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>Attributes</h2><span class="sub">{entries.length}</span></div>
      <dl class="kv mono">
        {entries.slice(0, 200).map(([key, value]) => [<dt key={key} class="el" title={key}>{key}</dt>, <dd key={`${key} value`}>{value}</dd>])}
      </dl>
    </div>
  );
}
