// Data from the server as it is looked at: the old stays while the new is read, a failure clears nothing, a live
// refresh is silent. `subject` says what is asked for, `moment` when: only a new subject counts as loading.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/http";

export interface Query<T> {
  data: T | null;
  error: ApiError | null;
  /** Unix seconds of the data that is shown. */
  readAt: number | null;
  /** True once what is shown is older than what is asked for, and it has taken longer than 300 ms. */
  stale: boolean;
  again: () => void;
  /** Gives up the reading that is under way. */
  stop: () => void;
}

const PATIENCE_MS = 300;
const RETRY_MS = 5000;

interface State<T> {
  data: T | null;
  subject: string | null;
  error: ApiError | null;
  readAt: number | null;
}

export function useQuery<T>(subject: string, moment: string, read: (signal: AbortSignal) => Promise<T>): Query<T> {
  const [state, setState] = useState<State<T>>({ data: null, subject: null, error: null, readAt: null });
  const [attempt, setAttempt] = useState(0);
  const [slow, setSlow] = useState(false);
  const running = useRef<{ subject: string } | null>(null);
  const cancel = useRef<() => void>(() => {});

  useEffect(() => {
    // A refresh of the same subject waits for the one under way instead of cutting it off: a slow server would
    // otherwise never get to answer.
    if (running.current?.subject === subject) return;
    const stop = new AbortController();
    const mine = { subject };
    running.current = mine;
    let retry = 0;
    const patience = setTimeout(() => setSlow(true), PATIENCE_MS);
    const done = (change: (before: State<T>) => State<T>) => {
      if (running.current !== mine) return;
      running.current = null;
      clearTimeout(patience);
      setSlow(false);
      setState(change);
    };
    read(stop.signal).then(
      (data) => done(() => ({ data, subject, error: null, readAt: Date.now() / 1000 })),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        const said = error instanceof ApiError ? error : new ApiError("unreadable", String(error));
        done((before) => ({ ...before, error: said }));
        if (said.trouble === "away" || said.trouble === "busy") retry = window.setTimeout(() => setAttempt((count) => count + 1), RETRY_MS);
      },
    );
    cancel.current = () => {
      stop.abort();
      clearTimeout(patience);
      clearTimeout(retry);
      if (running.current === mine) running.current = null;
    };
  }, [subject, moment, attempt]);

  // Only leaving the subject or the page cuts a reading off.
  useEffect(() => () => cancel.current(), [subject]);

  const stale = slow && state.data !== null && state.subject !== subject;
  const stop = () => {
    cancel.current();
    setSlow(false);
    setState((before) => ({ ...before, error: new ApiError("stopped", "the reading was stopped") }));
  };
  return { data: state.data, error: state.error, readAt: state.readAt, stale, again: () => setAttempt((count) => count + 1), stop };
}
