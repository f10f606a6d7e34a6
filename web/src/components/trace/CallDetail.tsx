// A selected call: both views of it, then everything that is known.
import { ratioText } from "../../domain/compare";
import { clock, count, milliseconds, MISSING } from "../../domain/format";
import { calleeOf, ownParts, type Call, type Span, type Tree } from "../../domain/tracetree";
import { comparedCall } from "../../domain/usual";
import { edgeId, protocolName } from "../../domain/topology";
import { copiesOf } from "../../domain/copyas";
import { timeText } from "../../domain/range";
import { href, utc } from "../../state/location";
import { CopyButton } from "../Copy";
import { entityHref, operationQuery, serviceHref } from "../links";
import { Attributes } from "../map/NodeDetail";
import { Sign } from "../Sign";
import type { UsualOf } from "./useUsual";

export function CallDetail({ call, tree, usual }: { call: Call; tree: Tree; usual: UsualOf | null }) {
  const { span } = call;
  const server = call.server?.span;
  const attributes = { ...span.attributes, ...(server?.attributes ?? {}) };
  return (
    <>
      <div class="sec" style={{ paddingTop: "14px" }}>
        <h2 class="big" style={{ overflowWrap: "anywhere" }}>{span.name}</h2>
        <div class="sub">{[who(call), viewText(call), span.protocol ? protocolName(span.protocol) : ""].filter(Boolean).join(" · ")}</div>
        <Links call={call} tree={tree} />
        {call.failed && (
          <div class="state">
            <span><Sign status="critical" size={15} /></span>
            <span>Failed{code(call) ? <>, <span class="b crit">{code(call)}</span></> : null}.</span>
          </div>
        )}
      </div>
      <div class="sec"><BothViews call={call} /><Usually call={call} usual={usual} /></div>
      <div class="sec">
        <dl class="kv">
          <dt>started</dt><dd>{clock(tree.startSeconds + (call.client?.start ?? call.server?.start ?? 0) / 1000, utc.value, "milliseconds")}</dd>
          <dt>result</dt><dd>{code(call) || (call.failed ? "error" : MISSING)}</dd>
          <dt>span</dt><dd class="mono">{span.id}{server && server.id !== span.id ? `, ${server.id}` : ""}</dd>
          {processes(call).map(([what, id]) => <><dt>{what}</dt><dd><a href={entityHref(id)}>pid {id.replace(/^.*-/, "")}</a></dd></>)}
        </dl>
      </div>
      <div class="copies">{copiesOf(call).map((one) => <CopyButton key={one.name} text={() => one.text}>{one.name}</CopyButton>)}</div>
      <Attributes attributes={attributes} />
      <Resource title="Caller" span={call.client ? span : undefined} />
      <Resource title="Server" span={server} />
    </>
  );
}

/** The processes at both ends; who is not watched may still be known to the other end. */
function processes(call: Call): [string, string][] {
  const caller = call.client?.span.instance ?? call.server?.span.attributes["limpid.peer.instance"];
  const server = call.server?.span.instance ?? call.client?.span.attributes["limpid.peer.instance"];
  const found: [string, string | null | undefined][] = [["caller", caller], ["server", server]];
  return found.filter((one): one is [string, string] => typeof one[1] === "string" && one[1].startsWith("process:"));
}

/** So long round a call is looked at on the map. */
const AROUND_SECONDS = 150;

function Links({ call, tree }: { call: Call; tree: Tree }) {
  const at = tree.startSeconds + (call.client?.start ?? call.server?.start ?? 0) / 1000;
  const times = { start: timeText(Math.floor(at - AROUND_SECONDS)), end: timeText(Math.ceil(at + AROUND_SECONDS)), last: null };
  const services = [...new Set([call.client?.span.service, call.server?.span.service].filter((name) => name !== undefined))];
  const edge = edgeOf(call);
  return (
    <p class="links">
      {services.map((name) => <a key={name} href={serviceHref("default", name)}>{name}</a>)}
      {edge && <a href={href("/map", { ...times, sel: `edge:${edge}` })}>on the map at that time</a>}
      <a href={href("/traces", { ...times, q: operationQuery(calleeOf(call), { operation: call.span.operation ?? "", resource: call.span.resource ?? "" }) })}>others like it</a>
    </p>
  );
}

/** The call's edge as the map names it; null while only one end is known. */
function edgeOf(call: Call): string | null {
  const caller = call.client?.span.service ?? call.server?.span.peer;
  const { protocol, peer, attributes } = call.span;
  const address = attributes["server.address"] && attributes["server.port"] ? `external:${attributes["server.address"]}:${attributes["server.port"]}` : null;
  const callee = call.server?.span.service ?? (call.client ? peer : null);
  const target = callee && !callee.includes(":") ? `service:default/${callee}` : callee ? `external:${callee}` : address;
  return caller && target && protocol ? edgeId(`service:default/${caller}`, target, protocol) : null;
}

const code = (call: Call): string => call.server?.span.code || call.span.code || "";
const who = (call: Call): string => (call.client ? `${call.client.span.service} calls ${calleeOf(call)}` : `in ${call.span.service}`);

function viewText(call: Call): string {
  if (call.client && call.server) return "seen from both sides";
  return call.client ? "seen from the caller only" : "seen from the server only";
}

/** Both views beside the medians of such calls. */
function Usually({ call, usual }: { call: Call; usual: UsualOf | null }) {
  if (!usual) return null;
  const views = (["client", "server"] as const).flatMap((side) => {
    const compared = comparedCall({ ...call, client: side === "client" ? call.client : null, server: side === "server" ? call.server : null }, usual);
    return compared ? [compared] : [];
  });
  if (views.length === 0) return <p class="sub" style={{ marginTop: "8px" }}>What is usual is not known: too few requests like it are counted.</p>;
  return (
    <table style={{ marginTop: "8px" }}>
      <thead><tr><th><span class="vh">View</span></th><th class="num">this call</th><th class="num">usually</th><th class="num"><span class="vh">ratio</span></th><th class="num">requests</th></tr></thead>
      <tbody>
        {views.map(({ side, own, usual: median, requests }) => (
          <tr key={side}>
            <td class="mid">{side === "client" ? "client waits" : "server"}</td>
            <td class="num">{milliseconds(own)}</td>
            <td class="num">{milliseconds(median)}</td>
            <td class="num b">{ratioText(own, median)}</td>
            <td class="num dim">{count(requests)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Line {
  name: string;
  from: number;
  to: number;
  color: string;
  outline?: boolean;
}

function linesOf(call: Call): Line[] {
  const { client, server } = call;
  // The arrival is stamped on another clock tick than the caller's start: it never lies before it.
  const queue = server ? Math.min(call.queue ?? 0, Math.max(0, server.start - (client?.start ?? -Infinity))) : 0;
  const lines: Line[] = [];
  if (client) lines.push({ name: "client waits", from: client.start, to: client.end, color: "var(--s-client)", outline: true });
  const name = call.queue === null ? "network or queue" : "network";
  if (client && server) lines.push({ name, from: client.start, to: Math.max(client.start, server.start - queue), color: "var(--t-net)" });
  if (call.queue !== null && server) lines.push({ name: "queue", from: server.start - queue, to: server.start, color: "var(--t-queue)" });
  if (server) lines.push({ name: "server", from: server.start, to: server.end, color: "var(--s-server)" });
  if (client && server) lines.push({ name: "network", from: server.end, to: Math.max(server.end, client.end), color: "var(--t-net)" });
  return lines;
}

function BothViews({ call }: { call: Call }) {
  const lines = linesOf(call);
  const start = lines.reduce((least, line) => Math.min(least, line.from), Infinity);
  const all = Math.max(1e-6, lines.reduce((most, line) => Math.max(most, line.to), 0) - start);
  const { waits, own } = ownParts(call);
  return (
    <>
      <div class="tot">
        {lines.map((line, index) => {
          const x = ((line.from - start) / all) * 100;
          const width = ((line.to - line.from) / all) * 100;
          return [
            <span key={index} class="mid">{line.name}</span>,
            <svg key={`${index} bar`} height="12" aria-hidden="true">
              <rect x={`min(${x}%, calc(100% - 1.500px))`} y="1.500" width={`max(1.500px, calc(${width}% - 1px))`} height="9" fill={line.outline ? "none" : line.color} stroke={line.outline ? line.color : "none"} stroke-width="1.200" />
            </svg>,
            <span key={`${index} value`} class={`num ${line.name === "server" || line.outline ? "b" : ""}`}>{milliseconds(line.to - line.from)}</span>,
          ];
        })}
      </div>
      {call.server && waits.length > 0 && <p class="sub" style={{ marginTop: "6px" }}>Of the server's time {milliseconds(own)} is its own, the rest waits for callees.</p>}
    </>
  );
}

function Resource({ title, span }: { title: string; span: Span | undefined }) {
  const entries = Object.entries(span?.resourceAttributes ?? {});
  if (!span || entries.length === 0) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>{title}</h2><span class="sub">{span.service}</span></div>
      <dl class="kv mono">{entries.sort().map(([key, value]) => [<dt key={key} class="el" title={key}>{key}</dt>, <dd key={`${key} value`}>{value}</dd>])}</dl>
    </div>
  );
}
