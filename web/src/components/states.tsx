// Empty, loading, failed: one place for each, so that they look and read the same on every page. Old data is never
// cleared; what cannot be read is said with its reason and with what is not affected.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Query } from "../state/query";
import { clock, span } from "../domain/format";
import { answered, unanswered } from "../api/http";
import { interval, now } from "../state/clock";
import { silentAgents } from "../state/health";
import { href, utc } from "../state/location";
import { Sign } from "./Sign";

interface FailureProps {
  /** What could not be read, as the beginning of a sentence: "Traces". */
  what: string;
  query: Query<unknown>;
}

/** A line above the figures that are still shown. That nobody answers is said once for the whole page (AwayLine). */
export function FailureLine({ what, query }: FailureProps) {
  const { error } = query;
  if (!error || query.data === null || error.trouble === "away") return null;
  return (
    <div class="linebar" role="status">
      <Sign status="warning" size={13} />
      {what} cannot be read: {error.message}.
      <AgainButton query={query} />
    </div>
  );
}

/** Nothing is cleared while the server is away. */
export function AwayLine() {
  if (unanswered.value <= answered.value || answered.value === 0) return null;
  const seconds = Math.max(1, Math.max(now.value, unanswered.value) - answered.value);
  return (
    <div class="linebar" role="status">
      <Sign status="warning" size={13} />
      No answer from the server for {span(seconds)}. You see {clock(answered.value, utc.value)}. Trying again.
    </div>
  );
}

/** Hosts whose agent fell silent before the end of what is looked at. */
export function PartialLine() {
  const { start, end } = interval.value;
  const missing = silentAgents.value.filter((agent) => agent.lastHeard !== null && agent.lastHeard < end - 60 && agent.lastHeard > start - 86_400);
  if (missing.length === 0) return null;
  const [first] = missing;
  return (
    <div class="linebar" role="status">
      <Sign status="no_data" size={13} />
      <span>
        {missing.map((agent) => agent.host).join(", ")} {missing.length === 1 ? "is" : "are"} missing since {clock(first?.lastHeard, utc.value)}. Figures leave {missing.length === 1 ? "it" : "them"} out.{" "}
        <a href={href("/status", { host: first?.host })}>Status</a>
      </span>
    </div>
  );
}

const AgainButton = ({ query }: { query: Query<unknown> }) => (
  <button class="btn s" onClick={query.again}>
    Try again
  </button>
);

/** Instead of a page's content while there is none. */
export function Nothing({ what, query }: FailureProps) {
  const waited = useLater(300);
  const long = useLater(4000);
  if (query.error) {
    return (
      <div class="center" role="alert">
        <Sign status="warning" size={18} />
        <p>
          {what} cannot be read: {query.error.message}.{unaffected(what)}
        </p>
        <AgainButton query={query} />
      </div>
    );
  }
  return (
    <div class="center">
      {waited && <p role="status">Reading {what.toLowerCase()}</p>}
      {long && <button class="btn" onClick={query.stop}>Stop</button>}
    </div>
  );
}

/** One page's trouble is not another's; a server that does not answer at all is everybody's. */
const unaffected = (what: string): string => (what === "The map" || unanswered.value > answered.value ? "" : " The map is not affected.");

/** True after a while: up to 300 ms nothing is said at all. */
function useLater(milliseconds: number): boolean {
  const [later, setLater] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLater(true), milliseconds);
    return () => clearTimeout(timer);
  }, [milliseconds]);
  return later;
}

export const Busy = ({ on }: { on: boolean }) => (on ? <div class="busy" role="progressbar" aria-label="Reading" /> : null);

export const Center = ({ children }: { children: ComponentChildren }) => <div class="center">{children}</div>;
