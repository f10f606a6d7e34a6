// Labels on the map as it is drawn: none stands on a plate, on another label or on a line, its own included.
import { describe, expect, it } from "vitest";
import { extentOf, fit, plateAt, ports, route, toScreen } from "../../src/domain/geometry";
import { lineBoxes, overlaps, placeLabels, type LabelWish } from "../../src/domain/labels";
import { bounds, PITCH_X, PITCH_Y, type Layout } from "../../src/domain/layout";
import { service, topology } from "./build";

const WIDTH = 96;
const HEIGHT = 27;

describe("labels", () => {
  it("keep clear of their own line where it is slanted", () => {
    const map = topology("a>db:redis b>db:redis c>db:redis");
    const nodes = { [service("a")]: { x: 0, y: 0 }, [service("b")]: { x: PITCH_X, y: 0 }, [service("c")]: { x: 2 * PITCH_X, y: 0 }, [service("db")]: { x: PITCH_X, y: PITCH_Y } };
    const layout: Layout = { nodes, bends: {}, inner: {} };
    const view = fit(bounds(Object.values(nodes)), { width: 1040, height: 740 });
    const plate = plateAt(view.scaleX, view.scaleY);
    const port = ports(map.edges, layout, plate);
    const end = (id: string) => ({ at: toScreen(nodes[id] ?? { x: 0, y: 0 }, view), extent: extentOf(undefined, plate) });
    const routes = map.edges.map((edge) => ({ edge, route: route(end(edge.source), end(edge.target), [], port.get(edge.id) ?? { out: 0, in: 0 }) }));
    const wishes = routes.map(({ edge, route }): LabelWish => ({ id: edge.id, route, width: WIDTH, band: 4, priority: 1, required: false }));
    const lines = new Map(routes.map(({ edge, route }) => [edge.id, lineBoxes(route)]));
    const placed = placeLabels(wishes, [], { left: 0, right: 1040, top: 0, bottom: 740 }, lines);
    expect(placed).toHaveLength(3);
    for (const label of placed) {
      const left = label.anchor === "start" ? label.x : label.x - WIDTH;
      const box = { left, right: left + WIDTH, top: label.y - HEIGHT, bottom: label.y };
      for (const { boxes } of lines.values()) expect(boxes.some((line) => overlaps(line, box)), label.id).toBe(false);
    }
  });
});

describe("fit", () => {
  it("shows every plate whole, also in a narrow window", () => {
    const box = { left: -300, right: 300, top: 0, bottom: 600 };
    for (const width of [320, 390, 760, 1000, 1400, 2200]) {
      const view = fit(box, { width, height: 700 });
      const half = plateAt(view.scaleX, view.scaleY).width / 2;
      expect(toScreen({ x: box.left, y: 0 }, view).x - half, `${width}`).toBeGreaterThanOrEqual(2);
      expect(toScreen({ x: box.right, y: 0 }, view).x + half, `${width}`).toBeLessThanOrEqual(width - 2);
    }
  });
  it("draws calls to oneself apart from each other", () => {
    const map = topology("a>a:http a>a:redis");
    const plate = plateAt(1, 1);
    const port = ports(map.edges, { nodes: { [service("a")]: { x: 0, y: 0 } }, bends: {}, inner: {} }, plate);
    const end = { at: { x: 0, y: 0 }, extent: extentOf(undefined, plate) };
    const starts = map.edges.map((edge) => route(end, end, [], port.get(edge.id) ?? { out: 0, in: 0 }).start.y);
    expect(Math.abs((starts[0] ?? 0) - (starts[1] ?? 0))).toBeGreaterThanOrEqual(16);
  });
});
