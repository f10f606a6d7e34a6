// A map of many plates: a worker draws it, this page moves what was drawn with the pointer and the wheel. Nodes in the
// window are buttons all the same, for the keyboard and for screen readers; they have no look but the focus.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { extentOf, plateAt, toScreen, type View } from "../../domain/geometry";
import { PITCH_X } from "../../domain/layout";
import { deviates } from "../../domain/status";
import type { MapNode } from "../../domain/topology";
import { theme } from "../../state/theme";
import { fontFamily } from "../measure";
import { MARGIN } from "./margin";
import { COLOR_NAMES, type Colors } from "./brush";
import type { Painted, PaintRequest } from "./paint.worker";
import { nodeMatches } from "../../domain/filter";
import type { SceneInput } from "./scene";
import { eased, FLIGHT_MS } from "./useFlight";
import { spoken } from "./spoken";
import { matrix } from "./useView";
import { belowText, tabOrder, type PictureProps } from "./SvgPicture";

interface Props extends Omit<PictureProps, "drawn"> {
  input: SceneInput;
}

/** More buttons than this in a window are not drawn: the table has them all. */
const MOST_BUTTONS = 240;

export function CanvasPicture(props: Props) {
  const { input, control, label, onKeyDown } = props;
  const layer = useRef<HTMLDivElement>(null);
  const canvas = usePainter(props);
  useLayoutEffect(() => {
    const follow = () => {
      if (layer.current) layer.current.style.transform = matrix(control.view, control.live());
    };
    follow();
    return control.onLive(follow);
  }, [control.view]);
  const nodes = useMemo(() => shownButtons(input, props), [input.topology, input.layout, control.view, input.size, input.terms]);
  return (
    <>
      <canvas ref={canvas} class="m" aria-hidden="true" />
      <div ref={layer} class="hits" role="group" aria-label={label} onKeyDown={onKeyDown}>
        {nodes.map((node) => <NodeButton key={node.id} node={node} props={props} />)}
      </div>
    </>
  );
}

function shownButtons({ topology, layout, view, size, terms, around }: SceneInput, { rovingId }: Props): MapNode[] {
  const inside = topology.nodes.filter((node) => {
    const at = layout.nodes[node.id];
    if (!at) return false;
    const { x, y } = toScreen(at, view);
    return x > 0 && y > 0 && x < size.width && y < size.height;
  });
  const wanted = (node: MapNode) => node.id === rovingId || deviates(node.status) || (terms.length > 0 && nodeMatches(terms, node, around));
  const [first, rest] = [inside.filter(wanted), inside.filter((node) => !wanted(node))];
  return [...first, ...rest].slice(0, MOST_BUTTONS).sort((a, b) => tabOrder(a, b, layout));
}

function NodeButton({ node, props }: { node: MapNode; props: Props }) {
  const { input, around, hubs, selection, rovingId, onFocus } = props;
  const plate = plateAt(input.view.scaleX, input.view.scaleY);
  const { x, y } = toScreen(input.layout.nodes[node.id] ?? { x: 0, y: 0 }, input.view);
  const { side, top, bottom } = extentOf(node, plate);
  const [half, up, down] = [Math.max(side, 12), Math.max(top, 12), Math.max(bottom, 12)];
  return (
    <button
      class="hit" data-node={node.id} tabIndex={node.id === rovingId || deviates(node.status) ? 0 : -1} aria-pressed={selection === `node:${node.id}`}
      aria-label={spoken(node, plate, PITCH_X * plate.scaleX, belowText(node, around, hubs))} onFocus={() => onFocus(node.id)}
      style={{ transform: `translate(${(x - half).toFixed(1)}px, ${(y - up).toFixed(1)}px)`, width: `${2 * half}px`, height: `${up + down}px` }}
    />
  );
}

interface Painter {
  worker: Worker;
  busy: boolean;
  /** Something has changed since what was asked for last. */
  dirty: boolean;
  painted: number;
  drawn: View | null;
  /** How long drawing took. */
  took: number;
  /** When the flight began that is under way. */
  flying: number | null;
}

/** A picture that takes longer than a frame jumps. */
const FRAME_MS = 16;

/** One drawing is under way at a time; the next one is of what is seen then. */
function usePainter({ input, control, flight }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const painter = useRef<Painter | null>(null);
  const latest = useRef({ control, size: input.size });
  latest.current = { control, size: input.size };
  const send = (message: PaintRequest) => painter.current?.worker.postMessage(message);
  const ask = () => {
    const it = painter.current;
    const { size } = latest.current;
    if (!it || size.width === 0) return;
    it.dirty = it.busy;
    if (it.busy) return;
    it.busy = true;
    const share = it.flying === null ? 1 : eased((performance.now() - it.flying) / FLIGHT_MS);
    if (share >= 1) it.flying = null;
    send({ kind: "view", share, view: latest.current.control.live(), size, ratio: Math.min(2, devicePixelRatio || 1) });
  };
  const place = () => {
    const drawn = painter.current?.drawn;
    if (canvas.current && drawn) canvas.current.style.transform = matrix(shifted(drawn), latest.current.control.live());
  };
  useLayoutEffect(() => {
    const it: Painter = { worker: new Worker(new URL("./paint.worker.ts", import.meta.url), { type: "module" }), busy: false, dirty: false, painted: 0, drawn: null, took: Infinity, flying: null };
    painter.current = it;
    it.worker.addEventListener("message", ({ data }: MessageEvent<Painted>) => {
      it.busy = false;
      it.took = data.took;
      if (it.took > FRAME_MS) it.flying = null;
      if (canvas.current) show(canvas.current, data);
      it.drawn = data.view;
      it.painted += 1;
      place();
      if (it.dirty || data.share < 1) ask();
      // For those who wait until all is drawn.
      canvas.current?.setAttribute("data-painted", String(it.painted));
    });
    return () => it.worker.terminate();
  }, []);
  useLayoutEffect(() => send({ kind: "data", data: { topology: input.topology, layout: input.layout, frames: input.frames } }), [input.topology, input.layout, input.frames]);
  useLayoutEffect(() => {
    const it = painter.current;
    if (!flight || !it || it.took > FRAME_MS) return;
    it.flying = flight.began;
    send({ kind: "flight", from: flight.from });
  }, [flight]);
  const scheme = useScheme();
  useLayoutEffect(() => {
    const { terms, selection, reach } = input;
    send({ kind: "look", look: { terms, selection, reach, colors: colorsNow(), family: fontFamily() } });
  }, [input.terms, input.selection, input.reach, scheme]);
  useLayoutEffect(ask, [input.topology, input.layout, input.frames, input.terms, input.selection, input.reach, input.size, scheme, control.view]);
  useLayoutEffect(() => control.onLive(() => {
    place();
    ask();
  }), [control.view]);
  return canvas;
}

/** The picture begins beyond the window's corner. */
const shifted = (view: View): View => ({ ...view, offsetX: view.offsetX + MARGIN, offsetY: view.offsetY + MARGIN });

function show(canvas: HTMLCanvasElement, { bitmap, size }: Painted): void {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.style.width = `${size.width + 2 * MARGIN}px`;
    canvas.style.height = `${size.height + 2 * MARGIN}px`;
  }
  canvas.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
}

function colorsNow(): Colors {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOR_NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Changes whenever the colours do. */
function useScheme(): string {
  const [isDark, setDark] = useState(dark.matches);
  useEffect(() => {
    const note = () => setDark(dark.matches);
    dark.addEventListener("change", note);
    return () => dark.removeEventListener("change", note);
  }, []);
  return `${theme.value} ${isDark}`;
}
