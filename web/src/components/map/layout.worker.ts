// Layered layout, off the page's thread: some hundred services take dagre longer than a frame.
import { Graph, layout as arrange } from "@dagrejs/dagre";
import type { Layout, LayoutInput, Point } from "../../domain/layout";
import { layered } from "../../domain/layered";
import { PITCH_X, PITCH_Y } from "../../domain/layout";

const NODE = { width: 172, height: 60 };
/** Above this dagre takes from many seconds to minutes. */
const QUICK_FROM = 160;

interface Request {
  ticket: number;
  input: LayoutInput;
}

function computed({ nodes, edges }: LayoutInput): Layout {
  if (nodes.length > QUICK_FROM) return layered({ nodes, edges });
  const graph = new Graph({ multigraph: true });
  graph.setGraph({
    rankdir: "TB", nodesep: PITCH_X - NODE.width, edgesep: 24, ranksep: PITCH_Y - NODE.height,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of nodes) graph.setNode(id, { ...NODE });
  for (const { id, source, target } of edges) graph.setEdge(source, target, {}, id);
  arrange(graph);
  const placed: Record<string, Point> = {};
  for (const id of nodes) {
    const { x, y } = graph.node(id) as Point;
    placed[id] = { x: Math.round(x), y: Math.round(y) };
  }
  const ranks = new Set(Object.values(placed).map((point) => point.y));
  const bends: Record<string, Point[]> = {};
  for (const { v, w, name } of graph.edges()) {
    const points = ((graph.edge(v, w, name) as { points?: Point[] }).points ?? []).slice(1, -1);
    const passed = points.filter((point) => ranks.has(Math.round(point.y))).map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }));
    if (name && passed.length) bends[name] = passed;
  }
  return { nodes: placed, bends };
}

addEventListener("message", (event: MessageEvent<Request>) => {
  const { ticket, input } = event.data;
  try {
    postMessage({ ticket, layout: computed(input) });
  } catch (error) {
    postMessage({ ticket, failed: String(error) });
  }
});
