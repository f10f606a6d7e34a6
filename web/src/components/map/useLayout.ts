// The pinned layout of a level and grouping: read from this browser's storage, computed once if there is none,
// completed for new nodes, moved by hand. Only "tidy" lays out anew, and that can be undone.
import { useEffect, useRef, useState } from "preact/hooks";
import { grouped } from "../../domain/groups";
import { dock, needsNewLayout, place, placeInside, readLayout, split, splitGroups, type Layout, type LayoutInput, type Point } from "../../domain/layout";
import { seeded } from "../../domain/levels";
import type { Level, Topology } from "../../domain/topology";
import { recall, remember } from "../../state/theme";

const keyOf = (level: Level, by: string): string => `limpid.layout.${level}${by ? `.${by}` : ""}`;

let worker: Worker | null = null;
let tickets = 0;

/** One worker for the page; answers find their question by its ticket. */
function arrange(input: LayoutInput): Promise<Layout> {
  worker ??= new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
  const running = worker;
  const ticket = ++tickets;
  return new Promise((resolve, reject) => {
    const answer = (event: MessageEvent<{ ticket: number; layout?: Layout; failed?: string }>) => {
      if (event.data.ticket !== ticket) return;
      running.removeEventListener("message", answer);
      if (event.data.layout) resolve(event.data.layout);
      else reject(new Error(event.data.failed ?? "the layout failed"));
    };
    running.addEventListener("message", answer);
    running.addEventListener("error", () => reject(new Error("the layout worker does not run")), { once: true });
    running.postMessage({ ticket, input });
  });
}

export interface Pinned {
  /** With all groups collapsed, and the insides of groups apart. */
  layout: Layout | null;
  /** Counts the times that all was laid out anew. */
  tidied: number;
  failed: string | null;
  move: (id: string, by: Point) => void;
  tidy: () => void;
  undo: (() => void) | null;
}

export function useLayout(topology: Topology | null, level: Level, by: string): Pinned {
  const key = keyOf(level, by);
  const [pinned, setPinned] = useState<{ key: string; layout: Layout } | null>(null);
  const [before, setBefore] = useState<{ key: string; layout: Layout } | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const [tidied, setTidied] = useState(0);
  const asked = useRef(0);
  const current = pinned?.key === key ? pinned.layout : null;

  const saving = useRef(0);
  const keep = (layout: Layout) => {
    setPinned({ key, layout });
    // A node that is dragged moves at every frame, and the storage is slow.
    clearTimeout(saving.current);
    saving.current = window.setTimeout(() => remember(key, JSON.stringify(layout)), 300);
  };
  const compute = (from: Topology, done: (layout: Layout) => void) => {
    const mine = ++asked.current;
    const { input, docked } = by ? splitGroups(from, by) : split(from);
    arrange(input).then(
      (layout) => mine === asked.current && done(dock(layout, docked, input.heights)),
      (error: Error) => mine === asked.current && setFailed(error.message),
    );
  };

  useEffect(() => {
    if (!topology) return;
    const known = current ?? readLayout(recall(key)) ?? (by ? null : fromServices(topology, level));
    const items = by ? grouped(topology, by, new Set()).topology : topology;
    if (known && !needsNewLayout(known, items)) {
      const placed = by ? placeInside(place(known, items), topology, by) : place(known, items);
      if (placed !== current) keep(placed);
      return;
    }
    compute(topology, keep);
  }, [topology, level, by]);

  const tidy = () => {
    if (!topology || !current) return;
    const old = current;
    compute(topology, (layout) => {
      keep(layout);
      setBefore({ key, layout: old });
      setTidied((count) => count + 1);
    });
  };
  const move = (id: string, { x, y }: Point) => {
    const at = current?.nodes[id];
    const inside = current?.inner[id];
    if (!current || (!at && !inside)) return;
    const bends = Object.fromEntries(Object.entries(current.bends).filter(([edge]) => !edge.startsWith(`${id}>`) && !edge.includes(`>${id}:`)));
    if (at) keep({ ...current, nodes: { ...current.nodes, [id]: { x: at.x + x, y: at.y + y } }, bends });
    else if (inside) keep({ ...current, inner: { ...current.inner, [id]: { x: inside.x + x, y: inside.y + y } }, bends });
  };
  const undo = before?.key === key
    ? () => {
        keep(before.layout);
        setBefore(null);
        setTidied((count) => count + 1);
      }
    : null;
  return { layout: current, tidied, failed, move, tidy, undo };
}

function fromServices(topology: Topology, level: Level): Layout | null {
  const services = level === "service" ? null : readLayout(recall(keyOf("service", "")));
  return services && seeded(services, topology, level);
}
