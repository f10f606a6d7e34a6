// What the page is compared with: yesterday, a week before, the time just before, or before the trouble began.
import { beforeMoment, parsePast, type Past } from "../../domain/compare";
import { clock } from "../../domain/format";
import { spanText } from "../../domain/range";
import { interval } from "../../state/clock";
import { oldest } from "../../state/health";
import { useKeys } from "../../state/keys";
import { hrefHere, param, setParams, utc } from "../../state/location";
import { usePopup } from "../usePopup";

export const pastOf = (): Past | null => parsePast(param("vs"), interval.value, utc.value);

export function Compare({ past, since }: { past: Past | null; since: number | null }) {
  const { open, setOpen, box } = usePopup();
  const toggle = () => setParams({ vs: param("vs") ? null : "1d" }, "push");
  useKeys(() => [{ keys: "c", what: "compare with yesterday, or stop comparing", run: toggle }], []);
  const { start, end } = interval.value;
  const length = spanText(end - start);
  const choices: [string, string][] = [["yesterday", "1d"], ["a week before", "7d"], ["the time just before", length]];
  if (since !== null && since > start) choices.push([`before ${clock(since, utc.value)}, when it began`, beforeMoment(since, interval.value)]);
  return (
    <div class="times" ref={box}>
      <button class="btn" aria-haspopup="true" aria-expanded={open} title="Compare  c" onClick={() => setOpen(!open)}>Compare <span class="dim">{past?.name ?? "with nothing"}</span></button>
      {open && (
        <div class="menu">
          {choices.map(([name, vs]) => <a key={name} href={hrefHere({ vs })} aria-current={param("vs") === vs ? "true" : undefined} onClick={() => setOpen(false)}>{name}</a>)}
          {past && <a href={hrefHere({ vs: null })} onClick={() => setOpen(false)}>with nothing</a>}
        </div>
      )}
    </div>
  );
}

/** What is compared with may be older than what is kept. */
export function PastLine({ past, found }: { past: Past | null; found: boolean }) {
  if (!past || found) return null;
  const reach = oldest.value !== null && past.end < oldest.value ? ` Data go back to ${clock(oldest.value, utc.value, "minutes")}.` : "";
  return <p class="sub">Nothing is known of this service {past.name}.{reach} <a href={hrefHere({ vs: null })}>Stop comparing</a></p>;
}
