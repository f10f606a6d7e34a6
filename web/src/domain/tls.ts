// Encrypted connections: why they are not read, what their alerts mean, and how long certificates have left.
import type { Agent, TlsFile } from "../api/status";
import type { Certificate, MapEdge } from "./topology";
import { plural } from "./format";
import { serviceParts } from "./topology";

const LIBRARIES: Record<string, string> = { OpenSsl: "OpenSSL", BoringSsl: "BoringSSL", GnuTls: "GnuTLS", Nss: "NSS", Go: "Go", Rustls: "rustls" };
export const libraryName = (name: string): string => LIBRARIES[name] ?? name;

const ALERTS: Record<string, string> = {
  40: "handshake_failure: no cipher or parameter in common", 42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
  46: "certificate_unknown: the certificate was not accepted", 47: "illegal_parameter", 48: "unknown_ca: the certificate's authority is not trusted", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
  70: "protocol_version: no version in common", 71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback", 109: "missing_extension", 110: "unsupported_extension",
  112: "unrecognized_name: the server does not know the name", 113: "bad_certificate_status_response", 115: "unknown_psk_identity", 116: "certificate_required: the client showed none", 120: "no_application_protocol: none in common", 121: "ech_required",
};

/** Name and meaning of what ended a handshake. */
export function alertParts(code: string): [name: string, meaning: string] {
  if (code === "unanswered") return ["no answer", "ended in the middle, without an alert"];
  const [name = "", meaning = ""] = (ALERTS[code] ?? (code ? `alert ${code}` : "alert: encrypted, so its kind is not known")).split(": ");
  return [name, meaning];
}

const DAY = 86_400;
export const daysLeft = (certificate: Certificate, at: number): number => (certificate.notAfter - at) / DAY;

/** The same limits as the rules of the map. */
export const leftTone = (days: number): string => (days < 3 ? "b crit" : days < 14 ? "b warn" : "");

/** "9 days left", "7 h left", "ended 2 days ago". */
export function leftText(days: number): string {
  const whole = Math.floor(Math.abs(days));
  const length = whole >= 1 ? plural(whole, "day") : `${Math.floor(Math.abs(days) * 24)}\u2009h`;
  return days < 0 ? `ended ${length} ago` : `${length} left`;
}

/** The day in UTC: of a year one must be sure. */
export const endOf = ({ notAfter }: Certificate): string => (notAfter < 8.64e12 ? new Date(notAfter * 1000).toISOString().slice(0, 10) : "never");

/** Soonest to end first; both ends tell of the same one, and of a renewed one the newer counts. */
export function bySoonest<T extends Certificate>(all: T[], keyOf: (one: T) => string = () => ""): T[] {
  const found = new Map<string, T>();
  for (const one of all) {
    const key = JSON.stringify([keyOf(one), one.subject, one.serverName]);
    const known = found.get(key);
    if (!known || known.notAfter < one.notAfter) found.set(key, one);
  }
  return [...found.values()].sort((a, b) => a.notAfter - b.notAfter || a.subject.localeCompare(b.subject));
}

const RIGHT = /permi|eperm|eacces|capab/i;
/** Nothing is lost by these: another function is watched in their place, or the library is without them. */
const HARMLESS = /^(goes on in|no symbol)/;
const WHOLE: Record<string, string> = { rustls: "built into the program, and what its functions answer is not understood yet", NSS: "which of its calls are encrypted is not known" };

/** Why a file is not read, or not all of it, in plain words; empty where all is. */
export function fileReasons(file: TlsFile): string[] {
  const missing = file.probes.filter((probe) => probe.state !== "running");
  if (missing.some((probe) => RIGHT.test(probe.reason ?? ""))) return ["the agent may not set probes: kernels before 6.6 want CAP_SYS_ADMIN for it"];
  if (!file.read) return [WHOLE[file.library] ?? (missing.some((probe) => /^stripped/.test(probe.reason ?? "")) ? "stripped: the names of its functions are gone" : (missing[0]?.reason ?? "nothing in it to hang a probe on"))];
  return missing.filter((probe) => !HARMLESS.test(probe.reason ?? "")).slice(0, 3).map((probe) => `${probe.name}: ${probe.reason ?? "not known why"}`);
}

/** Why nothing was read at one end of an edge: a sentence's middle. */
function whyAt(service: string, agents: Agent[]): string {
  const known = agents.flatMap((agent) => agent.tls ?? []);
  if (known.length === 0) return "whether a library in it can be read is not told by the agent";
  const uses = (file: TlsFile) => file.services.includes(service);
  const files = known.flatMap((tls) => tls.files).filter(uses);
  const read = files.find((file) => file.read);
  const unread = files.find((file) => !file.read);
  if (read) return `${read.library} in it is read, but what it says is of no known protocol, or not tied to this connection`;
  if (unread) return `${unread.library} in it cannot be read: ${fileReasons(unread)[0] ?? ""}`;
  if (known.every((tls) => !tls.on)) return "probes on TLS libraries are switched off (tls_plaintext)";
  if (known.some((tls) => tls.unread.some((one) => one.service === service))) return "no TLS library was found in it: the program brings its own TLS, as Java does";
  return "its processes have ended, or no library was found in them";
}

/** One line for each end of a connection that could not be read; null where no handshake succeeded at all. */
export function whyUnread(edge: MapEdge, agents: Agent[]): [name: string, why: string][] | null {
  const { tls } = edge;
  if (!tls) return [];
  const all = Math.max(tls.client?.requests ?? 0, tls.server?.requests ?? 0);
  const failed = Math.max(tls.client?.errors ?? 0, tls.server?.errors ?? 0);
  if (all > 0 && failed >= all) return null;
  return ([["caller", edge.source, tls.client], ["server", edge.target, tls.server]] as const).map(([name, id, side]) => {
    const service = serviceParts(id)?.name;
    return [name, !side ? "not watched here; an agent on its host may see more" : service ? whyAt(service, agents) : "see its service"];
  });
}
