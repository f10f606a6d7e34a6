// Layered layout, off the page's thread: some hundred services take dagre longer than a frame.
import { Graph, layout as arrange } from "@dagrejs/dagre";
import type { Layout, LayoutInput, Point } from "../../domain/layout";
import { layered } from "../../domain/layered";
import { dock, PITCH_X, PITCH_Y } from "../../domain/layout";

const NODE = { width: 172, height: 60 };
/** Above this dagre takes from many seconds to minutes. */
const QUICK_FROM = 160;
/** There may be many groups, and each takes its time. */
const QUICK_INSIDE = 40;

/** Groups call each other in all directions: an exact layout of many is one long column. */
const MANY_GROUPS = 12;

interface Request {
  ticket: number;
  input: LayoutInput;
}

/** The whole, and then the inside of each group for itself. */
function computed({ insides, ...input }: LayoutInput): Layout {
  const whole = arranged(input);
  for (const inside of insides ?? []) Object.assign(whole.inner, arrangedInside(inside).nodes);
  return whole;
}

/** What calls nothing in its own group stands in rows below the rest of it. */
function arrangedInside({ nodes, edges }: LayoutInput): Layout {
  const linked = new Set(edges.flatMap((edge) => [edge.source, edge.target]));
  const input = { nodes: nodes.filter((id) => linked.has(id)), edges };
  return dock(input.nodes.length > QUICK_INSIDE ? layered(input) : arranged(input), nodes.filter((id) => !linked.has(id)));
}

function arranged(input: LayoutInput): Layout {
  const { nodes, edges, heights } = input;
  const groups = Object.keys(heights ?? {}).length;
  if (nodes.length > QUICK_FROM || groups > MANY_GROUPS) return layered(input);
  const graph = new Graph({ multigraph: true });
  graph.setGraph({
    rankdir: "TB", nodesep: PITCH_X - NODE.width, edgesep: 24, ranksep: PITCH_Y - NODE.height,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of nodes) graph.setNode(id, { ...NODE, height: heights?.[id] ?? NODE.height });
  for (const { id, source, target } of edges) graph.setEdge(source, target, {}, id);
  arrange(graph);
  const placed: Record<string, Point> = {};
  for (const id of nodes) {
    const { x, y } = graph.node(id) as Point;
    placed[id] = { x: Math.round(x), y: Math.round(y) };
  }
  return { nodes: placed, bends: bendsOf(graph, new Set(Object.values(placed).map((point) => point.y))), inner: {} };
}

function bendsOf(graph: Graph, ranks: ReadonlySet<number>): Record<string, Point[]> {
  const bends: Record<string, Point[]> = {};
  for (const { v, w, name } of graph.edges()) {
    const points = ((graph.edge(v, w, name) as { points?: Point[] }).points ?? []).slice(1, -1);
    const passed = points.filter((point) => ranks.has(Math.round(point.y))).map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }));
    if (name && passed.length) bends[name] = passed;
  }
  return bends;
}

addEventListener("message", (event: MessageEvent<Request>) => {
  const { ticket, input } = event.data;
  try {
    postMessage({ ticket, layout: computed(input) });
  } catch (error) {
    postMessage({ ticket, failed: String(error) });
  }
});
