// Dragging or playing through time: the address follows each step, the history gets one entry when it comes to rest.
import { signal } from "@preact/signals";
import type { Range } from "../domain/range";
import { go, setRange } from "./location";

/** While it is true, what is read for one moment waits for nothing and clears nothing. */
export const scrubbing = signal(false);

let began = "";
const here = (): string => location.pathname + location.search;

export function scrub(to: Range): void {
  if (!scrubbing.peek()) {
    began = here();
    scrubbing.value = true;
  }
  setRange(to, "replace");
}

/** Goes back to where it began and from there in one step to where it is now. */
export function rest(): void {
  if (!scrubbing.peek()) return;
  scrubbing.value = false;
  const reached = here();
  if (reached === began) return;
  history.replaceState(null, "", began);
  go(reached, "push");
}
