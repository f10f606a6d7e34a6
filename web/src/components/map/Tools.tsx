// The bar over the map: level, grouping, filter, tidy, map or table; and below it a chip for everything that dims a
// part of the map, each with its count, so that no filter is hidden.
import { useEffect, useRef, useState } from "preact/hooks";
import { nodeMatches, parseFilter, withoutTerm, type Term } from "../../domain/filter";
import { count } from "../../domain/format";
import { GROUPINGS, labelsOf } from "../../domain/groups";
import { LEVELS, nameOf, type Level, type Neighbourhood, type Topology } from "../../domain/topology";
import { useKeys } from "../../state/keys";
import { hrefHere, setParams } from "../../state/location";
import { Compare, pastOf } from "../Compare";
import { Cross, Magnifier } from "../Sign";
import { reachOf } from "./scene";
import { levelCount } from "./spoken";
import type { Pinned } from "./useLayout";
import type { Replay } from "./useReplay";

interface ToolsProps {
  level: Level;
  by: string;
  isTable: boolean;
  filter: string;
  topology: Topology | null;
  pinned: Pinned;
  replay: Replay;
  /** When the first of what deviates began. */
  since: number | null;
}

const LEVEL_NAMES: Record<Level, string> = { host: "Host", service: "Service", process: "Process" };

export function Tools({ level, by, isTable, filter, topology, pinned, replay, since }: ToolsProps) {
  return (
    <div class="tool" role="toolbar" aria-label="Map">
      <div class="seg" role="group" aria-label="Level">
        {LEVELS.map((one) => (
          <a key={one} href={hrefHere({ level: one === "service" ? null : one, sel: null, show: null, open: null })} aria-current={one === level ? "true" : undefined}>
            {LEVEL_NAMES[one]}
          </a>
        ))}
      </div>
      {topology && <Grouping by={by} topology={topology} level={level} />}
      <FilterBox value={filter} hint={topology ? `Filter ${levelCount(topology, level)}` : "Filter"} />
      <span class="grow" />
      <Compare past={pastOf()} since={since} small />
      <button class="btn s h3c" aria-pressed={replay.playing} title={replay.playing ? "Stop  Space" : "Play the last hours, a minute a step  Space"} onClick={replay.toggle}>
        {replay.playing ? "Stop" : "Play"}
      </button>
      {pinned.undo && <button class="btn s" onClick={pinned.undo}>Undo tidy</button>}
      {!isTable && <button class="btn s h1c" title="Lay the map out anew  Shift T" onClick={pinned.tidy}>Tidy</button>}
      <div class="seg" role="group" aria-label="View">
        <a href={hrefHere({ view: null })} aria-current={isTable ? undefined : "true"}>Map</a>
        <a href={hrefHere({ view: "table" })} aria-current={isTable ? "true" : undefined}>Table</a>
      </div>
    </div>
  );
}

function Grouping({ by, topology, level }: { by: string; topology: Topology; level: Level }) {
  const labels = labelsOf(topology);
  const all = [...GROUPINGS.filter((one) => one !== level), ...labels.filter((one) => one !== by), ...(by && !(GROUPINGS as readonly string[]).includes(by) ? [by] : [])];
  return (
    <label class="pick h1c">
      <span class="dim">group</span>
      <select value={by || "none"} onChange={(event) => setParams({ group: event.currentTarget.value, open: null, sel: null }, "push")}>
        <option value="none">none</option>
        {all.map((one) => <option key={one} value={one}>{one}</option>)}
      </select>
    </label>
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
      <input ref={input} value={text} placeholder={hint} aria-label={hint} title="name, lang:java, proto:redis, status:critical, host:shop-1, unit:nginx, is:new, any.attribute:value; of requests: attr:user.tier=gold" spellcheck={false} onKeyDown={keys}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setParams({ q: event.currentTarget.value });
        }} />
      {text && <button class="ib" style={{ width: "20px" }} aria-label="Remove the filter" onClick={() => setParams({ q: null })}><Cross /></button>}
    </div>
  );
}

interface ChipsProps {
  topology: Topology;
  around: Neighbourhood;
  terms: Term[];
  filter: string;
  level: Level;
  selection: string;
  show: string;
}

export function Chips({ topology, around, terms, filter, level, selection, show }: ChipsProps) {
  const matching = topology.nodes.filter((node) => nodeMatches(terms, node, around)).length;
  const from = selection.startsWith("node:") ? selection.slice(5) : "";
  const reach = from && (show === "upstream" || show === "downstream") ? reachOf(from, show, around) : null;
  if (terms.length > 0 && matching === 0 && topology.nodes.length > 0) {
    return (
      <div class="linebar" role="status">
        No {level} matches {filter}. {count(topology.nodes.length)} without this filter.
        <button class="btn s" onClick={() => setParams({ q: null })}>Remove it</button>
      </div>
    );
  }
  if (terms.length === 0 && !reach) return null;
  return (
    <div class="chips">
      {parseFilter(filter).map((term) => (
        <Chip key={term.text} text={term.text} amount={topology.nodes.filter((node) => nodeMatches([term], node, around)).length} remove={() => setParams({ q: withoutTerm(filter, term) })} />
      ))}
      {reach && <Chip text={`${show} of ${nameOf(from, around.byId)}`} amount={reach.size} remove={() => setParams({ show: null })} />}
      {terms.length > 1 && <span class="sub">{count(matching)} of {count(topology.nodes.length)} match all</span>}
    </div>
  );
}

const Chip = ({ text, amount, remove }: { text: string; amount: number; remove: () => void }) => (
  <span class="chip">
    <b>{text}</b> {count(amount)}
    <button aria-label={`Remove ${text}`} onClick={remove}><Cross /></button>
  </span>
);
