// When the map is laid out anew, or shown at another level or in other groups, what was there before moves to its new
// place instead of jumping. Where things came from is worked out once; what moves them is the picture.
import { useRef } from "preact/hooks";
import { toScreen } from "../../domain/geometry";
import { origins } from "../../domain/origins";
import type { Point } from "../../domain/layout";
import type { SceneInput } from "./scene";

export const FLIGHT_MS = 250;

export interface Flight {
  /** From where each node comes, in pixels of the window. */
  from: ReadonlyMap<string, Point>;
  /** As the page's own clock tells it: a picture that is drawn too late for it jumps. */
  began: number;
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The flight to this picture from the one before; null where nothing is to move. It is the same one until the next. */
export function useFlight(picture: string, input: SceneInput): Flight | null {
  const state = useRef<{ picture: string; input: SceneInput; flight: Flight | null }>({ picture, input, flight: null }).current;
  if (state.picture !== picture) {
    state.flight = still.matches || state.input.size.width === 0 ? null : flightOf(state.input, input);
    state.picture = picture;
  }
  state.input = input;
  return state.flight;
}

function flightOf(before: SceneInput, now: SceneInput): Flight | null {
  const at = (id: string): Point | null => {
    const point = before.layout.nodes[id];
    return point ? toScreen(point, before.view) : null;
  };
  const from = origins(before.topology.nodes, now.topology.nodes, at);
  return from.size ? { from, began: performance.now() } : null;
}

/** Fast at first, then slower. */
export const eased = (share: number): number => 1 - (1 - Math.min(1, Math.max(0, share))) ** 3;
