// What needs attention, most likely cause first: what has no bad callee below it stands before what may only suffer
// from one, earlier before later, own troubles before consequences.
import { deviates, isBad, severity, STATUS_WORDS, type Status } from "./status";
import { milliseconds, share } from "./format";
import { dnsFailures, failedConnects, isUnread, nameOf, neighbourhood, protocolName, type MapEdge, type MapNode, type Reason, type Topology } from "./topology";

export interface Finding {
  /** `node:…` or `edge:…`, as in the address. */
  selection: string;
  title: string;
  status: Status;
  text: string;
  since: number | null;
}

export function findings(topology: Topology): Finding[] {
  const around = neighbourhood(topology);
  const depth = badBelow(topology);
  const found: (Finding & { below: number })[] = [];
  for (const node of topology.nodes) {
    if (!deviates(node.status)) continue;
    found.push({ ...base(node), selection: `node:${node.id}`, title: node.name, below: depth(node.id) });
  }
  for (const edge of topology.edges) {
    if (!isBad(edge.status)) continue;
    const twins = (around.outgoing.get(edge.source) ?? []).filter((other) => other.target === edge.target);
    const title = `${nameOf(edge.source, around.byId)} → ${nameOf(edge.target, around.byId)}${twins.length > 1 ? ` ${protocolName(edge.protocol)}` : ""}`;
    // An edge that is worse than what it leads to says more precisely what is wrong; else the callee comes first.
    const callee = around.byId.get(edge.target)?.status ?? "ok";
    const isWorse = isBad(callee) && severity(edge.status) < severity(callee);
    found.push({ ...base(edge), selection: `edge:${edge.id}`, title, below: depth(edge.target) + (isWorse ? -0.5 : 0.5) });
  }
  return found.sort(
    (a, b) =>
      classOf(a.status) - classOf(b.status) || a.below - b.below || (a.since ?? Infinity) - (b.since ?? Infinity) ||
      severity(a.status) - severity(b.status) || a.title.localeCompare(b.title),
  );
}

const classOf = (status: Status): number => (isBad(status) ? 0 : status === "no_data" ? 1 : 2);

function base(thing: MapNode | MapEdge): Pick<Finding, "status" | "text" | "since"> {
  const since = thing.reasons.map((reason) => reason.since).filter((at): at is number => at !== null);
  return { status: thing.status, text: reasonsText(thing), since: since.length ? Math.min(...since) : null };
}

function reasonsText(thing: MapNode | MapEdge): string {
  if (thing.reasons.length > 0) return thing.reasons.slice(0, 3).map((reason) => reason.text).join(", ");
  if (isBad(thing.status)) return figuresText(thing);
  return STATUS_WORDS[thing.status];
}

const figuresText = (thing: MapNode | MapEdge): string =>
  `${share(thing.errorRatio)} failed, p95 ${milliseconds(thing.p95)}`;

/** How many bad nodes can be reached from a node, itself not counted. */
function badBelow(topology: Topology): (id: string) => number {
  const around = neighbourhood(topology);
  const known = new Map<string, number>();
  return (id) => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const seen = new Set([id]);
    const queue = [id];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      for (const edge of around.outgoing.get(at) ?? []) {
        if (seen.has(edge.target)) continue;
        seen.add(edge.target);
        queue.push(edge.target);
      }
    }
    seen.delete(id);
    const bad = [...seen].filter((other) => isBad(around.byId.get(other)?.status ?? "ok")).length;
    known.set(id, bad);
    return bad;
  };
}

/** The key figure of a plate: the rate, or what is bad of a bad one. */
export function leadingReason(thing: { reasons: Reason[]; status: Status }): Reason | undefined {
  return [...thing.reasons].sort((a, b) => severity(a.severity) - severity(b.severity))[0];
}

/** Is it the latency that is bad? Then p95 carries the colour, else the share of failed ones does. */
export function slowReason(thing: { reasons: Reason[] }): Reason | undefined {
  return thing.reasons.find((reason) => /latenc|slow|p9\d|duration/i.test(`${reason.kind} ${reason.text}`));
}

/** What no share and no latency says. */
const ofTls = ["handshakes", "certificate"];
const toldByText = ["connects", "pending", ...ofTls];
const connectKinds = ["connects", "retransmits", ...ofTls];

/** "12 connects refused", "3 requests wait for an answer", "certificate 2 days", where that is the worst of it. */
export function connectsText(thing: { reasons: Reason[]; status: Status }): string | null {
  const worst = leadingReason(thing);
  if (!worst || !toldByText.includes(worst.kind) || !isBad(thing.status)) return null;
  if (worst.kind === "handshakes") return `TLS ${worst.value ?? ""} failed`;
  if (worst.kind === "certificate") return `certificate ${worst.text.includes(" ended ") ? "ended" : (worst.value ?? "")}`;
  return worst.text.split(/, | \(/)[0] ?? null;
}

export function failReason(thing: { reasons: Reason[] }): Reason | undefined {
  return thing.reasons.find((reason) => !connectKinds.includes(reason.kind) && /error|fail|unanswered/i.test(`${reason.kind} ${reason.text}`));
}

export interface Question {
  text: string;
  filter: string;
  answer: number;
}

/** Questions with their counts, each one click. Only what today's data can answer is asked. */
export function questions(topology: Topology): Question[] {
  const { byId } = neighbourhood(topology);
  const kind = (id: string) => byId.get(id)?.kind;
  const from = topology.edges.filter((edge) => kind(edge.source) === "clients" || kind(edge.source) === "external");
  const out = topology.edges.filter((edge) => kind(edge.target) === "external");
  const oneSided = topology.edges.filter((edge) => !edge.client !== !edge.server);
  const noData = topology.nodes.filter((node) => node.status === "no_data");
  const sum = (value: (edge: MapEdge) => number) => topology.edges.reduce((total, edge) => total + value(edge), 0);
  return [
    { text: "Connects refused or failed", filter: "is:refused", answer: sum(failedConnects) },
    { text: "Encrypted and not read", filter: "is:unread", answer: topology.edges.filter(isUnread).length },
    { text: "DNS failures", filter: "is:dns-failure", answer: sum(dnsFailures) },
    { text: "TCP segments sent again", filter: "is:retransmits", answer: sum((edge) => edge.retransmits) },
    { text: "Called from outside", filter: "is:inbound", answer: from.length },
    { text: "Calls to the outside", filter: "is:outbound", answer: out.length },
    { text: "Seen from one side only", filter: "is:one-sided", answer: oneSided.length },
    { text: "Without data", filter: "status:no-data", answer: noData.length },
    { text: "New in this range", filter: "is:new", answer: topology.nodes.filter((node) => node.firstSeen !== null).length },
    { text: "Gone in this range", filter: "is:gone", answer: topology.nodes.filter((node) => node.lastSeen !== null).length },
  ];
}
