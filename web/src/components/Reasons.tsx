// Why something is red or amber: statements with value, usual value, since when, and a link to the proof.
import type { Reason } from "../domain/topology";
import { go, href } from "../state/location";
import { since } from "./Sentence";

export function Reasons({ reasons }: { reasons: Reason[] }) {
  return (
    <ol class="why">
      {reasons.slice(0, 5).map((reason) => (
        <li key={`${reason.kind} ${reason.text}`}>
          <div class="t">{reason.text}</div>
          <div class="e">
            {[
              since(reason),
              reason.value === null || reason.text.includes(reason.value) ? "" : `value ${reason.value}`,
              reason.usual === null || reason.text.includes(reason.usual) ? "" : `usually ${reason.usual}`,
            ]
              .filter(Boolean)
              .join(", ")}
          </div>
          {reason.link && isOwnPath(reason.link) && (
            <a style={{ fontSize: "12px" }} href={withRange(reason.link)} onClick={(event) => follow(event, reason.link ?? "")}>
              Show the evidence
            </a>
          )}
        </li>
      ))}
    </ol>
  );
}

/** Links come with the data; only paths of this console are followed. */
const isOwnPath = (link: string): boolean => /^\/(map|services?|process|host|external|traces?|status)([/?]|$)/.test(link);

function withRange(link: string): string {
  const [path = "/", query = ""] = link.split("?", 2);
  return href(path, Object.fromEntries(new URLSearchParams(query)));
}

function follow(event: MouseEvent, link: string): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(withRange(link));
}
