// Pan and zoom. Until somebody moves the picture it fits the window by itself; "fit" gives it back. While a gesture
// goes on, the view moves on without the page being drawn anew (`live`); what depends on it follows at rest (`view`).
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { signal } from "@preact/signals";
import { fit, zoomAt, type Size, type View } from "../../domain/geometry";
import type { Frame } from "../../domain/expand";
import { bounds, PITCH_X, type Box, type Layout, type Point } from "../../domain/layout";
import { MARGIN } from "./margin";

/** True while somebody moves the map: then nothing new is read, so that no frame is missed for it. */
export const moving = signal(false);

export interface ViewControl {
  /** What is drawn. */
  view: View;
  /** What is seen at this moment. */
  live: () => View;
  onLive: (listener: (view: View) => void) => () => void;
  isFitted: boolean;
  zoom: (factor: number, about?: Point) => void;
  panBy: (x: number, y: number) => void;
  /** The gesture is over: draw what is seen, soon or at once. */
  rest: () => void;
  settle: () => void;
  fit: () => void;
  whole: () => void;
}

interface Options {
  layout: Layout;
  frames: Frame[];
  ids: string[];
  /** The picture that is fitted: another one fits anew. */
  picture: string;
  size: Size;
  box: RefObject<HTMLElement | null>;
  follows: Follows;
}

/** How a picture keeps up with a gesture: drawn anew for each frame; stretched until the hand rests, where that would
 * take longer than a frame; or by itself, drawn by a worker. */
export type Follows = "redrawn" | "stretched" | "itself";

const REST_MS = 140;
/** A picture that follows by itself is right all the time; what else there is can wait until the hand rests. */
const LONG_REST_MS = 500;
const restMs = (follows: Follows): number => (follows === "itself" ? LONG_REST_MS : REST_MS);

export function useView({ layout, frames, ids, picture, size, box, follows }: Options): ViewControl {
  const [own, setOwn] = useState<View | null>(null);
  const [fits, setFits] = useState(0);
  const fitted = useFitted(layout, frames, ids, `${picture} ${fits}`, size);
  const view = own ?? fitted;
  const state = useRef({ live: view, drawn: view, follows, timer: 0, frame: 0, listeners: new Set<(view: View) => void>() }).current;
  state.follows = follows;
  if (state.drawn !== view) {
    state.drawn = view;
    state.live = view;
  }

  const rest = () => {
    clearTimeout(state.timer);
    cancelAnimationFrame(state.frame);
    state.frame = 0;
    moving.value = false;
    if (state.live !== state.drawn) setOwn(state.live);
  };
  const go = (next: View) => {
    state.live = next;
    moving.value = true;
    for (const listener of state.listeners) listener(next);
    clearTimeout(state.timer);
    state.timer = window.setTimeout(rest, restMs(state.follows));
    const { drawn } = state;
    const zoomed = next.scaleX !== drawn.scaleX || next.scaleY !== drawn.scaleY;
    const far = Math.max(Math.abs(next.offsetX - drawn.offsetX), Math.abs(next.offsetY - drawn.offsetY)) > MARGIN * 0.8;
    const isDue = state.follows === "redrawn" ? zoomed || far : state.follows === "stretched" && far && !zoomed;
    if (isDue && !state.frame) {
      state.frame = requestAnimationFrame(() => {
        state.frame = 0;
        setOwn(state.live);
      });
    }
  };
  useEffect(() => rest, []);
  useEffect(() => state.listeners.forEach((listener) => listener(state.live)), [view]);

  const middle = (): Point => ({ x: size.width / 2, y: size.height / 2 });
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const { left, top } = element.getBoundingClientRect();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const by = Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * (event.ctrlKey ? 0.008 : 0.0016));
      go(zoomAt(state.live, by, { x: event.clientX - left, y: event.clientY - top }));
    };
    // Not passive: the page must not scroll or zoom along.
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, []);

  return {
    view,
    live: () => state.live,
    onLive: (listener) => {
      state.listeners.add(listener);
      return () => state.listeners.delete(listener);
    },
    isFitted: own === null,
    zoom: (factor, about = middle()) => setOwn(zoomAt(state.live, factor, about)),
    panBy: (x, y) => go({ ...state.live, offsetX: state.live.offsetX + x, offsetY: state.live.offsetY + y }),
    rest: () => (state.follows === "itself" ? undefined : rest()),
    settle: rest,
    fit: () => {
      setFits((count) => count + 1);
      setOwn(null);
    },
    whole: () => setOwn(zoomAt(state.live, 1 / state.live.scaleX, middle())),
  };
}

/** Fits all that was seen of this picture so far: while it is looked at it may grow, but nothing moves for what goes. */
function useFitted(layout: Layout, frames: Frame[], ids: string[], picture: string, size: Size): View {
  const known = useRef<{ picture: string; box: Box } | null>(null);
  const idKey = ids.join("\n");
  return useMemo(() => {
    // Half a plate stands beyond the middle of the outermost nodes anyway, but not beyond a frame.
    const corners = frames.flatMap(({ box: { left, right, top, bottom } }) => [{ x: left + PITCH_X / 2, y: top }, { x: right - PITCH_X / 2, y: bottom }]);
    const box = bounds([...ids.flatMap((id) => layout.nodes[id] ?? []), ...corners]);
    const before = known.current?.picture === picture ? known.current.box : box;
    const all = { left: Math.min(box.left, before.left), right: Math.max(box.right, before.right), top: Math.min(box.top, before.top), bottom: Math.max(box.bottom, before.bottom) };
    known.current = { picture, box: all };
    return fit(all, size, ids.some((id) => id.startsWith("group:")));
  }, [layout, frames, idKey, picture, size]);
}

/** From where something was drawn to where it is now. */
export function matrix(drawn: View, now: View): string {
  const [across, down] = [now.scaleX / drawn.scaleX, now.scaleY / drawn.scaleY];
  return `matrix(${across}, 0, 0, ${down}, ${now.offsetX - drawn.offsetX * across}, ${now.offsetY - drawn.offsetY * down})`;
}
