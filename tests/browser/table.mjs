// The map's table with hundreds of rows: its order by pointer and keyboard and in the link, and rows that are not drawn.
//
//   node table.mjs CLUSTER NODE_MODULES [FOLDER]      CLUSTER is a server with hundreds of services (benches/topology.py)
import { strict as assert } from "node:assert";
import { harness, until } from "./harness.mjs";

const [cluster, modules, shots, range = "last=30m"] = process.argv.slice(2);
const { check, open: openAt, shot, inspect, end } = await harness(modules, shots);
const open = async (more = "", scheme = "light") => {
  const page = await openAt(`${cluster}/map?${range}&view=table${more}`, scheme);
  await page.getByRole("table", { name: "Edges" }).waitFor({ timeout: 60_000 });
  return page;
};
const edges = (page) => page.getByRole("table", { name: "Edges" });
/** What the rows that are drawn say in one column, as numbers where they are. */
const cells = (page, column) => edges(page).evaluate((table, name) => {
  const at = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent.trim().startsWith(name));
  return [...table.tBodies[0].rows].filter((row) => row.classList.contains("a")).map((row) => row.cells[at].textContent.trim());
}, column);
const sorted = (values, order) => values.every((value, at) => at === 0 || order(values[at - 1], value) <= 0);
const milliseconds = (text) => Number.parseFloat(text) * (/µs/.test(text) ? 0.001 : /ms/.test(text) ? 1 : 1000);

await check("few of many rows are drawn, and all are counted for a screen reader", async () => {
  const page = await open();
  const all = Number(await edges(page).getAttribute("aria-rowcount"));
  assert.ok(all > 500, `${all} rows`);
  const drawn = await edges(page).locator("tbody tr.a").count();
  assert.ok(drawn < 150, `${drawn} rows are drawn`);
  assert.equal(await edges(page).locator("thead tr").getAttribute("aria-rowindex"), "1");
  await page.getByRole("link", { name: "to the edges" }).click();
  const last = () => edges(page).locator("tbody tr.a").last().getAttribute("aria-rowindex");
  await page.getByRole("region", { name: "Nodes and edges" }).evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await until("the last row", async () => Number(await last()) === all, 10);
  await inspect(page);
  await page.close();
});

await check("the table is sorted by keyboard and by pointer, and the order stands in the link", async () => {
  const page = await open();
  const head = edges(page).getByRole("columnheader", { name: "server's p95" });
  await head.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/edges=-server/);
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  const down = (await cells(page, "server's p95")).map(milliseconds);
  assert.ok(down.length > 20 && sorted(down, (a, b) => b - a), `not in order: ${down.slice(0, 10)}`);
  assert.equal(await page.evaluate(() => document.activeElement?.textContent?.includes("server's p95")), true);
  await page.keyboard.press("Enter");
  await page.waitForURL(/edges=server/);
  assert.ok(sorted((await cells(page, "server's p95")).map(milliseconds), (a, b) => a - b));
  await edges(page).getByRole("columnheader", { name: "Callee" }).getByRole("button").click();
  await page.waitForURL(/edges=target/);
  await page.reload();
  await edges(page).waitFor();
  assert.equal(await edges(page).getByRole("columnheader", { name: "Callee" }).getAttribute("aria-sort"), "ascending");
  const names = await cells(page, "Callee");
  assert.ok(sorted(names, new Intl.Collator().compare), `not in order: ${names.slice(0, 10)}`);
  await shot(page, "table-light");
  await page.close();
});

await check("the row with the focus is still there after scrolling away and back", async () => {
  const page = await open("", "dark");
  const link = edges(page).locator("tbody tr.a a").first();
  const name = await link.textContent();
  await link.focus();
  const box = page.getByRole("region", { name: "Nodes and edges" });
  await box.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await until("other rows", async () => Number(await edges(page).locator("tbody tr.a").last().getAttribute("aria-rowindex")) > 500, 10);
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), name);
  await page.keyboard.press("Enter");
  await page.waitForURL(/sel=edge/);
  await page.close();
});

await end();
