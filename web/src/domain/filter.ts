// The filter of map and lists: words match the name, `key:value` one property. What does not match is dimmed, never
// hidden, so that a filter can be seen and removed. `attr:key=value` is of another kind: the map knows no attributes of
// requests, so the server makes another one, of the spans that were kept of such requests.
import { term as searchTerm } from "./tracequery";
import { dnsFailures, failedConnects, glyphOf, isUnread, protocolName, runtimeOf, type MapEdge, type MapNode, type Neighbourhood } from "./topology";

export interface Term {
  key: string;
  value: string;
  negated: boolean;
  /** As it was written. */
  text: string;
}

export const FILTER_KEYS = ["lang", "proto", "status", "host", "kind", "is", "unit", "container", "attr"] as const;
const MOST_TERMS = 16;

export function parseFilter(text: string): Term[] {
  const terms: Term[] = [];
  for (const [word] of text.matchAll(/-?(?:[a-z_.]+:)?(?:"[^"]*"|\S+)/gi)) {
    const negated = word.startsWith("-") && word.length > 1;
    const body = negated ? word.slice(1) : word;
    const colon = body.indexOf(":");
    const key = colon > 0 ? body.slice(0, colon).toLowerCase() : "";
    // What has a dot in it is the name of an attribute.
    const isKey = (FILTER_KEYS as readonly string[]).includes(key) || key.includes(".");
    const written = (isKey ? body.slice(colon + 1) : body).replace(/"/g, "");
    // The server compares what it stores, to the letter.
    const value = key === "attr" ? written : written.toLowerCase();
    if (value) terms.push({ key: isKey ? key : "", value, negated, text: word });
    if (terms.length === MOST_TERMS) break;
  }
  return terms;
}

export const withoutTerm = (filter: string, term: Term): string => parseFilter(filter).filter((one) => one.text !== term.text).map((one) => one.text).join(" ");

/** The terms that the server filters by, in the language of its search for traces; one that is not yet whole is none. */
export function spanFilter(terms: Term[]): string {
  const whole = terms.flatMap((term) => {
    const [, name = "", value = ""] = (term.key === "attr" && /^([a-z][\w.-]*)=(.+)$/i.exec(term.value)) || [];
    return name ? [`${term.negated ? "-" : ""}${searchTerm(name, value)}`] : [];
  });
  return whole.join(" ");
}

const has = (text: string | undefined, part: string): boolean => text?.toLowerCase().includes(part) ?? false;

/** `is:` asks for a place in the whole: called from outside, calling out, seen from one side, what the network does to it. */
function isA(value: string, edges: MapEdge[], around: Neighbourhood, node?: MapNode): boolean {
  if (value === "new") return node ? node.firstSeen !== null : edges.some((edge) => edge.firstSeen !== null);
  if (value === "gone") return node !== undefined && node.lastSeen !== null;
  const kindOf = (id: string) => around.byId.get(id)?.kind;
  if (value === "inbound") return edges.some((edge) => kindOf(edge.source) === "clients" || kindOf(edge.source) === "external");
  if (value === "outbound") return edges.some((edge) => kindOf(edge.target) === "external");
  if (value === "unread") return edges.some(isUnread);
  if (value === "refused") return edges.some((edge) => failedConnects(edge) > 0);
  if (value === "dns-failure") return edges.some((edge) => dnsFailures(edge) > 0);
  if (value === "retransmits") return edges.some((edge) => edge.retransmits > 0);
  if (value === "one-sided") return edges.some((edge) => !edge.client !== !edge.server);
  return false;
}

function termMatches(term: Term, node: MapNode, around: Neighbourhood): boolean {
  // A collapsed group matches with any of its members.
  if (node.members) return termMatchesGroup(term, node, node.members, around);
  const incoming = around.incoming.get(node.id) ?? [];
  const edges = [...incoming, ...(around.outgoing.get(node.id) ?? [])];
  switch (term.key) {
    case "lang":
      return has(runtimeOf(node), term.value);
    case "proto":
      return edges.some((edge) => has(edge.protocol, term.value) || has(protocolName(edge.protocol), term.value));
    case "status":
      return has(node.status.replace("_", "-"), term.value.replace("_", "-"));
    case "host":
      return has(node.attributes["host.name"], term.value) || has(node.attributes["limpid.host"], term.value);
    case "kind":
      return has(glyphOf(node, incoming), term.value) || has(node.kind, term.value);
    case "is":
      return isA(term.value, edges, around, node);
    case "attr":
      // The server has left out what does not match.
      return !term.negated;
    case "unit":
      return has(node.attributes["limpid.systemd.unit"], term.value);
    case "container":
      return has(node.attributes["container.name"], term.value) || has(node.attributes["container.id"], term.value);
    default:
      if (term.key) return has(node.attributes[term.key], term.value);
      return has(node.name, term.value) || has(node.id, term.value);
  }
}

/** Edges of members are those of the group; all else is asked of each of them. */
function termMatchesGroup(term: Term, group: MapNode, members: MapNode[], around: Neighbourhood): boolean {
  if (term.key === "proto") return [...(around.incoming.get(group.id) ?? []), ...(around.outgoing.get(group.id) ?? [])].some((edge) => edgeTermMatches(term, edge, around));
  return has(group.name, term.value) || members.some((member) => termMatches(term, member, around));
}

export function nodeMatches(terms: Term[], node: MapNode, around: Neighbourhood): boolean {
  return terms.every((term) => termMatches(term, node, around) !== term.negated);
}

function edgeTermMatches(term: Term, edge: MapEdge, around: Neighbourhood): boolean {
  if (term.key === "proto") return has(edge.protocol, term.value) || has(protocolName(edge.protocol), term.value);
  if (term.key === "is") return isA(term.value, [edge], around);
  if (term.key === "status") return has(edge.status.replace("_", "-"), term.value.replace("_", "-"));
  return [edge.source, edge.target].some((id) => {
    const node = around.byId.get(id);
    return node !== undefined && termMatches(term, node, around);
  });
}

export function edgeMatches(terms: Term[], edge: MapEdge, around: Neighbourhood): boolean {
  return terms.every((term) => edgeTermMatches(term, edge, around) !== term.negated);
}
