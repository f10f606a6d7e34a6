// The moment that the pointer stands on, shared by all charts of a page. uPlot's charts share it among themselves; this
// tells it to and from what uPlot does not draw.
import { signal } from "@preact/signals";
import uPlot from "uplot";

export const SYNC = "page";
export const crosshair = signal<number | null>(null);

/** From a chart that uPlot does not draw. */
export function pointAt(time: number | null): void {
  crosshair.value = time;
  for (const plot of uPlot.sync(SYNC).plots) plot.setCursor({ left: time === null ? -10 : plot.valToPos(time, "x"), top: time === null ? -10 : 1 }, false);
}
