// Calls that are too short to be seen in their trace: they can be left out.
import { durationOf, type Tree } from "./tracetree";

/** A round length under which a call is hardly a pixel: a five-hundredth of the whole, at least. */
export function shortLimit(duration: number): number {
  const least = duration / 500;
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-6)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least * 0.999) ?? power * 10;
}

export function countShorter(tree: Tree, least: number): number {
  let found = 0;
  const stack = [...tree.roots];
  for (let call = stack.pop(); call; call = stack.pop()) {
    if (durationOf(call) < least) found += 1;
    stack.push(...call.children);
  }
  return found;
}
