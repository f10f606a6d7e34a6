// Time on the map: the range moves on a minute a step, as long as it plays or is dragged in the ribbon. The address
// follows without entries of its own; where it comes to rest is one entry.
import { useEffect, useState } from "preact/hooks";
import type { Range } from "../../domain/range";
import { interval, live } from "../../state/clock";
import { oldest } from "../../state/health";
import { useKeys } from "../../state/keys";
import { rest, scrub, scrubbing } from "../../state/scrub";

export const STEP_SECONDS = 60;
const FRAME_MS = 350;
/** From live, as much is played as the ribbon shows of it. */
const HOURS_SECONDS = 6 * 3600;

export interface Replay {
  playing: boolean;
  toggle: () => void;
}

export function useReplay(): Replay {
  const [playing, setPlaying] = useState(false);
  useEffect(() => {
    if (!playing) return;
    if (live.peek()) scrub(firstRange());
    const timer = setInterval(() => {
      const { start, end } = interval.peek();
      const now = Date.now() / 1000;
      const length = end - start;
      if (end + STEP_SECONDS >= now) {
        scrub({ kind: "last", seconds: Math.round(length) });
        setPlaying(false);
      } else scrub({ kind: "fixed", start: start + STEP_SECONDS, end: end + STEP_SECONDS });
    }, FRAME_MS);
    return () => {
      clearInterval(timer);
      rest();
    };
  }, [playing]);
  // Something else has moved the range: then that is what is wanted.
  useEffect(() => {
    if (playing && !scrubbing.value) setPlaying(false);
  }, [scrubbing.value]);
  const toggle = () => setPlaying((on) => !on);
  useKeys(() => [{ keys: "Space", what: "play the last hours, or stop", run: toggle }], []);
  return { playing, toggle };
}

function firstRange(): Range {
  const { start, end } = interval.peek();
  const length = end - start;
  const from = Math.max(end - HOURS_SECONDS, (oldest.peek() ?? 0) + Math.min(length, 300));
  const first = Math.ceil(Math.min(from, end - STEP_SECONDS) / STEP_SECONDS) * STEP_SECONDS;
  return { kind: "fixed", start: first - length, end: first };
}
