// A selected group: what it holds, worst first, and who calls into it; and the calls behind an edge between groups.
import { milliseconds, perSecond, plural, share } from "../../domain/format";
import type { Group } from "../../domain/groups";
import { isBad, tone, worstFirst } from "../../domain/status";
import { nameOf, protocolName, type MapEdge, type MapNode, type Neighbourhood } from "../../domain/topology";
import { hrefHere } from "../../state/location";
import { KindGlyph, Sign } from "../Sign";
import { Neighbours } from "./NodeDetail";

const MOST = 60;

interface GroupProps {
  group: Group;
  /** The group as a node, while it is collapsed. */
  node: MapNode | undefined;
  around: Neighbourhood;
  whole: Neighbourhood;
  onOpen: (group: string) => void;
}

export function GroupDetail({ group, node, around, whole, onOpen }: GroupProps) {
  return (
    <>
      <div class="sec" style={{ paddingTop: "14px" }}>
        <h2 class="big"><KindGlyph glyph="group" /> {group.value}</h2>
        <div class="sub">{plural(group.members.length, "member")}</div>
        <div style={{ marginTop: "12px" }}>
          <button class="btn s" onClick={() => onOpen(group.id)}>{group.isOpen ? "Collapse" : "Open"}</button>
        </div>
      </div>
      <div class="sec">
        <div class="hd"><h2>Members</h2><span class="sub">worst first</span></div>
        {group.members.slice(0, MOST).map((member) => <Member key={member.id} node={member} />)}
        {group.members.length > MOST && <p class="sub">{plural(group.members.length - MOST, "more", "more")}, see the table view.</p>}
      </div>
      {node && <Neighbours title="Calls from outside" edges={around.incoming.get(node.id) ?? []} end="source" around={around} empty="Nothing outside calls it in this range." />}
      {node && <Neighbours title="Calls to the outside" edges={around.outgoing.get(node.id) ?? []} end="target" around={around} empty="It calls nothing outside in this range." />}
      {!node && <CrossingNote members={group.members} whole={whole} />}
    </>
  );
}

const Member = ({ node }: { node: MapNode }) => (
  <div class="nb">
    <span class="el"><Sign status={node.status} size={13} /> <a href={hrefHere({ sel: `node:${node.id}` })}>{node.name}</a></span>
    <span class="num">{perSecond(node.rate)}</span>
    <span class={`num ${isBad(node.status) && (node.errorRatio ?? 0) > 0 ? `b ${tone(node.status)}` : "dim"}`}>{share(node.errorRatio)}</span>
    <span class="num">{milliseconds(node.p95)}</span>
  </div>
);

function CrossingNote({ members, whole }: { members: MapNode[]; whole: Neighbourhood }) {
  const inside = new Set(members.map((node) => node.id));
  const crossing = members.flatMap((node) => [...(whole.incoming.get(node.id) ?? []), ...(whole.outgoing.get(node.id) ?? [])]).filter((edge) => !inside.has(edge.source) || !inside.has(edge.target));
  return <div class="sec sub">{plural(crossing.length, "call crosses", "calls cross")} its border.</div>;
}

export function MergedDetail({ edge, around, whole }: { edge: MapEdge; around: Neighbourhood; whole: Neighbourhood }) {
  const parts = [...(edge.parts ?? [])].sort((a, b) => worstFirst(a, b) || (b.rate ?? 0) - (a.rate ?? 0));
  return (
    <>
      <div class="sec" style={{ paddingTop: "14px" }}>
        <h2 class="big">{nameOf(edge.source, around.byId)} <span class="dim" style={{ fontWeight: 400 }}>calls</span> {nameOf(edge.target, around.byId)}</h2>
        <div class="sub">{plural(parts.length, "call")}, {perSecond(edge.rate)}/s in all</div>
      </div>
      <div class="sec">
        <div class="nb h"><h2>Calls</h2><span class="num">per s</span><span class="num">failed</span><span class="num">p95</span></div>
        {parts.slice(0, MOST).map((part) => (
          <div key={part.id} class="nb">
            <span class="el">
              <Sign status={part.status} size={13} /> <a href={hrefHere({ sel: `edge:${part.id}`, show: null })}>{nameOf(part.source, whole.byId)} → {nameOf(part.target, whole.byId)}</a> <span class="dim">{protocolName(part.protocol)}</span>
            </span>
            <span class="num">{perSecond(part.rate)}</span>
            <span class={`num ${isBad(part.status) && (part.errorRatio ?? 0) > 0 ? `b ${tone(part.status)}` : "dim"}`}>{share(part.errorRatio)}</span>
            <span class="num">{milliseconds(part.p95)}</span>
          </div>
        ))}
        {parts.length > MOST && <p class="sub">{plural(parts.length - MOST, "more", "more")}, see the table view.</p>}
      </div>
    </>
  );
}
