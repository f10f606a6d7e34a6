// The seven states of a node or an edge, in the order in which they win, and how each is said. Colour is never the
// only sign: every state has its own shape (components/Sign.tsx).

export const STATUSES = ["critical", "warning", "affected", "no_data", "unknown", "ok"] as const;
export type Status = (typeof STATUSES)[number];

export const STATUS_WORDS: Record<Status, string> = {
  critical: "critical",
  warning: "warning",
  affected: "affected by a callee",
  no_data: "no data",
  unknown: "unknown, too few requests",
  ok: "ok",
};

/** A status of a newer server is not guessed at: what cannot be judged is unknown, never ok. */
export function statusOf(text: string | null): Status {
  return STATUSES.find((status) => status === text) ?? "unknown";
}

export const severity = (status: Status): number => STATUSES.indexOf(status);
export const worstFirst = (a: { status: Status }, b: { status: Status }): number => severity(a.status) - severity(b.status);
/** Bad by itself: drawn with a thick sign. Affected is only the shadow of somebody else's trouble. */
export const isBad = (status: Status): boolean => status === "critical" || status === "warning";
export const deviates = (status: Status): boolean => isBad(status) || status === "affected" || status === "no_data";

/** CSS class of text in a state's colour; healthy text has none. */
export function tone(status: Status): string {
  if (status === "critical") return "crit";
  if (status === "warning" || status === "affected") return "warn";
  return status === "no_data" ? "nonec" : "";
}
