// One table of keys: what works is what the list under `?` shows. Pages add their own while they are shown.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface Key {
  /** As typed: `/`, `g m`, `Shift D`, `ArrowDown`. */
  keys: string;
  what: string;
  run: () => void;
}

const layers: Key[][] = [];
export const shownKeys = signal<Key[]>([]);

export function addKeys(keys: Key[]): () => void {
  layers.push(keys);
  shownKeys.value = layers.flat();
  return () => {
    layers.splice(layers.indexOf(keys), 1);
    shownKeys.value = layers.flat();
  };
}

/** `current` runs with each render's values; the list itself is made once per page. */
export function useKeys(make: () => Key[], watched: unknown[]): void {
  useEffect(() => addKeys(make()), watched);
}

let first = "";
let firstAt = 0;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  // Space presses the button that has the focus.
  if (event.key === " " && event.target instanceof Element && event.target.closest("button, a, summary, [role=button]")) return;
  const named = event.key === " " ? "Space" : event.key;
  const typed = event.shiftKey && /^[a-z]$/i.test(event.key) ? `Shift ${event.key.toUpperCase()}` : named;
  // By when it was pressed: a busy page hears of it later.
  const pair = event.timeStamp - firstAt < 1200 ? `${first} ${typed}` : "";
  const all = layers.flat();
  const key = all.findLast((one) => one.keys === pair) ?? all.findLast((one) => one.keys === typed);
  first = typed;
  firstAt = event.timeStamp;
  if (!key) return;
  event.preventDefault();
  first = "";
  key.run();
}

export const startKeys = (): void => document.addEventListener("keydown", onKey);
