// One trace: where its time went, call by call, both views of each call.
import { useSignal } from "@preact/signals";
import type { ComponentChild } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { fetchTrace } from "../api/traces";
import { Magnifier, Sign } from "../components/Sign";
import { FailureLine, Nothing } from "../components/states";
import { copyLink } from "../components/TopBar";
import { CallDetail } from "../components/trace/CallDetail";
import { Overview, type View } from "../components/trace/Overview";
import { useUsual, type UsualOf } from "../components/trace/useUsual";
import { Waterfall } from "../components/trace/Waterfall";
import { ratioText } from "../domain/compare";
import { clock, count, day, milliseconds, plural, share } from "../domain/format";
import { countShorter, shortLimit } from "../domain/shortcalls";
import { buildTree, calleeOf, criticalPath, durationOf, ownTimes, rows, type Call, type Row, type Times, type Tree } from "../domain/tracetree";
import { comparedCall, mostUnusual } from "../domain/usual";
import { oldest } from "../state/health";
import { useKeys } from "../state/keys";
import { href, hrefHere, param, path, setParams, utc } from "../state/location";
import { useQuery, type Query } from "../state/query";

export function TracePage() {
  const id = path.value.replace(/^\/trace\//, "").toLowerCase();
  const query = useQuery(`trace ${id}`, "", (signal) => fetchTrace(id, signal));
  const tree = useMemo(() => (query.data ? buildTree(query.data.spans) : null), [query.data]);
  if (query.error?.trouble === "missing" || (tree && tree.roots.length === 0)) return <Gone id={id} />;
  if (!tree) return <div class="col grow"><h1 class="vh">Trace</h1><Nothing what="The trace" query={query} /></div>;
  return (
    <>
      <FailureLine what="The trace" query={query} />
      <TraceView key={id} id={id} tree={tree} omitted={query.data?.omitted ?? 0} />
    </>
  );
}

function Gone({ id }: { id: string }) {
  const reach = oldest.value;
  return (
    <div class="center">
      <h1>No trace {id.slice(0, 32)}</h1>
      <p>It was not kept, or retention has removed it.{reach !== null && ` Spans before ${day(reach, utc.value)} ${clock(reach, utc.value, "minutes")} are gone.`} Rates and percentiles count every request, kept or not.</p>
      <a class="btn" href={href("/traces")}>Search traces</a>
    </div>
  );
}

function TraceView({ id, tree, omitted }: { id: string; tree: Tree; omitted: number }) {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(new Set());
  const [find, setFind] = useState("");
  const view = useSignal<View>({ top: 0, seen: 40 });
  const scroll = useRef<(row: number) => void>(() => {});
  const input = useRef<HTMLInputElement>(null);
  const worstFirst = param("order") === "worst";
  const limit = useMemo(() => shortLimit(tree.duration), [tree]);
  const short = useMemo(() => countShorter(tree, limit), [tree]);
  const least = param("hide") === "short" ? limit : 0;
  const showsPath = param("path") !== "off";
  const list = useMemo(() => rows(tree, { closed, unfolded, worstFirst, least }), [tree, closed, unfolded, worstFirst, least]);
  const usual = useUsual(id, tree);
  const showsUsual = param("usual") !== "off";
  const critical = useMemo(() => criticalPath(tree), [tree]);
  const calls = useMemo(() => allCalls(tree), [tree]);
  const selected = calls.get(param("span")) ?? tree.roots[0];
  const toggle = (row: Row, open: boolean) => {
    if (row.folded.length > 0 && open) setUnfolded(new Set([...unfolded, ...[row.call, ...row.folded].map((call) => call.id)]));
    else if (open) setClosed(new Set([...closed].filter((one) => one !== row.call.id)));
    else setClosed(new Set([...closed, row.call.id]));
  };
  const needle = find.trim().toLowerCase();
  const matches = (row: Row) => needle === "" || [row.call, ...row.folded.slice(0, 1)].some((call) => `${calleeOf(call)} ${call.span.name}`.toLowerCase().includes(needle));
  const select = (span: string) => setParams({ span });
  // A link to a call shows it.
  useEffect(() => {
    const at = list.findIndex((row) => row.call === selected || row.folded.includes(selected as Call));
    if (at > view.peek().seen - 2) scroll.current(Math.max(0, at - 5));
  }, []);
  const next = () => {
    const from = list.findIndex((row) => row.call === selected);
    const hit = [...list.slice(from + 1), ...list].find(matches);
    if (!hit || needle === "") return;
    select(hit.call.id);
    scroll.current(Math.max(0, list.indexOf(hit) - 5));
  };
  useKeys(() => [{ keys: "f", what: "find on the page", run: () => input.current?.focus() }], []);
  return (
    <>
      <div class="tracecol">
        <Head tree={tree} id={id} usual={usual} />
        {omitted > 0 && <p class="linebar" role="status">{plural(omitted, "span")} of this trace {omitted === 1 ? "is" : "are"} left out: more than {count(tree.spans)} are not drawn.</p>}
        <Overview tree={tree} rows={list} view={view} onGo={(row) => scroll.current(row)} />
        <div class="tracetools">
          <div class="seg" role="group" aria-label="Order">
            <button aria-pressed={!worstFirst} onClick={() => setParams({ order: null })}>Tree</button>
            <button aria-pressed={worstFirst} onClick={() => setParams({ order: "worst" })}>Slow and failed first</button>
          </div>
          <button class="btn s on" aria-pressed={showsPath} onClick={() => setParams({ path: showsPath ? "off" : null })}>Critical path</button>
          <button class="btn s on" aria-pressed={showsUsual} title="The median of such calls beside each, over the hour round the trace" onClick={() => setParams({ usual: showsUsual ? "off" : null })}>Usual</button>
          {short > 0 && <button class="btn s on" aria-pressed={least > 0} onClick={() => setParams({ hide: least > 0 ? null : "short" })}>Hide under {milliseconds(limit)} <span class="dim">{count(short)}</span></button>}
          <span class="grow" />
          <label class="find">
            <Magnifier size={12} />
            <input ref={input} value={find} aria-label="Find in trace" placeholder="Find in trace" onInput={(event) => setFind(event.currentTarget.value)} onKeyDown={(event) => event.key === "Enter" && next()} />
          </label>
        </div>
        <Waterfall tree={tree} rows={list} usual={showsUsual ? usual.data : null} path={showsPath ? critical : NO_PATH} selected={selected?.id ?? ""} view={view} scroll={scroll} matches={matches} onSelect={select} onToggle={toggle} />
        <Key usual={showsUsual && usual.data !== null} />
      </div>
      {selected && (
        <aside class="col side pn" tabIndex={0} aria-label="Call">
          <CallDetail key={selected.id} call={selected} tree={tree} usual={usual.data} />
        </aside>
      )}
    </>
  );
}

const NO_PATH = new Map<string, Times[]>();

/** By the ids of both views: a link may name the server's span of a call whose row carries the caller's. */
function allCalls(tree: Tree): Map<string, Call> {
  const calls = new Map<string, Call>();
  const stack = [...tree.roots];
  for (let call = stack.pop(); call; call = stack.pop()) {
    if (call.server && !calls.has(call.server.span.id)) calls.set(call.server.span.id, call);
    calls.set(call.id, call);
    stack.push(...call.children);
  }
  return calls;
}

function Head({ tree, id, usual }: { tree: Tree; id: string; usual: Query<UsualOf> }) {
  const [copied, setCopied] = useState("");
  const root = tree.roots[0];
  const compared = root && usual.data ? comparedCall(root, usual.data) : null;
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
            {compared && `usually ${milliseconds(compared.usual)} · `}{clock(tree.startSeconds, utc.value, "milliseconds")} · {plural(tree.calls, "call")}, {plural(tree.services, "service")} · trace <span class="mono">{id.slice(0, 16)}</span>
          </span>
        </div>
        <p>
          {spent.map((one, index) => (
            <span key={one.name} class={index === 0 ? "b" : ""}>{index > 0 && ", "}{share(one.share)} in {one.name}{index === 0 && " itself"}</span>
          ))}
          {spent.length > 0 && "."}
          <Unusual tree={tree} usual={usual} />
        </p>
      </div>
      <button class="btn" onClick={() => void copyLink().then(setCopied)}>{copied || "Copy link"}</button>
    </div>
  );
}

/** What is known of the calls, in one sentence: which of them took longer than such calls do. */
function Unusual({ tree, usual }: { tree: Tree; usual: Query<UsualOf> }) {
  const most = useMemo(() => (usual.data ? mostUnusual(tree, usual.data) : null), [tree, usual.data]);
  if (usual.error) return <> What is usual cannot be read: {usual.error.message}. <button class="link" onClick={usual.again}>Try again</button></>;
  if (!most) return null;
  const { call, compared } = most;
  return (
    <>
      {" "}Unusual: <a href={hrefHere({ span: call.id })}>{calleeOf(call)} {call.span.name}</a> took <b>{milliseconds(compared.own)}</b>, usually {milliseconds(compared.usual)} ({ratioText(compared.own, compared.usual)}).
    </>
  );
}

const Key = ({ usual }: { usual: boolean }) => (
  <div class="key">
    <span><Swatch><rect x=".600" y="1.600" width="32" height="9" fill="none" stroke="var(--s-client)" stroke-width="1.200" /></Swatch>what the caller saw</span>
    <span><Swatch><rect x=".600" y="1.600" width="32" height="9" fill="none" stroke="var(--s-client)" stroke-width="1.200" stroke-dasharray="3 2" /></Swatch>caller only</span>
    <span><Swatch><rect y="2" width="34" height="9" fill="var(--s-server)" /></Swatch>server, itself</span>
    <span><Swatch><rect y="2" width="34" height="9" fill="var(--wait)" /></Swatch>server, waits for a callee</span>
    <span><Swatch><rect y="2" width="34" height="9" fill="var(--t-queue)" /></Swatch>queue</span>
    <span><Swatch><rect y="5" width="34" height="2" fill="var(--ink)" /></Swatch>critical path</span>
    {usual && <span><Swatch><path d="M17 0v12" stroke="var(--ink)" stroke-width="1.5" /></Swatch>usual end</span>}
  </div>
);

const Swatch = ({ children }: { children: ComponentChild }) => <svg width="34" height="12" aria-hidden="true">{children}</svg>;
