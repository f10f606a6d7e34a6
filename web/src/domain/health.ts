// One sentence on whether Limpid itself is in order.
import type { Status } from "../api/status";
import { plural } from "./format";

/** What is off by choice is no trouble; what failed, or says a problem, is. */
export function troubles(status: Status): string[] {
  const failed = status.agents.flatMap((agent) =>
    agent.collectors.filter((one) => one.state === "failed").map((one) => `${one.name} on ${agent.host} failed`),
  );
  const silent = status.agents.filter((agent) => agent.silent).map((agent) => `the agent on ${agent.host} is silent`);
  const store = status.store?.problem ? [`store: ${status.store.problem}`] : [];
  const none = status.agents.length === 0 ? ["no agent reports to this server"] : [];
  return [...new Set([...status.problems, ...silent, ...failed, ...store, ...none])];
}

export const isDegraded = (status: Status): boolean => troubles(status).length > 0;

/** Bytes are no losses of their own: they are how large the lost records were. */
export const isBytes = (cause: string): boolean => cause.endsWith("_bytes") || cause === "tls_untied";

/** The largest loss by name: a sum of unlike things says little. */
export function worstLoss(status: Status): { what: string; count: number } | null {
  const all = [...status.agents.flatMap((agent) => agent.losses), ...(status.store?.losses ?? []), ...(status.server?.losses ?? [])];
  const worst = all.filter((loss) => !isBytes(loss.cause)).sort((a, b) => (b.count ?? 0) - (a.count ?? 0))[0];
  return worst?.count ? { what: worst.help ?? worst.cause, count: worst.count } : null;
}

export function lossCount(status: Status): number {
  const all = [...status.agents.flatMap((agent) => agent.losses), ...(status.store?.losses ?? []), ...(status.server?.losses ?? [])];
  return all.filter((loss) => !isBytes(loss.cause)).reduce((sum, loss) => sum + (loss.count ?? 0), 0);
}

export function headline(status: Status): string {
  const found = troubles(status);
  if (found.length === 0) return `All well: ${plural(status.agents.length, "agent")} running`;
  return found.length === 1 ? `Degraded: ${found[0]}` : `Degraded: ${found[0]}, and ${plural(found.length - 1, "more problem")}`;
}
