// The pages, in the order of the bar. A page is a file and a line here; what a line says (name, path, key) is what the
// bar, the jump box and the list of keys show.
import type { FunctionComponent } from "preact";
import { ExternalPage } from "./external";
import { HostPage } from "./host";
import { MapPage } from "./map";
import { ProcessPage } from "./process";
import { ServicePage } from "./service";
import { ServicesPage } from "./services";
import { StatusPage } from "./status";
import { TracePage } from "./trace";
import { TracesPage } from "./traces";

export interface Page {
  name: string;
  path: string;
  key: string;
  component: FunctionComponent;
  /** Pages below it, by the beginning of their path. */
  below?: Below[];
}

interface Below {
  prefix: string;
  component: FunctionComponent;
}

/** One page for each kind of thing. */
const THINGS: Below[] = [
  { prefix: "/service/", component: ServicePage },
  { prefix: "/process/", component: ProcessPage },
  { prefix: "/host/", component: HostPage },
  { prefix: "/external/", component: ExternalPage },
];

const PAGES: Page[] = [
  { name: "Map", path: "/map", key: "m", component: MapPage },
  { name: "Services", path: "/services", key: "s", component: ServicesPage, below: THINGS },
  { name: "Traces", path: "/traces", key: "t", component: TracesPage, below: [{ prefix: "/trace/", component: TracePage }] },
  { name: "Status", path: "/status", key: "u", component: StatusPage },
];

/** A function, since the pages' own modules lead back here. */
export const pages = (): Page[] => PAGES;

const belowOf = (page: Page, path: string): Below | undefined => page.below?.find((one) => path.startsWith(one.prefix));

export function pageOf(path: string): Page | undefined {
  if (path === "/") return PAGES[0];
  return PAGES.find((page) => page.path === path || belowOf(page, path));
}

export function componentOf(path: string): FunctionComponent | undefined {
  const page = pageOf(path);
  return page && (belowOf(page, path)?.component ?? page.component);
}
