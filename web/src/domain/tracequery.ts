// The search of traces: `service:checkout duration:>1s status:error` as chips, and back. The server reads the same
// text; here it is only split, so that each part can be seen and removed.

export interface Chip {
  /** The text as it stands in the query. */
  text: string;
  key: string;
  value: string;
}

const MOST_CHIPS = 24;

export function parseChips(query: string): Chip[] {
  const chips: Chip[] = [];
  for (const [text] of query.matchAll(/[\w.@-]+:"[^"]*"|"[^"]*"|\S+/g)) {
    const colon = text.indexOf(":");
    const key = colon > 0 ? text.slice(0, colon) : "";
    const value = (colon > 0 ? text.slice(colon + 1) : text).replace(/^"|"$/g, "");
    chips.push({ text, key, value });
    if (chips.length === MOST_CHIPS) break;
  }
  return chips;
}

export const quoted = (value: string): string => (/[\s"]/.test(value) ? `"${value.replace(/"/g, "")}"` : value);
export const term = (key: string, value: string): string => `${key}:${quoted(value)}`;

export const without = (query: string, text: string): string =>
  parseChips(query)
    .filter((chip) => chip.text !== text)
    .map((chip) => chip.text)
    .join(" ");

/** One value per key: a new one takes the place of the old. */
export function withTerm(query: string, key: string, value: string): string {
  const kept = parseChips(query).filter((chip) => chip.key !== key);
  return [...kept.map((chip) => chip.text), term(key, value)].join(" ");
}

export const hasTerm = (query: string, key: string, value: string): boolean =>
  parseChips(query).some((chip) => chip.key === key && chip.value === value);

/** A trace id in the jump box or the search opens the trace itself. */
export const isTraceId = (text: string): boolean => /^[0-9a-f]{32}$|^[0-9a-f]{16}$/i.test(text.trim());
