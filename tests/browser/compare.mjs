// Against yesterday: a shop of which it is told what it was a day ago, and what it is now.
//
//   node compare.mjs SERVER OTLP NODE_MODULES [FOLDER]      a server without data, and where it takes OTLP over HTTP
import { strict as assert } from "node:assert";
import { harness, until } from "./harness.mjs";
import { requests } from "./otlp.mjs";

const [base, otlp, modules, shots] = process.argv.slice(2);
const { check, open, shot, inspect, end } = await harness(modules, shots);
const call = (source, target, rate, ms, more = {}) => ({ source, target, rate, ms, ...more });
const SAME = [call("web", "cart", 20, 5), call("cart", "prices", 20, 2)];
const THEN = [...SAME, call("web", "checkout", 4, 90), call("web", "legacy", 3, 50), call("web", "catalog", 15, 40)];
const NOW = [...SAME, call("web", "checkout", 3, 900, { failing: 1 }), call("web", "recommend", 10, 20), call("web", "catalog", 30, 40)];
const DAY = 86_400;
const until_s = Math.floor(Date.now() / 60_000) * 60;

const send = async (calls, from, to) => {
  const answer = await fetch(`${otlp}/v1/metrics`, { method: "POST", headers: { "content-type": "application/x-protobuf" }, body: requests(calls, from, to) });
  assert.equal(answer.status, 200, await answer.text());
};
await until("a server that takes OTLP", () => send(THEN, until_s - DAY - 2400, until_s - DAY).then(() => true), 30);
await send(NOW, until_s - 2400, until_s);

const RANGE = `start=${until_s - 1800}&end=${until_s}`;
const node = (page, name) => page.locator(`[data-node="service:default/${name}"][role="button"]`);
const label = (page, name) => node(page, name).getAttribute("aria-label");

for (const scheme of ["light", "dark"]) {
  await check(`the map against yesterday says what is new, gone, slower and the same, ${scheme}`, async () => {
    const page = await open(`${base}/map?${RANGE}&group=none`, scheme);
    await node(page, "cart").waitFor({ timeout: 20_000 });
    assert.equal(await node(page, "legacy").count(), 0);
    await page.keyboard.press("c");
    await page.waitForURL(/vs=1d/);
    await node(page, "legacy").waitFor({ timeout: 20_000 });
    assert.match(await label(page, "legacy"), /^legacy gone was 3\/s/);
    assert.match(await label(page, "recommend"), /^recommend new/);
    assert.match(await label(page, "checkout"), /failed 0 → 25/);
    assert.match(await label(page, "catalog"), /rate ↑ 2×/);
    assert.equal(await node(page, "cart").getAttribute("opacity"), "0.5");
    assert.equal(await node(page, "catalog").getAttribute("opacity"), null);
    const panel = page.getByRole("complementary");
    await panel.getByRole("heading", { name: "Against yesterday" }).waitFor();
    await panel.getByRole("link", { name: /^web → legacy gone/ }).waitFor();
    await inspect(page);
    await shot(page, `compare-map-${scheme}`);
    await panel.getByRole("link", { name: /^checkout failed 0 →/ }).click();
    await page.waitForURL(/sel=node:service:default\/checkout/);
    const row = panel.getByRole("table").filter({ hasText: "then" }).getByRole("row", { name: /p95/ });
    assert.match(await row.textContent(), /↑/);
    await inspect(page);
    await shot(page, `compare-node-${scheme}`);
    await page.keyboard.press("c");
    await until("no comparison", async () => !page.url().includes("vs="), 5);
    await node(page, "legacy").waitFor({ state: "detached", timeout: 10_000 });
    await page.close();
  });
}

await check("the link says what is compared with, also a moment of one's own, and the service page has the same", async () => {
  const page = await open(`${base}/map?${RANGE}&vs=1d&group=none&tz=utc`);
  await node(page, "legacy").waitFor({ timeout: 20_000 });
  const button = page.getByRole("button", { name: "Against yesterday" });
  await button.click();
  const moment = new Date((until_s - 600) * 1000).toISOString().slice(11, 16);
  const field = page.getByRole("textbox", { name: "before" });
  await field.fill("nonsense");
  assert.equal(await page.getByRole("button", { name: "Compare", exact: true }).isDisabled(), true);
  await field.fill(moment);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("vs") === `${until_s - 1200},${until_s - 600}`);
  await node(page, "legacy").waitFor({ state: "detached", timeout: 20_000 });
  await page.goBack();
  await node(page, "legacy").waitFor({ timeout: 20_000 });
  await page.goto(`${base}/service/default/checkout?${RANGE}&vs=1d`);
  await page.getByRole("complementary").getByText("against yesterday").waitFor({ timeout: 20_000 });
  await page.close();
});

await check("of a time without data that is said, and the map stays as it is", async () => {
  const page = await open(`${base}/map?${RANGE}&vs=7d&group=none`);
  await page.getByText(/^Nothing is known of the map in .*, a week before\. Data go back to/).waitFor({ timeout: 20_000 });
  await node(page, "cart").waitFor();
  assert.equal(await node(page, "cart").getAttribute("opacity"), null);
  await inspect(page);
  await page.getByRole("link", { name: "Stop comparing" }).click();
  await until("no comparison", async () => !page.url().includes("vs="), 5);
  await page.close();
});

await end();
