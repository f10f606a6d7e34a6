// What is different now from the time compared with, and who started or ended within the range.
import type { Change } from "../../domain/changes";
import { clock } from "../../domain/format";
import { utc } from "../../state/location";
import { entityHref, onMapHref } from "../links";

const SIGNS: Record<Change["kind"], string> = { instance: "▼", operation: "◆", call: "→", figure: "≠" };

export function Changes({ changes, most = Infinity }: { changes: Change[]; most?: number }) {
  const sorted = [...changes].sort((a, b) => (b.at ?? 0) - (a.at ?? 0));
  return (
    <ul class="chg">
      {sorted.slice(0, most).map((change) => (
        <li key={change.text}>
          <span class="dim">{change.at === null ? "" : clock(change.at, utc.value)}</span>
          <span class="dim" aria-hidden="true">{SIGNS[change.kind]}</span>
          <Text change={change} />
        </li>
      ))}
    </ul>
  );
}

function Text({ change: { text, link } }: { change: Change }) {
  if (link?.edge) return <a href={onMapHref(`edge:${link.edge}`)}>{text}</a>;
  return link?.entity ? <a href={entityHref(link.entity)}>{text}</a> : <span>{text}</span>;
}
