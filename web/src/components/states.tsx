// Empty, loading, failed: one place for each, so that they look and read the same on every page. Old data is never
// cleared; what cannot be read is said with its reason and with what is not affected.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Query } from "../state/query";
import { clock, span } from "../domain/format";
import { now } from "../state/clock";
import { utc } from "../state/location";
import { Sign } from "./Sign";

interface FailureProps {
  /** What could not be read, as the beginning of a sentence: "Traces". */
  what: string;
  query: Query<unknown>;
}

/** A line above the figures that are still shown. */
export function FailureLine({ what, query }: FailureProps) {
  const { error, readAt } = query;
  if (!error || query.data === null) return null;
  const away = error.trouble === "away" && readAt !== null;
  return (
    <div class="linebar" role="status">
      <Sign status="warning" size={13} />
      {away
        ? `No answer from the server for ${span(Math.max(1, now.value - readAt))}. You see ${clock(readAt, utc.value)}. Trying again.`
        : `${what} cannot be read: ${error.message}.`}
      {!away && <AgainButton query={query} />}
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
  if (query.error) {
    return (
      <div class="center" role="alert">
        <Sign status="warning" size={18} />
        <p>
          {what} cannot be read: {query.error.message}.
        </p>
        <AgainButton query={query} />
      </div>
    );
  }
  return <div class="center">{waited && <p role="status">Reading {what.toLowerCase()}</p>}</div>;
}

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
