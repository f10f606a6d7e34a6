// Parts of a page that do not fit on it at once; which one is shown stands in the address.
import { hrefHere, param } from "../state/location";

export function Tabs({ tabs }: { tabs: [key: string, name: string][] }) {
  const first = tabs[0]?.[0];
  const current = param("tab") || first;
  return (
    <nav class="tabs" aria-label="Parts of the page">
      {tabs.map(([key, name]) => <a key={key} href={hrefHere({ tab: key === first ? null : key })} aria-current={current === key ? "page" : undefined}>{name}</a>)}
    </nav>
  );
}
