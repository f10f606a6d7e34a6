// The map: who calls whom, what deviates, and why.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { fetchTopology } from "../api/topology";
import { MapCanvas } from "../components/map/MapCanvas";
import { Panel } from "../components/map/Panel";
import { levelCount } from "../components/map/spoken";
import { TableView } from "../components/map/TableView";
import { useLayout, type Pinned } from "../components/map/useLayout";
import { NoRequests } from "../components/NoRequests";
import { Busy, Center, FailureLine, Nothing } from "../components/states";
import { Cross, Magnifier } from "../components/Sign";
import { nodeMatches, parseFilter, type Term } from "../domain/filter";
import { findings } from "../domain/findings";
import { count } from "../domain/format";
import { LEVELS, neighbourhood, type Level, type Neighbourhood, type Topology } from "../domain/topology";
import { interval } from "../state/clock";
import { findingCount } from "../state/health";
import { useKeys } from "../state/keys";
import { hrefHere, param, setParams } from "../state/location";
import { useQuery } from "../state/query";
import { moment, subject } from "../state/subject";

export function MapPage() {
  const level = LEVELS.find((one) => one === param("level")) ?? "service";
  const selection = param("sel");
  const filter = param("q");
  const query = useQuery(subject(`topology ${level}`), moment(), (signal) => fetchTopology(interval.peek(), level, signal));
  const topology = query.data;
  const around = useMemo(() => neighbourhood(topology ?? { nodes: [], edges: [] }), [topology]);
  const terms = useMemo(() => parseFilter(filter), [filter]);
  const pinned = useLayout(topology, level);
  useKeys(() => [{ keys: "Shift T", what: "tidy: lay the map out anew", run: pinned.tidy }], [pinned.layout, topology]);
  useEffect(() => {
    findingCount.value = topology ? findings(topology).filter((one) => one.status !== "affected").length : 0;
  }, [topology]);
  const isTable = param("view") === "table";
  const select = (next: string) => setParams({ sel: next, show: null }, "push");
  return (
    <>
      <h1 class="vh">Map</h1>
      <Busy on={query.stale} />
      <div class="mapcol">
        <Tools level={level} isTable={isTable} filter={filter} topology={topology} pinned={pinned} />
        <FailureLine what="The map" query={query} />
        {topology && terms.length > 0 && <NoMatch topology={topology} around={around} terms={terms} filter={filter} level={level} />}
        {!topology ? (
          <Nothing what="The map" query={query} />
        ) : topology.nodes.length === 0 ? (
          <NoRequests />
        ) : isTable ? (
          <TableView topology={topology} around={around} terms={terms} />
        ) : pinned.failed ? (
          <Center>The map cannot be laid out: {pinned.failed}. The table shows the same.</Center>
        ) : pinned.layout ? (
          <MapCanvas topology={topology} around={around} layout={pinned.layout} level={level} terms={terms} selection={selection} show={param("show")} stale={query.stale} onSelect={select} onMove={pinned.move} />
        ) : (
          <div class="cv" />
        )}
      </div>
      {topology && topology.nodes.length > 0 && <Panel topology={topology} around={around} level={level} selection={selection} />}
    </>
  );
}

interface ToolsProps {
  level: Level;
  isTable: boolean;
  filter: string;
  topology: Topology | null;
  pinned: Pinned;
}

const LEVEL_NAMES: Record<Level, string> = { host: "Host", service: "Service", process: "Process" };

function Tools({ level, isTable, filter, topology, pinned }: ToolsProps) {
  return (
    <div class="tool" role="toolbar" aria-label="Map">
      <div class="seg" role="group" aria-label="Level">
        {LEVELS.map((one) => (
          <a key={one} href={hrefHere({ level: one === "service" ? null : one, sel: null, show: null })} aria-current={one === level ? "true" : undefined}>
            {LEVEL_NAMES[one]}
          </a>
        ))}
      </div>
      <FilterBox value={filter} hint={topology ? `Filter ${levelCount(topology, level)}` : "Filter"} />
      <span class="grow" />
      {pinned.undo && <button class="btn s" onClick={pinned.undo}>Undo tidy</button>}
      {!isTable && <button class="btn s h1c" title="Lay the map out anew  Shift T" onClick={pinned.tidy}>Tidy</button>}
      <div class="seg" role="group" aria-label="View">
        <a href={hrefHere({ view: null })} aria-current={isTable ? undefined : "true"}>Map</a>
        <a href={hrefHere({ view: "table" })} aria-current={isTable ? "true" : undefined}>Table</a>
      </div>
    </div>
  );
}

function FilterBox({ value, hint }: { value: string; hint: string }) {
  const [text, setText] = useState(value);
  const input = useRef<HTMLInputElement>(null);
  // While somebody types, the address follows the text and not the other way round.
  useEffect(() => {
    if (document.activeElement !== input.current) setText(value);
  }, [value]);
  useKeys(() => [{ keys: "f", what: "find on the page", run: () => input.current?.focus() }], []);
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter") document.dispatchEvent(new Event("limpid:next-hit"));
    if (event.key === "Escape") input.current?.blur();
  };
  return (
    <div class="find" role="search">
      <Magnifier size={12} />
      <input ref={input} value={text} placeholder={hint} aria-label={hint} title="name, lang:java, proto:redis, status:critical, host:shop-1" spellcheck={false} onKeyDown={keys}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setParams({ q: event.currentTarget.value });
        }} />
      {text && <button class="ib" style={{ width: "20px" }} aria-label="Remove the filter" onClick={() => setParams({ q: null })}><Cross /></button>}
    </div>
  );
}

function NoMatch({ topology, around, terms, filter, level }: { topology: Topology; around: Neighbourhood; terms: Term[]; filter: string; level: Level }) {
  if (topology.nodes.some((node) => nodeMatches(terms, node, around))) return null;
  return (
    <div class="linebar" role="status">
      No {level} matches {filter}. {count(topology.nodes.length)} without this filter.
      <button class="btn s" onClick={() => setParams({ q: null })}>Remove it</button>
    </div>
  );
}
