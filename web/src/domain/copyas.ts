// A call as something that can be run again: a request as curl, a statement as it was prepared. What was redacted
// before it left its machine (query values, literals, headers) is not there to copy, and that is said.
import type { Call } from "./tracetree";

export interface CopyAs {
  name: string;
  text: string;
}

/** Of both views: the server knows what it read, the client whom it called. */
function attributesOf(call: Call): Record<string, string> {
  return { ...(call.server?.span.attributes ?? {}), ...(call.client?.span.attributes ?? {}) };
}

export const shellQuoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

function urlOf(known: Record<string, string>): string | null {
  if (known["url.full"]) return known["url.full"];
  const path = known["url.path"];
  const address = known["server.address"];
  if (!path || !address) return null;
  const tls = known["tls.protocol.name"] !== undefined || known["url.scheme"] === "https";
  const host = address.includes(":") && !address.startsWith("[") ? `[${address}]` : address;
  const port = known["server.port"];
  const usual = tls ? "443" : "80";
  return `${tls ? "https" : "http"}://${host}${port && port !== usual ? `:${port}` : ""}${path}${known["url.query"] ? `?${known["url.query"]}` : ""}`;
}

const HEADER = "http.request.header.";

export function curlOf(call: Call): string | null {
  const known = attributesOf(call);
  const method = known["http.request.method"];
  const url = urlOf(known);
  if (!method || !url) return null;
  const parts = ["curl", "-i"];
  if (method === "HEAD") parts.push("-I");
  else if (method !== "GET") parts.push("-X", shellQuoted(method));
  for (const [key, value] of Object.entries(known)) {
    if (key.startsWith(HEADER)) parts.push("-H", shellQuoted(`${key.slice(HEADER.length)}: ${value.replace(/^\["|"\]$/g, "")}`));
  }
  return [...parts, shellQuoted(url)].join(" ");
}

const NOT_SQL = /^(redis|memcached|mongodb|elasticsearch|cassandra\.thrift)/;

function statementOf(call: Call): CopyAs | null {
  const known = attributesOf(call);
  const text = known["db.query.text"];
  if (!text) return null;
  const isSql = !NOT_SQL.test(known["db.system.name"] ?? call.span.protocol ?? "");
  return isSql ? { name: "Copy as SQL", text: /;\s*$/.test(text) ? text : `${text};` } : { name: "Copy as command", text };
}

export function copiesOf(call: Call): CopyAs[] {
  const curl = curlOf(call);
  const spans = [call.client?.span, call.server?.span].filter((span) => span !== undefined);
  return [
    ...(curl ? [{ name: "Copy as curl", text: curl }] : []),
    ...([statementOf(call)].filter((one) => one !== null)),
    { name: "Copy JSON", text: JSON.stringify(spans.length > 1 ? spans : spans[0], null, 2) },
  ];
}
