// What a page is compared with: yesterday, a week before, the time just before, or before a moment that is chosen. The
// map and the service page have it from here, so that it is one thing.
import { useState } from "preact/hooks";
import { beforeMoment, momentOn, parsePast, pastTime, type Past } from "../domain/compare";
import { clock, day } from "../domain/format";
import { spanText } from "../domain/range";
import { interval } from "../state/clock";
import { oldest } from "../state/health";
import { useKeys } from "../state/keys";
import { hrefHere, param, setParams, utc } from "../state/location";
import { useQuery, type Query } from "../state/query";
import { slowMoment, subject } from "../state/subject";
import { usePopup } from "./usePopup";

export const pastOf = (): Past | null => parsePast(param("vs"), interval.value, utc.value);

export interface Then<T> {
  query: Query<unknown>;
  /** Null while nothing is compared, or what it is compared with is still being read. */
  known: T | null;
}

/** What is read of the time compared with. */
export function useThen<T>(what: string, read: (past: Past, signal: AbortSignal) => Promise<T>): Then<T> {
  const of = `${what} ${param("vs")}`;
  const query = useQuery(subject(`then ${of}`), slowMoment(30), async (signal) => {
    const past = parsePast(param("vs"), interval.peek(), utc.peek());
    return past && { of, read: await read(past, signal) };
  });
  return { query, known: query.data?.of === of ? query.data.read : null };
}

/** The page's own, and not the button's: it works while the page is still being read. */
export function useCompareKey(): void {
  const toggle = () => setParams({ vs: param("vs") ? null : "1d" }, "push");
  useKeys(() => [{ keys: "c", what: "compare with yesterday, or stop comparing", run: toggle }], []);
}

export function Compare({ past, since, small = false }: { past: Past | null; since: number | null; small?: boolean }) {
  const { open, setOpen, box } = usePopup();
  return (
    <div class="times" ref={box}>
      <button class={`btn${small ? " s" : ""}`} aria-haspopup="true" aria-expanded={open} title="Compare  c" onClick={() => setOpen(!open)}>
        {small && past ? "Against" : "Compare"} <span class={past && small ? "b" : "dim h1c"}>{past?.name ?? (small ? "" : "with nothing")}</span>
      </button>
      {open && <Choices past={past} since={since} close={() => setOpen(false)} />}
    </div>
  );
}

function Choices({ past, since, close }: { past: Past | null; since: number | null; close: () => void }) {
  const { start, end } = interval.value;
  const choices: [string, string][] = [["yesterday", "1d"], ["a week before", "7d"], ["the time just before", spanText(end - start)]];
  if (since !== null && since > start && since < end) choices.push([`before ${clock(since, utc.value)}, when it began`, beforeMoment(since, interval.value)]);
  return (
    <div class="menu">
      {choices.map(([name, vs]) => <a key={name} href={hrefHere({ vs })} aria-current={param("vs") === vs ? "true" : undefined} onClick={close}>{name}</a>)}
      <Chosen close={close} />
      {past && <hr />}
      {past && <a href={hrefHere({ vs: null })} onClick={close}>with nothing</a>}
    </div>
  );
}

/** A moment that one has heard of: "it was fine before 14:32". */
function Chosen({ close }: { close: () => void }) {
  const { start, end } = interval.value;
  const [text, setText] = useState(clock((start + end) / 2, utc.value, "minutes"));
  const moment = momentOn(text, end, utc.value);
  const choose = (event: Event) => {
    event.preventDefault();
    if (moment === null) return;
    setParams({ vs: beforeMoment(moment, interval.peek()) }, "push");
    close();
  };
  return (
    <form class="before" onSubmit={choose}>
      <label>before <input value={text} inputMode="numeric" aria-invalid={moment === null} title="Hours and minutes: 14:32" onInput={(event) => setText(event.currentTarget.value)} /></label>
      <button class="btn s" disabled={moment === null}>Compare</button>
    </form>
  );
}

interface PastLineProps {
  past: Past | null;
  /** What nothing is known of, if so: "this service". */
  unknown: string | null;
}

/** What is compared with may be older than what is kept, wholly or in part. */
export function PastLine({ past, unknown }: PastLineProps) {
  if (!past) return null;
  const reach = oldest.value !== null && past.start < oldest.value ? `${day(oldest.value, utc.value)} ${clock(oldest.value, utc.value, "minutes")}` : "";
  if (unknown === null && !reach) return null;
  const time = pastTime(past, utc.value);
  return (
    <p class="linebar" role="status">
      {unknown !== null ? `Nothing is known of ${unknown} in ${time}, ${past.name}.${reach ? ` Data go back to ${reach}.` : ""}` : `Of ${time} only what came after ${reach} is known: data do not go back further.`}{" "}
      <a href={hrefHere({ vs: null })}>Stop comparing</a>
    </p>
  );
}
