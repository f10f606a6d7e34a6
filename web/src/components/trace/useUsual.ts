// The medians of requests like those of a trace, in the hour up to a while after it, all of them counted.
import { queryAt, type Sample } from "../../api/series";
import { usualKey, usualQueries, type Usual } from "../../domain/usual";
import type { Tree } from "../../domain/tracetree";
import { now } from "../../state/clock";
import { useQuery, type Query } from "../../state/query";

/** So long round a trace are others like it looked at. */
const USUAL_SECONDS = 3600;

export type UsualOf = ReadonlyMap<string, Usual>;

export function useUsual(id: string, tree: Tree): Query<UsualOf> {
  return useQuery(`usual ${id}`, "", async (signal) => {
    const queries = usualQueries(tree, `${USUAL_SECONDS}s`);
    if (!queries) return new Map();
    const until = Math.min(now.peek(), tree.startSeconds + USUAL_SECONDS / 6);
    const [medians, requests] = await Promise.all([queryAt(queries.medians, until, signal), queryAt(queries.requests, until, signal)]);
    const amounts = new Map(requests.map((one) => [keyOf(one), one.value ?? 0]));
    return new Map(medians.map((one) => [keyOf(one), { median: one.value === null ? null : one.value * 1000, requests: amounts.get(keyOf(one)) ?? 0 }]));
  });
}

const keyOf = ({ labels }: Sample): string => usualKey(labels["side"] ?? "", labels);
