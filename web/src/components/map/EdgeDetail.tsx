// A selected edge: the sentence, where the time goes, why, both views.
import { isGoneSince } from "../../domain/difference";
import { count, milliseconds, MISSING, plural, rate } from "../../domain/format";
import { isUnread, nameOf, neverConnected, protocolName, type Figures, type MapEdge, type Neighbourhood } from "../../domain/topology";
import { term } from "../../domain/tracequery";
import { hrefHere } from "../../state/location";
import { tracesOfEdge } from "../links";
import { Reasons } from "../Reasons";
import { Sentence } from "../Sentence";
import { Sign } from "../Sign";
import { Against, GoneSince } from "./Against";
import { EdgeChart, EdgeOperations } from "./EdgeMore";
import { EdgeTcp } from "./EdgeTcp";
import { EdgeTls } from "./EdgeTls";
import { Attributes } from "./NodeDetail";
import { WhereTime } from "./WhereTime";

export function EdgeDetail({ edge, around }: { edge: MapEdge; around: Neighbourhood }) {
  const source = around.byId.get(edge.source);
  const target = around.byId.get(edge.target);
  const spoken = !neverConnected(edge) && !isUnread(edge);
  const gone = isGoneSince(edge);
  const port = edge.attributes["server.port"];
  return (
    <>
      <div class="sec" style={{ paddingTop: "14px" }}>
        <h2 class="big">
          <a href={hrefHere({ sel: `node:${edge.source}` })} style={{ color: "inherit" }}>{nameOf(edge.source, around.byId)}</a>{" "}
          <span class="dim" style={{ fontWeight: 400 }}>{gone ? "called" : neverConnected(edge) ? "cannot connect to" : "calls"}</span>{" "}
          <a href={hrefHere({ sel: `node:${edge.target}` })} style={{ color: "inherit" }}>{nameOf(edge.target, around.byId)}</a>
        </h2>
        <div class="sub">{[protocolName(edge.protocol), port ? `port ${port}` : "", gone ? "" : viewText(edge)].filter(Boolean).join(" · ")}</div>
        <div class="state">
          <span style={{ paddingTop: "1px" }}><Sign status={edge.status} size={15} /></span>
          <div>{gone ? <GoneSince /> : <>{(!isUnread(edge) || edge.reasons.length > 0) && <Sentence of={edge} />} {isUnread(edge) && <UnreadSentence edge={edge} />}</>}</div>
        </div>
        <div style={{ marginTop: "12px" }}>
          <a class="btn s" href={tracesOfEdge(edge, source, target)}>Traces</a>{" "}
          {(edge.errors ?? 0) > 0 && <a class="btn s" href={tracesOfEdge(edge, source, target, term("status", "error"))}>Failed traces</a>}
        </div>
      </div>
      <Against difference={edge.difference} now={edge} />
      {spoken && !gone && (
        <div class="sec">
          <div class="hd"><h2>Where the time goes</h2><span class="sub">p95, {rate(edge.rate)}</span></div>
          <WhereTime edge={edge} />
        </div>
      )}
      {edge.reasons.length > 0 && (
        <div class="sec">
          <div class="hd"><h2>Why</h2><span class="sub">most likely first</span></div>
          <Reasons reasons={edge.reasons} />
        </div>
      )}
      {spoken && !gone && <EdgeOperations key={edge.id} edge={edge} around={around} />}
      {spoken && !gone && <EdgeChart key={`${edge.id} chart`} edge={edge} around={around} />}
      {spoken && !gone && (
        <div class="sec">
          <h2>Both views</h2>
          <BothViewsTable edge={edge} />
        </div>
      )}
      {!gone && edge.tls && <EdgeTls key={`${edge.id} tls`} edge={edge} tls={edge.tls} around={around} />}
      {!gone && <EdgeTcp key={`${edge.id} tcp`} edge={edge} around={around} />}
      <Attributes attributes={edge.attributes} />
    </>
  );
}

function viewText(edge: MapEdge): string {
  const client = edge.client ?? edge.tls?.client;
  const server = edge.server ?? edge.tls?.server;
  if (client && server) return "seen from both sides";
  if (client) return "seen from the caller only";
  return server ? "seen from the server only" : "seen from neither side";
}

/** Of what cannot be read it is told how often and whether the two talk. */
function UnreadSentence({ edge: { tls } }: { edge: MapEdge }) {
  const side = tls?.server ?? tls?.client;
  return <>Encrypted and not read. {rate(tls?.rate)} handshakes, {side?.errors ? plural(side.errors, "handshake") : "none"} failed, p95 <b>{milliseconds(side?.p95)}</b>.</>;
}

function BothViewsTable({ edge }: { edge: MapEdge }) {
  return (
    <table>
      <thead>
        <tr>
          <th><span class="vh">View</span></th>
          <th class="num">requests</th>
          <th class="num">failed</th>
          <th class="num">p50</th>
          <th class="num">p95</th>
          <th class="num">p99</th>
        </tr>
      </thead>
      <tbody>
        <ViewRow name="caller" color="var(--s-client)" sign="◻" figures={edge.client} />
        <ViewRow name="server" color="var(--s-server)" sign="◼" figures={edge.server} />
      </tbody>
    </table>
  );
}

function ViewRow({ name, color, sign, figures }: { name: string; color: string; sign: string; figures: Figures | null }) {
  const cells = figures
    ? [count(figures.requests), count(figures.errors), milliseconds(figures.p50), milliseconds(figures.p95), milliseconds(figures.p99)]
    : [MISSING, MISSING, MISSING, MISSING, MISSING];
  return (
    <tr>
      <td>
        <span style={{ color }} aria-hidden="true">{sign}</span> {name}
        {!figures && <span class="dim"> not watched</span>}
      </td>
      {cells.map((cell, index) => (
        <td key={index} class="num">{cell}</td>
      ))}
    </tr>
  );
}
