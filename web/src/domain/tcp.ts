// What TCP did on an edge, as one side saw it: one question in PromQL for all of its figures, and how they are read.
import { matchers, quantileOf, type Matchers } from "./promql";

/** Times in milliseconds, all else counts of the range; null is not known. */
export interface Tcp {
  opened: number | null;
  connectP50: number | null;
  connectP95: number | null;
  roundTripP50: number | null;
  roundTripP95: number | null;
  segments: number | null;
  retransmits: number | null;
  resets: number | null;
  sent: number | null;
  received: number | null;
  active: number | null;
}

const CONNECT = "limpid_tcp_connect_duration_seconds";
const ROUND_TRIP = "limpid_tcp_round_trip_seconds";

export function tcpOf(of: Matchers, window: string): string {
  const labelled = (what: keyof Tcp, text: string) => `label_replace(${text}, "of", "${what}", "", "")`;
  const grown = (name: string, labels: Matchers = of) => `sum(increase(${name}${matchers(labels)}[${window}]))`;
  return [
    labelled("opened", grown("limpid_connection_opened_total")),
    labelled("connectP50", quantileOf(0.5, CONNECT, of, window)),
    labelled("connectP95", quantileOf(0.95, CONNECT, of, window)),
    labelled("roundTripP50", quantileOf(0.5, ROUND_TRIP, of, window)),
    labelled("roundTripP95", quantileOf(0.95, ROUND_TRIP, of, window)),
    labelled("segments", grown("limpid_tcp_segments_total")),
    labelled("retransmits", grown("limpid_tcp_retransmits_total")),
    labelled("resets", grown("limpid_tcp_resets_total")),
    labelled("sent", grown("limpid_connection_io_bytes_total", { ...of, direction: "sent" })),
    labelled("received", grown("limpid_connection_io_bytes_total", { ...of, direction: "received" })),
    labelled("active", `sum(last_over_time(limpid_connection_active${matchers(of)}[1m]))`),
  ].join(" or ");
}

interface Sample {
  labels: Record<string, string>;
  value: number | null;
}

const TIMES: (keyof Tcp)[] = ["connectP50", "connectP95", "roundTripP50", "roundTripP95"];

/** null where nothing was measured at all. */
export function readTcp(samples: Sample[]): Tcp | null {
  const found = new Map(samples.map((one) => [one.labels["of"], one.value]));
  const value = (what: keyof Tcp) => {
    const known = found.get(what);
    if (known === undefined || known === null || !Number.isFinite(known)) return null;
    return TIMES.includes(what) ? known * 1000 : known;
  };
  const tcp: Tcp = {
    opened: value("opened"), connectP50: value("connectP50"), connectP95: value("connectP95"),
    roundTripP50: value("roundTripP50"), roundTripP95: value("roundTripP95"), segments: value("segments"),
    retransmits: value("retransmits"), resets: value("resets"), sent: value("sent"), received: value("received"), active: value("active"),
  };
  return Object.values(tcp).every((one) => one === null) ? null : tcp;
}

/** Datagrams and Unix sockets have bytes, but nothing of this. */
export const isOfTcp = (tcp: Tcp | null): boolean => tcp !== null && [tcp.segments, tcp.retransmits, tcp.resets, tcp.connectP50, tcp.roundTripP50].some((one) => one !== null);

/** The share of the segments that were sent again; null without segments. */
export const againShare = ({ segments, retransmits }: Tcp): number | null =>
  segments === null || retransmits === null || segments <= 0 ? null : Math.min(1, retransmits / segments);

/** Shares from which on retransmissions are felt: as the map judges. */
export const isLossy = (tcp: Tcp): boolean => (againShare(tcp) ?? 0) >= 0.01 && (tcp.segments ?? 0) >= 100 && (tcp.retransmits ?? 0) >= 3;
