// The first line of every page and panel: what is wrong, since when, and what is usual.
import { clock, count, milliseconds, plural, rate, share } from "../domain/format";
import { leadingReason } from "../domain/findings";
import { isBad, STATUS_WORDS, tone } from "../domain/status";
import { wholeRange, type Judged, type Made, type Reason } from "../domain/topology";
import { interval } from "../state/clock";
import { utc } from "../state/location";

interface Subject extends Judged {
  made?: Made | null;
}

const LEADS: Record<string, string> = { errors: "Failing", unanswered: "Unanswered", latency: "Slow", pending: "Hanging", connects: "Connects fail", retransmits: "Segments sent again", handshakes: "Handshakes fail", no_data: "No data" };
/** Said as a share of the requests; the text of all others says it all. */
const SHARES = ["errors", "unanswered"];

export function Sentence({ of }: { of: Subject }) {
  const worst = leadingReason(of);
  if (worst && isBad(of.status)) return <Bad of={of} worst={worst} />;
  if (worst) return <><b class={tone(of.status)}>{of.status === "affected" ? "Affected" : "No data"} {since(worst)}.</b> {capital(worst.text)}.{of.status === "affected" && !of.made && ` ${rate(of.rate)}, p95 ${milliseconds(of.p95)}.`}</>;
  if (of.made) return <>Serves nothing, calls others {rate(of.made.rate)}, {failedText(of.made.errorRatio === 0 ? 0 : null, of.made.errorRatio)}.</>;
  if (of.status === "unknown") return <>Too few requests to judge: {plural(of.requests ?? 0, "request")} in this range.</>;
  if (of.status === "ok" && of.requests === 0) return <>No request was read: what it says is encrypted.</>;
  if (of.rate === null) return <>No requests are known, state: {STATUS_WORDS[of.status]}.</>;
  return <Figures of={of} />;
}

function Bad({ of, worst }: { of: Subject; worst: Reason }) {
  const color = tone(of.status);
  const isSlow = worst.kind === "latency";
  const usual = worst.usual ? `, usually ${worst.usual}` : "";
  if (worst.kind === "certificate") return <><b class={color}>{capital(worst.text)}.</b> {of.rate !== null && <Figures of={of} />}</>;
  return (
    <>
      <b class={color}>{LEADS[worst.kind] ?? "Deviates"} {since(worst)}.</b>{" "}
      {isSlow ? <>p95 is <b class={color}>{worst.value}</b>{usual}. {capital(failedText(of.errors, of.errorRatio))}.</>
        : SHARES.includes(worst.kind) ? <><b class={color}>{worst.value}</b> of the {worst.text.includes(" lookups ") ? "lookups" : "requests"} {worst.kind === "unanswered" ? "got no answer" : "failed"}{usual}: {count(of.errors)} of {count(of.requests)} in this range. p95 {milliseconds(of.p95)}.</>
          : <>{capital(worst.text)}.</>}
    </>
  );
}

const Figures = ({ of }: { of: Subject }) => (
  <>{rate(of.rate)}, {failedText(of.errors, of.errorRatio)}, p95 <b>{milliseconds(of.p95)}</b>.</>
);

function failedText(errors: number | null, ratio: number | null): string {
  if (errors === 0) return "no request failed";
  return ratio === null ? "failures are not known" : `${share(ratio)} failed`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What was there from the range's first moment on may be older than the range. */
export function since(reason: Reason): string {
  // Its end says more than since when it is near.
  if (reason.since === null || reason.kind === "certificate") return "";
  return wholeRange(reason.since, interval.value) ? "in the whole range" : `since ${clock(reason.since, utc.value)}`;
}
