// The pinned layout of a level: read from this browser's storage, computed once if there is none, completed for new
// nodes, moved by hand. Only "tidy" lays out anew, and that can be undone.
import { useEffect, useRef, useState } from "preact/hooks";
import { dock, needsNewLayout, place, readLayout, split, type Layout, type LayoutInput, type Point } from "../../domain/layout";
import type { Level, Topology } from "../../domain/topology";
import { recall, remember } from "../../state/theme";

const key = (level: Level): string => `limpid.layout.${level}`;

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
  layout: Layout | null;
  failed: string | null;
  move: (id: string, to: Point) => void;
  tidy: () => void;
  undo: (() => void) | null;
}

export function useLayout(topology: Topology | null, level: Level): Pinned {
  const [pinned, setPinned] = useState<{ level: Level; layout: Layout } | null>(null);
  const [before, setBefore] = useState<Layout | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const asked = useRef(0);
  const current = pinned?.level === level ? pinned.layout : null;

  const keep = (layout: Layout) => {
    setPinned({ level, layout });
    remember(key(level), JSON.stringify(layout));
  };
  const compute = (from: Topology, done: (layout: Layout) => void) => {
    const mine = ++asked.current;
    const { input, docked } = split(from);
    arrange(input).then(
      (layout) => mine === asked.current && done(dock(layout, docked)),
      (error: Error) => mine === asked.current && setFailed(error.message),
    );
  };

  useEffect(() => {
    if (!topology) return;
    const known = current ?? readLayout(recall(key(level)));
    if (known && !needsNewLayout(known, topology)) {
      const placed = place(known, topology);
      if (placed !== current) keep(placed);
      return;
    }
    compute(topology, keep);
  }, [topology, level]);

  const tidy = () => {
    if (!topology || !current) return;
    const old = current;
    compute(topology, (layout) => {
      keep(layout);
      setBefore(old);
    });
  };
  const move = (id: string, to: Point) => {
    if (!current) return;
    const bends = Object.fromEntries(Object.entries(current.bends).filter(([edge]) => !edge.startsWith(`${id}>`) && !edge.includes(`>${id}:`)));
    keep({ nodes: { ...current.nodes, [id]: to }, bends });
  };
  const undo = before
    ? () => {
        keep(before);
        setBefore(null);
      }
    : null;
  return { layout: current, failed, move, tidy, undo };
}
