// From a thing to its page: every name and number is a link.
import { serviceParts, type MapEdge, type MapNode } from "../domain/topology";
import { term } from "../domain/tracequery";
import { href } from "../state/location";

export function nodeHref(node: MapNode): string {
  return entityHref(node.id);
}

/** Each kind of thing has a page of its own; what has none opens on the map. */
export function entityHref(id: string): string {
  const parts = serviceParts(id);
  if (parts) return serviceHref(parts.scope, parts.name);
  const [, kind = "", rest = ""] = /^(process|host|external):(.+)$/.exec(id) ?? [];
  return kind ? href(`/${kind}/${rest.split("/").map(encodeURIComponent).join("/").replace(/%3A/g, ":")}`) : href("/map", { sel: `node:${id}` });
}

export const serviceHref = (scope: string, name: string): string => href(`/service/${encodeURIComponent(scope)}/${encodeURIComponent(name)}`);
export const onMapHref = (selection: string): string => href("/map", { sel: selection });
export const traceHref = (id: string, span?: string): string => href(`/trace/${encodeURIComponent(id)}`, { span });

/** The traces of a node: those in which it takes part. */
export const tracesOf = (name: string, more = ""): string => href("/traces", { q: [term("service", name), more].filter(Boolean).join(" ") });

/** Traces of an edge: requests of its caller in its protocol, or of its callee where the caller is not watched. */
export function tracesOfEdge(edge: MapEdge, source: MapNode | undefined, target: MapNode | undefined, more = ""): string {
  const watched = (edge.client ?? edge.tls?.client) && source && source.kind !== "clients" ? source : target ?? source;
  return tracesOf(watched?.name ?? "", [term("protocol", edge.protocol), more].filter(Boolean).join(" "));
}

/** The search for a service's requests, all or one operation. */
export const operationQuery = (service: string, row?: { operation: string; resource: string }): string =>
  [term("service", service), row?.operation && term("operation", row.operation), row?.resource && term("resource", row.resource)].filter(Boolean).join(" ");
