// Moves what is drawn as SVG from where it was to where it is. The browser does it: nothing is computed in between, and
// nothing is left to do when it has arrived.
import type { Point } from "../../domain/layout";
import { FLIGHT_MS, type Flight } from "./useFlight";

const TIMES: KeyframeAnimationOptions = { duration: FLIGHT_MS, easing: "ease-out" };

export function fly(picture: SVGSVGElement, flight: Flight, places: Map<string, Point>): void {
  if (performance.now() - flight.began > FLIGHT_MS) return;
  for (const element of picture.querySelectorAll<SVGGElement>("g.node")) {
    const id = element.getAttribute("data-node") ?? "";
    const [from, to] = [flight.from.get(id), places.get(id)];
    if (!from || !to) appear(element);
    else if (Math.hypot(from.x - to.x, from.y - to.y) > 1) element.animate([{ transform: translated(from) }, { transform: translated(to) }], TIMES);
  }
  // Lines do not bend along: they come when their ends have almost arrived.
  for (const element of picture.querySelectorAll<SVGGElement>("g.edge, g.lab, g.frame")) appear(element);
}

const translated = ({ x, y }: Point): string => `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
const appear = (element: Element) => element.animate([{ opacity: 0, offset: 0 }, { opacity: 0, offset: 0.5 }], TIMES);
