// The map: who calls whom, what deviates, and why.
import { useEffect, useMemo, useRef } from "preact/hooks";
import { fetchTopology } from "../api/topology";
import { pastOf, PastLine, useCompareKey, useThen } from "../components/Compare";
import { MapCanvas } from "../components/map/MapCanvas";
import { Panel } from "../components/map/Panel";
import { NoSpans, SampledLine, useSettled } from "../components/map/SampledLine";
import { TableView } from "../components/map/TableView";
import { Chips, Tools } from "../components/map/Tools";
import { useLayout } from "../components/map/useLayout";
import { useReplay } from "../components/map/useReplay";
import { moving } from "../components/map/useView";
import { NoRequests } from "../components/NoRequests";
import { Busy, Center, FailureLine, Nothing } from "../components/states";
import { compared } from "../domain/difference";
import { expanded } from "../domain/expand";
import { parseFilter, spanFilter } from "../domain/filter";
import { findings } from "../domain/findings";
import { grouped, groupingOf, groupsOf, openOf, openParam, opensByItself, standsFor, type Grouped } from "../domain/groups";
import { LEVELS, neighbourhood, type Topology } from "../domain/topology";
import { interval } from "../state/clock";
import { findingCount } from "../state/health";
import { useKeys, type Key } from "../state/keys";
import { param, setParams } from "../state/location";
import { useQuery } from "../state/query";
import { moment, subject } from "../state/subject";

export function MapPage() {
  const wanted = LEVELS.find((one) => one === param("level")) ?? "service";
  const selection = param("sel");
  const filter = param("q");
  const terms = useMemo(() => parseFilter(filter), [filter]);
  const ofSpans = useSettled(spanFilter(terms));
  const query = useQuery(subject(`topology ${wanted} ${ofSpans}`), useStill(moment()), async (signal) => ({ level: wanted, topology: await fetchTopology(interval.peek(), wanted, signal, ofSpans) }));
  // While another level is read, what is shown is still the one before.
  const level = query.data?.level ?? wanted;
  const then = useThen(`topology ${level} ${ofSpans}`, (past, signal) => fetchTopology(past, level, signal, ofSpans));
  const past = pastOf();
  const now = query.data?.topology ?? null;
  const different = useMemo(() => (now && past && then.known ? compared(now, then.known) : null), [now, then.known, past !== null]);
  const topology = different ?? now;
  const by = groupingOf(param("group"), topology);
  const { shown, open } = useGroups(topology, by, level);
  const around = useMemo(() => neighbourhood(shown.topology), [shown]);
  // A filter and a table are of all there is, whether it is shown by itself or in a group.
  const whole = useMemo(() => (!topology || shown.topology === topology ? around : neighbourhood(topology)), [topology, shown]);
  const pinned = useLayout(topology, level, by);
  const picture = useMemo(() => pinned.layout && expanded(pinned.layout, shown.groups), [pinned.layout, shown]);
  const drawn = useHeld(topology && picture ? { topology: shown.topology, around, picture, level, key: `${level} ${by} ${open.join()} ${pinned.tidied} ${different !== null}` } : null);
  const replay = useReplay();
  useKeys(pageKeys, []);
  useCompareKey();
  useKeys(() => ["t", "Shift T"].map((keys) => ({ keys, what: "tidy: lay the map out anew", run: pinned.tidy })), [pinned.layout, topology]);
  useEffect(() => {
    // The count is of everything, and an estimate of a part is not.
    if (!now?.sampled) findingCount.value = now ? findings(now).filter((one) => one.status !== "affected").length : 0;
  }, [now]);
  const since = useMemo(() => (now ? beginning(now) : null), [now]);
  const isTable = param("view") === "table";
  const select = (next: string) => setParams({ sel: next, show: null }, "push");
  const toggle = (id: string) => {
    const group = shown.groups.find((one) => one.id === id);
    if (group) setParams({ open: openParam(group.isOpen ? open.filter((value) => value !== group.value) : [...open, group.value]) }, "push");
  };
  return (
    <>
      <h1 class="vh">Map</h1>
      <Busy on={query.stale || (past !== null && then.query.stale)} />
      <div class="mapcol">
        <Tools level={wanted} by={by} isTable={isTable} filter={filter} topology={topology} pinned={pinned} replay={replay} since={since} />
        <FailureLine what="The map" query={query} />
        <FailureLine what="The time compared with" query={then.query} />
        {then.known && <PastLine past={past} unknown={different ? null : "the map"} />}
        {topology && !query.error && <SampledLine topology={topology} asked={ofSpans} />}
        {topology && <Chips topology={topology} around={whole} terms={terms} filter={filter} level={level} selection={selection} show={param("show")} />}
        {!topology ? (
          <Nothing what="The map" query={query} />
        ) : topology.nodes.length === 0 && topology.sampled ? (
          <NoSpans asked={topology.sampled.filter} filter={filter} terms={terms} />
        ) : topology.nodes.length === 0 ? (
          <NoRequests />
        ) : isTable ? (
          <TableView topology={topology} around={whole} terms={terms} />
        ) : pinned.failed ? (
          <Center>The map cannot be laid out: {pinned.failed}. The table shows the same.</Center>
        ) : drawn ? (
          <MapCanvas topology={drawn.topology} around={drawn.around} layout={drawn.picture.layout} frames={drawn.picture.frames} level={drawn.level} picture={drawn.key} terms={terms} selection={standsFor(selection, shown)}
            show={param("show")} stale={query.stale} onSelect={select} onMove={pinned.move} onOpen={toggle} />
        ) : (
          <div class="cv" />
        )}
      </div>
      {topology && topology.nodes.length > 0 && <Panel topology={topology} shown={shown} around={around} whole={whole} level={level} selection={selection} onOpen={toggle} />}
    </>
  );
}

/** When the first of what deviates began. */
function beginning(topology: Topology): number | null {
  const times = findings(topology).flatMap((one) => one.since ?? []);
  return times.length ? Math.min(...times) : null;
}

/** The page's own, and not the picture's: they work while a level is still being read. */
const pageKeys = (): Key[] => [
  ...LEVELS.map((level, index) => ({ keys: String(index + 1), what: `level ${level}`, run: () => setParams({ level: level === "service" ? null : level, sel: null, show: null, open: null }, "push") })),
  { keys: "Escape", what: "back to all findings", run: () => setParams({ sel: null, show: null }, "push") },
];

/** What was drawn last stays until the next is laid out. */
function useHeld<T>(now: T | null): T | null {
  const held = useRef(now);
  if (now) held.current = now;
  return held.current;
}

/** While somebody moves the map, nothing new is read: what arrives would cost the frame in which it does. */
function useStill(now: string): string {
  const held = useRef(now);
  if (!moving.peek()) held.current = now;
  return held.current;
}

/** How many members may be shown by groups that nobody has opened. */
const ROOM = 40;

interface Shown {
  shown: Grouped;
  open: string[];
}

function useGroups(topology: Topology | null, by: string, level: string): Shown {
  const chosen = openOf(param("open"));
  // What opens by itself is decided once: later it would move what somebody reads.
  const own = useRef<{ key: string; values: string[] } | null>(null);
  const key = `${level} ${by}`;
  if (topology && by && own.current?.key !== key) own.current = { key, values: opensByItself(groupsOf(topology, by, new Set()), ROOM) };
  const open = chosen ?? (own.current?.key === key ? own.current.values : []);
  const openKey = open.join("\n");
  const shown = useMemo(() => (topology && by ? grouped(topology, by, new Set(open)) : { topology: topology ?? { nodes: [], edges: [] }, groups: [] }), [topology, by, openKey]);
  return { shown, open };
}
