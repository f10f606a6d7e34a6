// Takes every page in light and dark: pages.mjs BASE NODE_MODULES FOLDER
import { strict as assert } from "node:assert";
import { harness, until } from "./harness.mjs";

const [base, modules, folder] = process.argv.slice(2);
const { open, shot, end } = await harness(modules, folder);
const json = async (path) => (await fetch(base + path)).json();
const found = (what, one) => assert.ok(one, `the demo shows ${what}`) ?? one;
const service = (name) => `/service/default/${name}?last=5m`;
const processes = await json("/api/topology?level=process&last=5m");
const catalog = found("a process", processes.nodes.find((one) => one.id.startsWith("process:") && /catalog/.test(one.name)));
const hosts = await json("/api/topology?level=host&last=5m");
const host = found("a host", hosts.nodes.find((one) => one.id.startsWith("host:")));
const at = (id) => `/${id.slice(0, id.indexOf(":"))}/${encodeURIComponent(id.slice(id.indexOf(":") + 1))}?last=5m`;
const traces = await json("/api/traces?last=5m&limit=50&status=error");
const rows = traces.traces ?? traces.items ?? traces;
const trace = [...rows].sort((a, b) => (b.spans ?? b.span_count ?? 0) - (a.spans ?? a.span_count ?? 0))[0];

const PAGES = {
  map: "/map?last=5m",
  "map-edge": "/map?last=5m&sel=edge:service:default/checkout%3Eservice:default/postgres:postgresql",
  "map-groups": "/map?last=5m&group=language",
  "map-table": "/map?last=5m&view=table",
  services: "/services?last=5m",
  service: service("catalog"),
  traces: "/traces?last=5m",
  trace: `/trace/${trace.trace_id ?? trace.id}?last=5m`,
  process: at(catalog.id),
  host: at(host.id),
  status: "/status?last=5m",
};

for (const [name, path] of Object.entries(PAGES)) {
  for (const scheme of ["light", "dark"]) {
    const page = await open(base + path, scheme);
    await until(`${name} to be there`, () => page.evaluate(() => document.querySelector("main")?.textContent.length > 200), 30);
    await page.waitForTimeout(2500);
    await shot(page, `${name}-${scheme}`);
    await page.close();
  }
}
await end();
