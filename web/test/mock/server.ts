// A stand-in server for looking at the console while it is built: dist/ and the API's answers from the made-up shop.
// `?mood=` of the page's own address is not read; the mood is set per server: well, troubled, empty, failing, slow.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { existsSync, readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { entity, instances, operations, queryAt, queryRange, timeline, topology, type Json } from "./shop";
import { facets, status, trace, traces } from "./traces";

export type Mood = "troubled" | "empty" | "failing";
const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
/** The policy that the real server sends: nothing may depend on more. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

export interface MockOptions {
  dist: string;
  mood: () => Mood;
  services: number;
}

export function mock(options: MockOptions): Server {
  return createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://mock");
    if (url.pathname.startsWith("/api/")) answer(url, response, options);
    else file(url.pathname, request, response, options.dist);
  });
}

function answer(url: URL, response: ServerResponse, options: MockOptions): void {
  if (options.mood() === "failing") return send(response, 503, { error: "the store does not answer" });
  const body = options.mood() === "empty" ? empty(url) : full(url, options.services);
  send(response, body ? 200 : 404, body ?? { error: `nothing is at ${url.pathname}` });
}

function full(url: URL, services: number): unknown {
  const at = (name: string) => Number(url.searchParams.get(name) ?? 0);
  const now = Date.now() / 1000;
  const { pathname } = url;
  const start = at("start");
  const end = at("end");
  const level = url.searchParams.get("level") ?? "service";
  if (pathname === "/api/topology") return filtered(topology({ now, services }, end - start, level), url.searchParams.get("q") ?? "");
  if (pathname === "/api/services") return { services: (topology({ now, services }, end - start, "service")["nodes"] as { kind: string }[]).filter((node) => node.kind === "service") };
  if (pathname === "/api/timeline") return timeline(now, start, end, at("buckets"));
  if (/^\/api\/services\/[^/]+\/[^/]+\/operations$/.test(pathname)) return operations();
  if (/^\/api\/entities\/[^/]+\/related$/.test(pathname)) return instances(now);
  const thing = /^\/api\/entities\/([^/]+)$/.exec(pathname);
  if (thing?.[1]) return entity(decodeURIComponent(thing[1]), now);
  if (pathname === "/api/traces") return traces(now, start, end, url.searchParams.get("q") ?? "");
  if (pathname === "/api/traces/facets") return facets(now, start, end, url.searchParams.get("q") ?? "");
  const one = /^\/api\/traces\/([0-9a-f]+)$/.exec(pathname);
  if (one?.[1]) return trace(now, one[1]);
  if (pathname === "/api/session") return { required: false, role: null };
  if (pathname === "/api/status") return status(now, true);
  if (pathname === "/api/v1/query") return queryAt(url.searchParams.get("query") ?? "");
  if (pathname === "/api/v1/query_range") return queryRange(now, url.searchParams.get("query") ?? "", start, end, at("step"));
  return null;
}

/** With a filter: a few nodes, of spans; nothing has `nobody`. */
function filtered(whole: Json, filter: string): Json {
  if (!filter) return { ...whole, sampled: null };
  const nodes = filter.includes("nobody") ? [] : (whole["nodes"] as Json[]).slice(0, 6);
  const ids = new Set(nodes.map((node) => node["id"]));
  const edges = (whole["edges"] as Json[]).filter((edge) => ids.has(edge["source"]) && ids.has(edge["target"]));
  return { sampled: { filter, spans: nodes.length * 207, spans_without_probability: 3, lowest_probability: 0.1 }, nodes, edges };
}

function empty(url: URL): unknown {
  if (url.pathname === "/api/status") return status(Date.now() / 1000, false);
  if (url.pathname === "/api/v1/query") return { status: "success", data: { resultType: "vector", result: [] } };
  if (url.pathname === "/api/v1/query_range") return { status: "success", data: { resultType: "matrix", result: [] } };
  return { nodes: [], edges: [], services: [], traces: [], buckets: [], operations: [], entities: [], spans: [] };
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function file(path: string, _request: IncomingMessage, response: ServerResponse, dist: string): void {
  const wanted = join(dist, normalize(path));
  const found = wanted.startsWith(dist) && existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(dist, "index.html");
  response.writeHead(200, { "content-type": TYPES[extname(found)] ?? "application/octet-stream", "content-security-policy": POLICY, "x-content-type-options": "nosniff" });
  response.end(readFileSync(found));
}
