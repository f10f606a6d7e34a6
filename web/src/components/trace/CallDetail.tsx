// A selected call: both views of it, then everything that is known.
import { clock, milliseconds, MISSING } from "../../domain/format";
import { calleeOf, ownParts, type Call, type Span, type Tree } from "../../domain/tracetree";
import { protocolName } from "../../domain/topology";
import { utc } from "../../state/location";
import { Attributes } from "../map/NodeDetail";
import { Sign } from "../Sign";

export function CallDetail({ call, tree }: { call: Call; tree: Tree }) {
  const { span } = call;
  const server = call.server?.span;
  const attributes = { ...span.attributes, ...(server?.attributes ?? {}) };
  return (
    <>
      <div class="sec" style={{ paddingTop: "14px" }}>
        <h2 class="big" style={{ overflowWrap: "anywhere" }}>{span.name}</h2>
        <div class="sub">{[who(call), viewText(call), span.protocol ? protocolName(span.protocol) : ""].filter(Boolean).join(" · ")}</div>
        {call.failed && (
          <div class="state">
            <span><Sign status="critical" size={15} /></span>
            <span>Failed{code(call) ? <>, <span class="b crit">{code(call)}</span></> : null}.</span>
          </div>
        )}
      </div>
      <div class="sec"><BothViews call={call} /></div>
      <div class="sec">
        <dl class="kv">
          <dt>started</dt><dd>{clock(tree.startSeconds + (call.client?.start ?? call.server?.start ?? 0) / 1000, utc.value, "milliseconds")}</dd>
          <dt>result</dt><dd>{code(call) || (call.failed ? "error" : MISSING)}</dd>
          <dt>span</dt><dd class="mono">{span.id}{server && server.id !== span.id ? `, ${server.id}` : ""}</dd>
          {(server?.instance ?? span.instance) && <><dt>instance</dt><dd class="mono">{server?.instance ?? span.instance}</dd></>}
        </dl>
      </div>
      <Attributes attributes={attributes} />
      <Resource title="Caller" span={call.client ? span : undefined} />
      <Resource title="Server" span={server} />
    </>
  );
}

const code = (call: Call): string => call.server?.span.code || call.span.code || "";
const who = (call: Call): string => (call.client ? `${call.client.span.service} calls ${calleeOf(call)}` : `in ${call.span.service}`);

function viewText(call: Call): string {
  if (call.client && call.server) return "seen from both sides";
  return call.client ? "seen from the caller only" : "seen from the server only";
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
