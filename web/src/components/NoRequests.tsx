// Nothing was called in the range: in the first minute, or because nothing talks; then when something last did.
import { fetchTimeline, type Timeline } from "../api/series";
import { between, clock, day, plural } from "../domain/format";
import { interval, now } from "../state/clock";
import { oldest, watched } from "../state/health";
import { setRange, utc } from "../state/location";
import { useQuery } from "../state/query";
import { Center } from "./states";

const WEEK = 7 * 86_400;
const COARSE = 1000;

/** The end of the last bucket with requests, and its width. */
function lastOf(timeline: Timeline): { at: number; width: number } | null {
  const width = (timeline.end - timeline.start) / Math.max(1, timeline.buckets.length);
  const index = timeline.buckets.findLastIndex((bucket) => (bucket?.requests ?? 0) > 0);
  return index < 0 ? null : { at: timeline.start + (index + 1) * width, width };
}

export function NoRequests() {
  const { start, end } = interval.value;
  // First to ten minutes, then within those to seconds.
  const query = useQuery("last request", String(Math.floor(now.value / 30)), async (signal) => {
    const until = now.peek();
    const coarse = lastOf(await fetchTimeline({ start: until - WEEK, end: until }, COARSE, signal));
    if (!coarse) return { at: null };
    const fine = lastOf(await fetchTimeline({ start: coarse.at - coarse.width, end: coarse.at }, 120, signal));
    return { at: (fine ?? coarse).at };
  });
  const processes = watched.value === null ? "" : plural(watched.value, "process", "processes");
  const at = query.data?.at;
  if (query.data === null && !query.error) return <Center>{null}</Center>;
  if (at === null && end >= now.value - 60) {
    return (
      <Center>
        <p class="b">Watching {processes || "all processes"}. The first requests appear here within seconds.</p>
      </Center>
    );
  }
  const when = at === null || at === undefined ? "" : day(at, utc.value) === day(end, utc.value) ? clock(at, utc.value, "minutes") : `${day(at, utc.value)} ${clock(at, utc.value, "minutes")}`;
  const goThere = () => at && setRange({ kind: "fixed", start: Math.floor(at - (end - start) * 0.9), end: Math.floor(at + (end - start) * 0.1) });
  return (
    <Center>
      <p class="b">No requests in {between(start, end, utc.value)}.</p>
      <p>
        {[processes && `${processes} ${watched.value === 1 ? "is" : "are"} watched`, when && `the last request was at ${when}`].filter(Boolean).join(", ")}
        {(processes || when) && "."}
      </p>
      {oldest.value !== null && start < oldest.value && <p class="sub">Data go back to {day(oldest.value, utc.value)} {clock(oldest.value, utc.value, "minutes")}.</p>}
      {when && <button class="btn" onClick={goThere}>Go there</button>}
    </Center>
  );
}
