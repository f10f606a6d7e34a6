// A thing of which nothing is known in the range: it was not there, or retention has removed it.
import { between, clock, day } from "../../domain/format";
import { interval } from "../../state/clock";
import { oldest } from "../../state/health";
import { href, hrefHere, utc } from "../../state/location";

export function Removed({ what, id }: { what: string; id: string }) {
  const { start, end } = interval.value;
  const reach = oldest.value;
  return (
    <div class="center">
      <h1>{what} is not known</h1>
      <p class="mono" style={{ overflowWrap: "anywhere" }}>{id}</p>
      <p>Nothing was seen of it in {between(start, end, utc.value)}.{reach !== null && start < reach && ` Data go back to ${day(reach, utc.value)} ${clock(reach, utc.value, "minutes")}.`}</p>
      <p><a class="btn" href={hrefHere({ start: null, end: null, last: "7d" })}>Look at the last 7 days</a> <a class="btn" href={href("/services")}>All services</a></p>
    </div>
  );
}
