// Which rows of a long table are in the window, as what scrolls it moves.
import { useLayoutEffect, useState } from "preact/hooks";
import type { RefObject } from "preact";

export const VIRTUAL_FROM = 200;
const SPARE = 20;
const GUESS = 27;

export interface RowWindow {
  from: number;
  to: number;
  /** Pixels of a row, for the room of those that are not drawn. */
  high: number;
}

export function useRowWindow(table: RefObject<HTMLTableElement | null>, count: number): RowWindow {
  const [place, setPlace] = useState({ top: 0, seen: 1200, high: GUESS });
  const isLong = count > VIRTUAL_FROM;
  useLayoutEffect(() => {
    const element = table.current;
    if (!element || !isLong) return;
    const box = element.closest(".col");
    const look = () => {
      const body = element.tBodies[0]?.getBoundingClientRect();
      const high = element.querySelector("tbody tr.a")?.getBoundingClientRect().height || GUESS;
      // Where the column does not scroll by itself, the window does.
      const scrolls = box && box.scrollHeight > box.clientHeight + 1 && getComputedStyle(box).overflowY !== "visible";
      const edge = scrolls ? box.getBoundingClientRect().top : 0;
      const seen = scrolls ? box.clientHeight : innerHeight;
      const top = Math.floor(Math.max(0, edge - (body?.top ?? 0)) / high);
      setPlace((before) => (Math.abs(before.top - top) < SPARE / 2 && before.seen === seen && before.high === high ? before : { top, seen, high }));
    };
    look();
    box?.addEventListener("scroll", look, { passive: true });
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      box?.removeEventListener("scroll", look);
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [isLong, count]);
  if (!isLong) return { from: 0, to: count, high: place.high };
  const from = Math.max(0, Math.min(count, place.top) - SPARE);
  const to = Math.min(count, from + Math.ceil(place.seen / place.high) + 2 * SPARE);
  return { from, to, high: place.high };
}
