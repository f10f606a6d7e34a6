// What stands at a point of a picture that is no element but a canvas.
import { extentOf, plateAt, toScreen } from "../../domain/geometry";
import type { Point } from "../../domain/layout";
import type { MapNode } from "../../domain/topology";
import { drawnEdges, type SceneInput } from "./scene";

/** The node on top, if any. */
export function nodeAt(at: Point, { topology, layout, view }: SceneInput): MapNode | undefined {
  const plate = plateAt(view.scaleX, view.scaleY);
  return topology.nodes.findLast((node) => {
    const middle = layout.nodes[node.id];
    if (!middle) return false;
    const { x, y } = toScreen(middle, view);
    const { side, top, bottom } = extentOf(node, plate);
    const reach = Math.max(side, 12);
    return Math.abs(at.x - x) <= reach && at.y >= y - Math.max(top, 12) && at.y <= y + Math.max(bottom, 12);
  });
}

const NEAR = 7;

/** The edge that passes a point. */
export function edgeAt(at: Point, input: SceneInput): string | undefined {
  const plate = plateAt(input.view.scaleX, input.view.scaleY);
  let found: { id: string; far: number } | undefined;
  for (const { edge, route } of drawnEdges(input, plate)) {
    for (let step = 0; step <= EDGE_STEPS; step += 1) {
      const { x, y } = route.at(step / EDGE_STEPS);
      const far = Math.hypot(x - at.x, y - at.y);
      if (far <= NEAR && (!found || far < found.far)) found = { id: edge.id, far };
    }
  }
  return found?.id;
}

const EDGE_STEPS = 60;
