// One trace: where its time went, call by call, both views of each call.
import type { ComponentChild } from "preact";
import { useMemo, useState } from "preact/hooks";
import { fetchTrace } from "../api/traces";
import { CallDetail } from "../components/trace/CallDetail";
import { Overview } from "../components/trace/Overview";
import { Waterfall } from "../components/trace/Waterfall";
import { Magnifier, Sign } from "../components/Sign";
import { FailureLine, Nothing } from "../components/states";
import { copyLink } from "../components/TopBar";
import { clock, milliseconds, plural, share } from "../domain/format";
import { buildTree, calleeOf, criticalPath, durationOf, ownTimes, rows, type Call, type Row, type Tree } from "../domain/tracetree";
import { href, param, path, setParams, utc } from "../state/location";
import { useQuery } from "../state/query";

export function TracePage() {
  const id = path.value.replace(/^\/trace\//, "").toLowerCase();
  const query = useQuery(`trace ${id}`, "", (signal) => fetchTrace(id, signal));
  const tree = useMemo(() => (query.data ? buildTree(query.data) : null), [query.data]);
  if (query.error?.trouble === "missing" || (tree && tree.roots.length === 0)) return <Gone id={id} />;
  if (!tree) return <div class="col grow"><Nothing what="The trace" query={query} /></div>;
  return (
    <>
      <FailureLine what="The trace" query={query} />
      <TraceView key={id} id={id} tree={tree} />
    </>
  );
}

const Gone = ({ id }: { id: string }) => (
  <div class="center">
    <h1>No trace {id.slice(0, 32)}</h1>
    <p>It was not kept, or retention has removed it. Rates and percentiles of that time may still be there.</p>
    <a class="btn" href={href("/traces")}>Search traces</a>
  </div>
);

function TraceView({ id, tree }: { id: string; tree: Tree }) {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(new Set());
  const [worstFirst, setWorstFirst] = useState(false);
  const [find, setFind] = useState("");
  const list = useMemo(() => rows(tree, { closed, unfolded, worstFirst }), [tree, closed, unfolded, worstFirst]);
  const critical = useMemo(() => criticalPath(tree), [tree]);
  const calls = useMemo(() => allCalls(tree), [tree]);
  const wanted = param("span");
  const selected = calls.get(wanted) ?? calls.get(wantedServer(calls, wanted)) ?? tree.roots[0];
  const toggle = (row: Row, open: boolean) => {
    if (row.folded.length > 0 && open) setUnfolded(new Set([...unfolded, ...[row.call, ...row.folded].map((call) => call.id)]));
    else if (open) setClosed(new Set([...closed].filter((one) => one !== row.call.id)));
    else setClosed(new Set([...closed, row.call.id]));
  };
  const needle = find.trim().toLowerCase();
  const matches = (row: Row) => needle === "" || `${calleeOf(row.call)} ${row.call.span.name}`.toLowerCase().includes(needle);
  return (
    <>
      <div class="tracecol">
        <Head tree={tree} id={id} />
        <Overview tree={tree} />
        <div class="tracetools">
          <div class="seg" role="group" aria-label="Order">
            <button aria-pressed={!worstFirst} onClick={() => setWorstFirst(false)}>Tree</button>
            <button aria-pressed={worstFirst} onClick={() => setWorstFirst(true)}>Slow and failed first</button>
          </div>
          <span class="grow" />
          <label class="find">
            <Magnifier size={12} />
            <input value={find} aria-label="Find in trace" placeholder="Find in trace" onInput={(event) => setFind(event.currentTarget.value)} />
          </label>
        </div>
        <Waterfall tree={tree} rows={list} path={critical} selected={selected?.id ?? ""} matches={matches} onSelect={(span) => setParams({ span })} onToggle={toggle} />
        <Key />
      </div>
      {selected && (
        <aside class="col side pn" aria-label="Call">
          <CallDetail call={selected} tree={tree} />
        </aside>
      )}
    </>
  );
}

function allCalls(tree: Tree): Map<string, Call> {
  const calls = new Map<string, Call>();
  const stack = [...tree.roots];
  for (let call = stack.pop(); call; call = stack.pop()) {
    calls.set(call.id, call);
    stack.push(...call.children);
  }
  return calls;
}

/** A link may name the server's span of a call whose row carries the caller's. */
const wantedServer = (calls: Map<string, Call>, wanted: string): string => [...calls.values()].find((call) => call.server?.span.id === wanted)?.id ?? "";

function Head({ tree, id }: { tree: Tree; id: string }) {
  const [copied, setCopied] = useState("");
  const root = tree.roots[0];
  if (!root) return null;
  const code = root.server?.span.code ?? root.span.code;
  const spent = ownTimes(tree).slice(0, 3).filter((one) => one.share >= 0.03);
  return (
    <div class="head">
      <div class="grow">
        <div class="pagehead" style={{ marginBottom: "4px", flexWrap: "wrap" }}>
          <h1>{root.span.name}</h1>
          {code && <span class={`chip ${root.failed ? "crit" : ""}`}>{root.failed && <Sign status="critical" size={12} quiet />}{code}</span>}
          <b class="big" style={{ fontWeight: 650 }}>{milliseconds(Math.max(tree.duration, durationOf(root)))}</b>
          <span class="sub">
            {clock(tree.startSeconds, utc.value, "milliseconds")} · {plural(tree.calls, "call")}, {plural(tree.services, "service")} · trace <span class="mono">{id.slice(0, 16)}</span>
          </span>
        </div>
        <p>
          {spent.map((one, index) => (
            <span key={one.name} class={index === 0 ? "b" : ""}>{index > 0 && ", "}{share(one.share)} in {one.name}{index === 0 && " itself"}</span>
          ))}
          {spent.length > 0 && "."}
        </p>
      </div>
      <button class="btn" onClick={() => void copyLink().then(setCopied)}>{copied || "Copy link"}</button>
    </div>
  );
}

const Key = () => (
  <div class="key">
    <span><Swatch><rect x=".600" y="1.600" width="32" height="9" fill="none" stroke="var(--s-client)" stroke-width="1.200" /></Swatch>what the caller saw</span>
    <span><Swatch><rect x=".600" y="1.600" width="32" height="9" fill="none" stroke="var(--s-client)" stroke-width="1.200" stroke-dasharray="3 2" /></Swatch>caller only</span>
    <span><Swatch><rect y="2" width="34" height="9" fill="var(--s-server)" /></Swatch>server, itself</span>
    <span><Swatch><rect y="2" width="34" height="9" fill="var(--wait)" /></Swatch>server, waits for a callee</span>
    <span><Swatch><rect y="2" width="34" height="9" fill="var(--t-queue)" /></Swatch>queue</span>
    <span><Swatch><rect y="5" width="34" height="2" fill="var(--ink)" /></Swatch>critical path</span>
  </div>
);

const Swatch = ({ children }: { children: ComponentChild }) => <svg width="34" height="12" aria-hidden="true">{children}</svg>;
