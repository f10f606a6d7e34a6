// Arrows move along the edges: up to callers, down to callees, left and right among siblings. Enter opens, Esc closes.
import { useEffect, useRef } from "preact/hooks";
import type { RefObject } from "preact";
import { nodeMatches } from "../../domain/filter";
import { toScreen } from "../../domain/geometry";
import { useKeys, type Key } from "../../state/keys";
import { setParams } from "../../state/location";
import type { MapCanvasProps } from "./MapCanvas";
import type { ViewControl } from "./useView";

/** Handled by the map itself, on the node that has the focus; here only for the list of keys. */
const SHOWN: Key[] = [
  { keys: "↑ ↓ ← →", what: "callers, callees, siblings", run: () => {} },
  { keys: "⇥", what: "next finding", run: () => {} },
  { keys: "Enter ↵", what: "open what has the focus", run: () => {} },
];

interface Context extends MapCanvasProps {
  control: ViewControl;
  focused: string | null;
  setFocused: (id: string) => void;
  box: RefObject<HTMLDivElement | null>;
}

export function useMapKeys(context: Context): (event: KeyboardEvent) => void {
  const { onSelect } = context;
  // A key does what it says with what is shown when it is pressed.
  const latest = useRef(context);
  latest.current = context;
  const toggle = (value: string) => setParams({ show: latest.current.show === value ? null : value });
  const openGroup = () => {
    const { selection, onOpen } = latest.current;
    if (selection.startsWith("node:group:")) onOpen(selection.slice(5));
  };
  const keys = (): Key[] => [
    { keys: "o", what: "open or collapse the selected group", run: openGroup },
    { keys: "0", what: "fit the map", run: () => latest.current.control.fit() },
    { keys: "u", what: "what calls the selection (upstream)", run: () => toggle("upstream") },
    { keys: "d", what: "what the selection calls (downstream)", run: () => toggle("downstream") },
    ...SHOWN,
  ];
  useKeys(keys, []);

  // The next hit of the filter, asked for by Enter in its box.
  useEffect(() => {
    const next = () => focusOn(nextHit(context), context);
    document.addEventListener("limpid:next-hit", next);
    return () => document.removeEventListener("limpid:next-hit", next);
  });

  return (event) => {
    const id = context.focused;
    if (!id) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onSelect(`node:${id}`);
      return;
    }
    const to = neighbour(event.key, id, context);
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    focusOn(to, context);
  };
}

function neighbour(key: string, id: string, { around, layout }: Context): string | undefined {
  const here = layout.nodes[id];
  if (!here) return undefined;
  const nearest = (ids: string[]) => [...new Set(ids)].sort((a, b) => Math.abs((layout.nodes[a]?.x ?? 0) - here.x) - Math.abs((layout.nodes[b]?.x ?? 0) - here.x))[0];
  if (key === "ArrowUp") return nearest((around.incoming.get(id) ?? []).map((edge) => edge.source).filter((other) => other !== id));
  if (key === "ArrowDown") return nearest((around.outgoing.get(id) ?? []).map((edge) => edge.target).filter((other) => other !== id));
  const sign = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  if (sign === 0) return undefined;
  const beside = [...around.byId.keys()].filter((other) => {
    const at = layout.nodes[other];
    return at !== undefined && Math.abs(at.y - here.y) < 60 && (at.x - here.x) * sign > 0;
  });
  return nearest(beside);
}

function nextHit({ topology, around, terms, focused }: Context): string | undefined {
  const hits = topology.nodes.filter((node) => nodeMatches(terms, node, around));
  const at = hits.findIndex((node) => node.id === focused);
  return hits[(at + 1) % Math.max(1, hits.length)]?.id;
}

function focusOn(id: string | undefined, { layout, control, box, setFocused }: Context): void {
  const at = id === undefined ? undefined : layout.nodes[id];
  const area = box.current?.getBoundingClientRect();
  if (id === undefined || !at || !area) return;
  const point = toScreen(at, control.live());
  if (point.x < 60 || point.x > area.width - 60) control.panBy(area.width / 2 - point.x, 0);
  if (point.y < 40 || point.y > area.height - 60) control.panBy(0, area.height / 2 - point.y);
  setFocused(id);
  // After the picture has moved: a node outside the window is not drawn and cannot be focused.
  control.settle();
  requestAnimationFrame(() => requestAnimationFrame(() => box.current?.querySelector<SVGGElement>(`[role="button"][data-node="${CSS.escape(id)}"], button[data-node="${CSS.escape(id)}"]`)?.focus()));
}
