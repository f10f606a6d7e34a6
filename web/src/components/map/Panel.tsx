// Beside the map: without a selection all findings, else the node or the edge that is selected.
import { useMemo } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { isGoneSince } from "../../domain/difference";
import { findings, questions, type Finding } from "../../domain/findings";
import { between, clock, count, plural } from "../../domain/format";
import type { Grouped } from "../../domain/groups";
import { isGone, nameOf, neighbourhood, wholeRange, type Level, type Neighbourhood, type Topology } from "../../domain/topology";
import type { Status } from "../../domain/status";
import { interval } from "../../state/clock";
import { hrefHere, utc } from "../../state/location";
import { Cross, Sign } from "../Sign";
import { answerCopy } from "../TopBar";
import { Differences } from "./Against";
import { EdgeDetail } from "./EdgeDetail";
import { GroupDetail, MergedDetail } from "./GroupDetail";
import { NodeDetail } from "./NodeDetail";

interface PanelProps {
  /** All there is, and what of it is shown as groups. */
  topology: Topology;
  shown: Grouped;
  around: Neighbourhood;
  /** Of all there is: a node in a collapsed group can be looked at as any other. */
  whole: Neighbourhood;
  level: Level;
  selection: string;
  onOpen: (group: string) => void;
}

export function Panel({ topology, shown, around, whole, level, selection, onOpen }: PanelProps) {
  const all = useMemo(() => findings(topology), [topology]);
  const found = all.filter((one) => one.status !== "affected");
  const id = selection.slice(5);
  const node = selection.startsWith("node:") ? whole.byId.get(id) : undefined;
  const group = selection.startsWith("node:") ? shown.groups.find((one) => one.id === id) : undefined;
  const isEdge = (one: { id: string }) => `edge:${one.id}` === selection;
  const edge = topology.edges.find(isEdge);
  const merged = edge ? undefined : shown.topology.edges.find(isEdge);
  const back = (
    <div class="back">
      <a href={hrefHere({ sel: null, show: null })}>‹ {found.length ? `All ${plural(found.length, "finding")}` : "Overview"}</a>
      <span class="grow" />
      <button class="link" title="Copy link with these times  y" onClick={() => void answerCopy()}>Copy link</button>
      <a class="ib" href={hrefHere({ sel: null, show: null })} aria-label="Close" title="Close  Esc">
        <Cross />
      </a>
    </div>
  );
  let content: ComponentChildren;
  if (node) content = <NodeDetail node={node} around={whole} />;
  else if (group) content = <GroupDetail group={group} node={around.byId.get(group.id)} around={around} whole={whole} onOpen={onOpen} />;
  else if (edge) content = <EdgeDetail edge={edge} around={whole} />;
  else if (merged) content = <MergedDetail edge={merged} around={around} whole={whole} />;
  else if (selection) content = <Gone name={nameOf(selection.slice(5), around.byId)} />;
  return (
    <aside class="col side pn" aria-label="Details">
      {content ? (
        <>
          {back}
          <div class="in">{content}</div>
        </>
      ) : (
        <div class="in">
          <Findings found={found} affected={all.filter((one) => one.status === "affected")} topology={topology} level={level} />
        </div>
      )}
    </aside>
  );
}

const Gone = ({ name }: { name: string }) => (
  <div class="sec">
    <h2 class="big">{name}</h2>
    <p class="mid">
      Nothing of it in {between(interval.value.start, interval.value.end, utc.value)}.
    </p>
  </div>
);

function Findings({ found, affected, topology, level }: { found: Finding[]; affected: Finding[]; topology: Topology; level: Level }) {
  // What is gone is on the map while it is compared with another time, but is nothing that could deviate.
  const current = useMemo(() => ({ nodes: topology.nodes.filter((node) => !isGoneSince(node)), edges: topology.edges.filter((edge) => !isGoneSince(edge)) }), [topology]);
  // A silent agent takes all of its services with it: that is one thing, not many.
  const without = found.filter((one) => one.status === "no_data");
  const silent = without.length > 2 ? without : [];
  const shown = silent.length ? found.filter((one) => one.status !== "no_data") : found;
  const unknown = [...current.nodes, ...current.edges].filter((thing) => thing.status === "unknown").length;
  const nodes = current.nodes.length;
  const { start, end } = interval.value;
  const judged = unknown ? `, ${count(unknown)} had too few requests to judge` : "";
  return (
    <>
      <p class="vh" role="status">{found.length === 0 ? "Nothing deviates" : plural(found.length, "finding")}</p>
      <ol class="fd" aria-label="What needs attention">
        {found.length > 0 && (
          <li class="fh">
            <h2>{plural(found.length, "finding")} <span class="sub" style={{ fontWeight: 400 }}>likely cause first</span></h2>
          </li>
        )}
        {shown.slice(0, 100).map((one) => (
          <FindingLine key={one.selection} finding={one} />
        ))}
        {silent.length > 0 && <Together status="no_data" text={`${plural(silent.length, level)} without data:`} of={silent} />}
        {affected.length > 0 && <Together status="affected" text="Affected by a callee:" of={affected} />}
        <li class="fh sub" style={{ paddingBottom: "12px" }}>
          {found.length + affected.length === 0
            ? `Nothing deviates in ${between(start, end, utc.value)}. ${plural(nodes, level)}, ${plural(current.edges.length, "edge")}${judged}.`
            : `Nothing else deviates: ${plural(nodes + current.edges.length - found.length - affected.length, "other node and edge", "other nodes and edges")}${judged}.`}
        </li>
      </ol>
      <Differences topology={topology} />
      <Changed topology={topology} />
      <div class="fs">
        <h2>Show on the map</h2>
        {useMemo(() => questions(current), [current]).map((question) => (
          <a key={question.filter} class="fq" href={hrefHere({ q: question.filter })}>
            <span>{question.text}</span>
            <span class={`num ${question.answer ? "b" : "dim"}`}>{count(question.answer)}</span>
          </a>
        ))}
      </div>
    </>
  );
}

interface Change {
  sel: string;
  sign: string;
  text: string;
  what: string;
  at: number | null;
}

/** Latest first. */
function changes(topology: Topology): Change[] {
  const { byId } = neighbourhood(topology);
  return [
    ...topology.nodes.filter((node) => node.firstSeen !== null).map((node) => ({ sel: `node:${node.id}`, sign: "+", text: node.name, what: "new", at: node.firstSeen })),
    ...topology.edges.filter((edge) => edge.firstSeen !== null).map((edge) => ({ sel: `edge:${edge.id}`, sign: "+", text: `${nameOf(edge.source, byId)} → ${nameOf(edge.target, byId)}`, what: "new call", at: edge.firstSeen })),
    ...topology.nodes.filter((node) => isGone(node) && !isGoneSince(node)).map((node) => ({ sel: `node:${node.id}`, sign: "−", text: node.name, what: "gone", at: node.lastSeen })),
  ].sort((a, b) => (b.at ?? 0) - (a.at ?? 0));
}

/** What came and what went in the range, by name. */
function Changed({ topology }: { topology: Topology }) {
  const lines = useMemo(() => changes(topology), [topology]);
  if (lines.length === 0) return null;
  return (
    <div class="fs">
      <h2>Changed in this range</h2>
      {lines.slice(0, MOST_NAMES).map((line) => (
        <a key={line.sel} class="fq" href={hrefHere({ sel: line.sel })}>
          <span class="el"><span class="dim" aria-hidden="true">{line.sign}</span> {line.text}</span>
          <span class="dim nw">{line.what} {clock(line.at, utc.value)}</span>
        </a>
      ))}
      {lines.length > MOST_NAMES && <div class="sub">and {count(lines.length - MOST_NAMES)} more</div>}
    </div>
  );
}

const MOST_NAMES = 12;

function Together({ status, text, of }: { status: Status; text: string; of: Finding[] }) {
  return (
    <li class="fa">
      <Sign status={status} />
      <span class="sub mid">
        {text}{" "}
        {of.slice(0, MOST_NAMES).map((one, index) => [index > 0 ? ", " : "", <a key={one.selection} href={hrefHere({ sel: one.selection })} title={one.text}>{one.title}</a>])}
        {of.length > MOST_NAMES && `, and ${plural(of.length - MOST_NAMES, "more", "more")}`}
      </span>
    </li>
  );
}

const FindingLine = ({ finding }: { finding: Finding }) => (
  <li>
    <a class="f" href={hrefHere({ sel: finding.selection })}>
      <Sign status={finding.status} />
      <span>
        <span class="line">
          <b>{finding.title}</b>
          {finding.since !== null && <span class="sub nw">{wholeRange(finding.since, interval.value) ? "whole range" : clock(finding.since, utc.value)}</span>}
        </span>
        <span class="sub mid">{finding.text}</span>
      </span>
    </a>
  </li>
);
