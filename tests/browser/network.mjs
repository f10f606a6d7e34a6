// What the network does to calls, as the map tells it: connects to a port where nobody listens, and the TCP of an edge.
//
//   node network.mjs DEMO NODE_MODULES [FOLDER]      DEMO is a server whose agent watches this machine and the demo
import { strict as assert } from "node:assert";
import { connect } from "node:net";
import { harness, until } from "./harness.mjs";

const [demo, modules, shots] = process.argv.slice(2);
const { check, open, shot, inspect, end } = await harness(modules, shots);
const CLOSED = 17199;
const panelOf = (page) => page.getByRole("complementary");
const edges = async () => (await (await fetch(`${demo}/api/topology?start=${Date.now() / 1000 - 300}&end=${Date.now() / 1000}`)).json()).edges;
const refusedOnce = () => new Promise((resolve) => connect(CLOSED, "127.0.0.1").on("error", (error) => resolve(error.code)));

let refused;
await check("connects to a port where nobody listens are an edge with their error", async () => {
  assert.equal(await refusedOnce(), "ECONNREFUSED");
  for (let at = 0; at < 6; at += 1) await refusedOnce();
  refused = await until("the edge of the connects", async () => (await edges()).find((one) => one.target.endsWith(`:${CLOSED}`) && one.failed_connects.ECONNREFUSED >= 7), 120);
  assert.equal(refused.status, "critical");
  assert.match(refused.reasons[0].text, /^\d+ connects refused/);
});

for (const scheme of ["light", "dark"]) {
  await check(`the question for failed connects leads to them, and the panel says what they ended with, ${scheme}`, async () => {
    const page = await open(`${demo}/map?last=5m`, scheme);
    const question = page.getByRole("link", { name: /^Connects refused or failed/ });
    await question.waitFor({ timeout: 60_000 });
    await until("the question to be counted", async () => /[1-9]/.test(await question.textContent()), 60);
    await question.click();
    await page.waitForURL(/q=is:refused/);
    await shot(page, `network-refused-${scheme}`);
    await page.goto(`${demo}/map?last=5m&sel=${encodeURIComponent(`edge:${refused.source}>${refused.target}:tcp`)}`);
    const panel = panelOf(page);
    await panel.getByRole("heading", { name: /cannot connect to/ }).waitFor({ timeout: 60_000 });
    await panel.getByText("ECONNREFUSED").waitFor();
    await panel.getByText("nobody listens there").waitFor();
    await inspect(page);
    await shot(page, `network-nobody-${scheme}`);
    await panel.getByRole("link", { name: "Traces with failed connects" }).click();
    await page.waitForURL(/\/traces\?.*protocol:tcp/);
    await page.close();
  });
}

await check("the panel of an edge says what TCP did, as both sides saw it", async () => {
  const busy = (await edges()).filter((one) => one.protocol === "http" && one.client && one.server).sort((a, b) => b.requests - a.requests)[0];
  const page = await open(`${demo}/map?last=5m&sel=${encodeURIComponent(`edge:${busy.source}>${busy.target}:http`)}`, "light", 1440, 1400);
  const table = panelOf(page).getByRole("table").filter({ hasText: "round trip p50" });
  await table.waitFor({ timeout: 60_000 });
  const cells = await table.getByRole("row").filter({ hasText: "round trip p95" }).getByRole("cell").allTextContents();
  assert.match(cells[1], /^[\d.]+\s(µs|ms|s)$/, `the caller's round trip: ${cells}`);
  const sent = await table.getByRole("row").filter({ hasText: "bytes sent" }).getByRole("cell").allTextContents();
  assert.match(sent[1], /[1-9].*B$/, `what the caller sent: ${sent}`);
  await inspect(page);
  await shot(page, "network-tcp-light");
  await page.close();
});

await end();
