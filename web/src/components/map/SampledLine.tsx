// What a filtered map is made from, said above it in so many words: its figures are no counts of all requests.
import { useEffect, useState } from "preact/hooks";
import type { Term } from "../../domain/filter";
import { withoutTerm } from "../../domain/filter";
import { count, plural } from "../../domain/format";
import type { Topology } from "../../domain/topology";
import { href, setParams } from "../../state/location";
import { Center } from "../states";

/** The text once nobody has typed for a while: each question costs the server the spans of the whole range. */
export function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 400);
    return () => clearTimeout(timer);
  }, [text]);
  return text ? settled : text;
}

export function SampledLine({ topology, asked }: { topology: Topology; asked: string }) {
  const { sampled } = topology;
  if (asked && sampled?.filter !== asked) {
    return <div class="linebar" role="status">Reading the stored spans with {asked}. Until then this is the map {sampled ? `of ${sampled.filter}` : "of all requests"}.</div>;
  }
  if (!sampled || sampled.spans === 0) return null;
  return (
    <div class="linebar" role="status">
      <span>
        Estimated from {plural(sampled.spans, "sampled span", "sampled spans")} with {sampled.filter}, not counted from all requests; what is usual, new or gone is not known.
        {sampled.untold > 0 && ` ${count(sampled.untold)} of them do not say how they were sampled, and count once.`}
      </span>
      <a href={href("/traces", { q: sampled.filter })}>Their traces</a>
    </div>
  );
}

/** No span matches: that none was kept is not the same as no request. */
export function NoSpans({ asked, filter, terms }: { asked: string; filter: string; terms: Term[] }) {
  const without = terms.filter((term) => term.key === "attr").reduce(withoutTerm, filter);
  return (
    <Center>
      <p class="b">No stored span of this time has {asked}.</p>
      <p>Only sampled requests leave spans: a longer time finds rarer ones.</p>
      <button class="btn" onClick={() => setParams({ q: without || null })}>Remove it</button>
    </Center>
  );
}
