// /api/status: what is watched, what is not and why, what was lost, what it costs.
import { secondsOf } from "../domain/format";
import { libraryName } from "../domain/tls";
import { get } from "./http";
import { list, maybe, number, object, string, text, type Json } from "./read";

export type RunState = "running" | "partly" | "off" | "failed" | "unknown";

export interface Program {
  name: string;
  state: RunState;
  reason: string | null;
  hook: string | null;
  runs: number | null;
  runNs: number | null;
}
export interface Collector {
  name: string;
  state: RunState;
  reason: string | null;
  programs: Program[];
}
export interface Loss {
  cause: string;
  count: number | null;
  help: string | null;
}
export interface Agent {
  host: string;
  hostId: string | null;
  version: string | null;
  kernel: string | null;
  silent: boolean;
  lastHeard: number | null;
  started: number | null;
  cpuSeconds: number | null;
  memoryBytes: number | null;
  collectors: Collector[];
  losses: Loss[];
  /** What waits to be sent; null where the agent does not say. */
  queue: Queue | null;
  /** Protocols that are switched off, and rules of what to leave alone with how often they matched. */
  protocolsOff: string[];
  exclusions: { rule: string; matched: number | null }[];
  /** Null: the agent is older than this. */
  tls: AgentTls | null;
}
/** What is read in plaintext, and what is not. */
export interface AgentTls {
  on: boolean;
  files: TlsFile[];
  /** Services that speak TLS which nothing reads, with the library that was found in them, if any. */
  unread: { service: string; library: string | null }[];
}
export interface TlsFile {
  path: string;
  library: string;
  version: string | null;
  read: boolean;
  services: string[];
  processes: number;
  probes: TlsProbe[];
}
/** Of one function of a library. */
export interface TlsProbe {
  name: string;
  count: number;
  singleStepped: number;
  state: RunState;
  reason: string | null;
}
export interface Queue {
  batches: number | null;
  bytes: number | null;
  lastSent: number | null;
  lastError: string | null;
}
export interface StorePart {
  name: string;
  bytes: number | null;
  oldest: number | null;
}
export interface Store {
  parts: StorePart[];
  retention: number | null;
  maxBytes: number | null;
  path: string | null;
  format: string | null;
  bytes: number | null;
  freeBytes: number | null;
  spans: number | null;
  series: number | null;
  oldest: number | null;
  losses: Loss[];
  problem: string | null;
}
export interface Status {
  version: string | null;
  started: number | null;
  problems: string[];
  agents: Agent[];
  /** How many processes are watched now. */
  processes: number | null;
  server: { cpuSeconds: number | null; memoryBytes: number | null; losses: Loss[] } | null;
  store: Store | null;
}

const RUN_STATES: readonly RunState[] = ["running", "partly", "off", "failed"];
const runState = (value: unknown): RunState => RUN_STATES.find((state) => state === value) ?? "unknown";

const program = (value: Json): Program => ({
  name: text(value["name"], "unnamed"),
  state: runState(value["state"]),
  reason: string(value["reason"]) || null,
  hook: string(value["hook"]) || null,
  runs: number(value["run_count"]),
  runNs: number(value["run_time_ns"]),
});

const collector = (value: Json, where: string): Collector => ({
  name: text(value["name"], "unnamed"),
  state: runState(value["state"]),
  reason: string(value["reason"]) || null,
  programs: list(value["programs"], `${where}.programs`, program),
});

/** An agent's losses are {cause, count, help}; the store's are pairs of cause and count. */
function losses(value: unknown, where: string): Loss[] {
  if (Array.isArray(value) && value.every(Array.isArray)) {
    return value.map(([cause, amount]) => ({ cause: text(cause, "unnamed"), count: number(amount), help: null }));
  }
  return list(value, where, (loss) => ({ cause: text(loss["cause"], "unnamed"), count: number(loss["count"]), help: string(loss["help"]) || null }));
}

const agent = (value: Json, where: string): Agent => ({
  host: text(value["host"], "unnamed host"),
  hostId: string(value["host_id"]) || null,
  version: string(value["version"]),
  kernel: string(value["kernel"]),
  silent: value["silent"] === true,
  lastHeard: secondsOf(string(value["reported_ns"])),
  started: secondsOf(string(value["started_ns"])),
  cpuSeconds: number(value["cpu_seconds"]),
  memoryBytes: number(value["memory_bytes"]),
  collectors: list(value["collectors"], `${where}.collectors`, collector),
  losses: losses(value["losses"], `${where}.losses`),
  queue: maybe(value["export"], queue),
  protocolsOff: list(value["protocols"], `${where}.protocols`, (one) => ({ name: text(one["name"]), state: text(one["state"]) })).filter((one) => one.state === "off").map((one) => one.name),
  exclusions: list(value["exclusions"], `${where}.exclusions`, (one) => ({ rule: text(one["rule"]), matched: number(one["matched"]) })),
  tls: value["tls_plaintext"] === undefined ? null : tls(value, where),
});

const tls = (value: Json, where: string): AgentTls => ({
  on: value["tls_plaintext"] === true,
  files: list(value["tls"], `${where}.tls`, (file) => ({
    path: text(file["path"]),
    library: libraryName(text(file["library"])),
    version: string(file["version"]) || null,
    read: file["read"] === true,
    services: (Array.isArray(file["services"]) ? file["services"] : []).flatMap((one) => string(one) || []),
    processes: number(file["processes"]) ?? 0,
    probes: list(file["probes"], `${where}.probes`, (probe) => ({ name: text(probe["name"]), count: number(probe["count"]) ?? 0, singleStepped: number(probe["single_stepped"]) ?? 0, state: runState(probe["state"]), reason: string(probe["reason"]) || null })),
  })),
  unread: list(value["tls_unread"], `${where}.tls_unread`, (one) => ({ service: text(one["service"]), library: string(one["library"]) ? libraryName(text(one["library"])) : null })),
});

function queue(value: Json): Queue {
  const spool = maybe(value["spool"], (one) => ({ batches: number(one["batches"]) ?? 0, bytes: number(one["bytes"]) ?? 0 }));
  const sum = (field: unknown, more: number | undefined) => (number(field) === null ? null : (number(field) ?? 0) + (more ?? 0));
  const sent = number(value["last_success_ns"]);
  return { batches: sum(value["queued_batches"], spool?.batches), bytes: sum(value["queued_bytes"], spool?.bytes), lastSent: sent ? sent / 1e9 : null, lastError: string(value["last_error"]) || null };
}

const store = (value: Json): Store => ({
  parts: list(value["parts"], "store.parts", (part) => ({ name: text(part["name"]), bytes: number(part["bytes"]), oldest: secondsOf(string(part["oldest_ns"])) })),
  retention: number(value["retention_seconds"]),
  maxBytes: number(value["max_bytes"]),
  path: string(value["path"]),
  format: string(value["format"]),
  bytes: number(value["bytes"]),
  freeBytes: number(value["free_bytes"]),
  spans: number(value["spans"]),
  series: number(value["series"]),
  oldest: secondsOf(string(value["oldest_ns"])),
  losses: losses(value["losses"], "store.losses"),
  problem: string(value["problem"]) || null,
});

export function readStatus(body: unknown): Status {
  const value = object(body, "status");
  return {
    version: string(value["version"]),
    started: secondsOf(string(value["started_ns"])),
    problems: (Array.isArray(value["problems"]) ? value["problems"] : []).flatMap((one) => string(one) ?? []),
    agents: list(value["agents"], "agents", agent),
    processes: number(value["processes"]),
    server: maybe(value["server"], (server) => ({
      cpuSeconds: number(server["cpu_seconds"]),
      memoryBytes: number(server["memory_bytes"]),
      losses: losses(server["losses"], "server.losses"),
    })),
    store: maybe(value["store"], store),
  };
}

export const fetchStatus = (signal: AbortSignal): Promise<Status> => get("/api/status", {}, readStatus, signal);
