// Of the time of a service's requests: how much is its own, and how much waits for which callee.
import { queryAt } from "../api/series";
import { milliseconds, share } from "../domain/format";
import { whereTime, type Where } from "../domain/operations";
import { ofService, rateOf, timeSpent, windowOver } from "../domain/promql";
import { protocolName } from "../domain/topology";
import { interval } from "../state/clock";
import { useQuery } from "../state/query";
import { slowMoment, subject } from "../state/subject";

const MOST = 8;

export function WhereService({ name }: { name: string }) {
  const query = useQuery(subject(`where ${name}`), slowMoment(10), async (signal) => {
    const { start, end } = interval.peek();
    const window = windowOver({ start, end });
    const served = ofService(name, "server");
    const [total, calls, rate] = await Promise.all([
      queryAt(timeSpent(served, window), end, signal),
      queryAt(timeSpent({ service: name, side: "client" }, window, ["peer", "peer_address", "protocol"]), end, signal),
      queryAt(rateOf(served, window), end, signal),
    ]);
    const where = whereTime(total[0]?.value ?? null, calls);
    return where && { ...where, mean: (total[0]?.value ?? 0) / (rate[0]?.value || 1) };
  });
  if (!query.data || query.data.parts.length === 0) return null;
  return (
    <div class="sec">
      <div class="hd"><h2>Where the time goes</h2><span class="sub">mean of all requests, {milliseconds(query.data.mean * 1000)}</span></div>
      <Parts where={query.data} mean={query.data.mean} />
      {query.data.parallel && <p class="sub" style={{ marginTop: "6px" }}>Its calls run side by side, so the shares add up to more than the whole.</p>}
    </div>
  );
}

function Parts({ where, mean }: { where: Where; mean: number }) {
  const widest = Math.max(1, ...where.parts.map((part) => part.share));
  let from = 0;
  return (
    <div class="tot four">
      {where.parts.slice(0, MOST).map((part) => {
        const width = (part.share / widest) * 100;
        const start = where.parallel ? 0 : Math.min(from, 100 - width);
        from += width;
        const isOwn = part.name === "itself";
        return [
          <span key={part.name + part.protocol} class="mid el" title={part.name}>{part.name} {part.protocol && <span class="dim">{protocolName(part.protocol)}</span>}</span>,
          <svg key={`${part.name}${part.protocol} bar`} height="12" aria-hidden="true"><rect x={`${start}%`} y="1" width={`max(1.500px, ${width}%)`} height="10" fill={isOwn ? "var(--s-server)" : "var(--s-client)"} /></svg>,
          <span key={`${part.name}${part.protocol} value`} class="num">{milliseconds(part.share * mean * 1000)}</span>,
          <span key={`${part.name}${part.protocol} share`} class="num dim">{share(part.share)}</span>,
        ];
      })}
    </div>
  );
}
