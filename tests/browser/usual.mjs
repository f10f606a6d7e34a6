// A trace beside what is usual: which of its calls took longer than such calls do, from the figures of all requests.
//
//   node usual.mjs SERVER OTLP NODE_MODULES [FOLDER]      a server, and where it takes OTLP over HTTP
import { strict as assert } from "node:assert";
import { harness, until } from "./harness.mjs";
import { message, requests } from "./otlp.mjs";

const [base, otlp, modules, shots] = process.argv.slice(2);
const { check, open, shot, inspect, end } = await harness(modules, shots);
const ID = "5b8aa5a2d2c872e8321cf37308d69df2";
const now = Math.floor(Date.now() / 60_000) * 60;

const send = async (path, body) => {
  const answer = await fetch(`${otlp}/v1/${path}`, { method: "POST", headers: { "content-type": "application/x-protobuf" }, body });
  assert.equal(answer.status, 200, await answer.text());
};
// Usually /buy takes 100 ms and /left of the stock 20 ms; /rare was asked for a handful of times.
const call = (source, target, resource, rate, ms) => ({ source, target, resource, rate, ms });
await until("a server that takes OTLP", () => send("metrics", requests([call("till", "depot", "/buy", 5, 100), call("depot", "shelf", "/left", 5, 20), call("depot", "ledger", "/rare", 0.002, 20)], now - 2400, now)).then(() => true), 30);
const start = BigInt(now - 120) * 1_000_000_000n;
const at = (ms) => start + BigInt(ms) * 1_000_000n;
const get = (resource, peer) => ({ "limpid.protocol": "http", "limpid.operation": "GET", "limpid.resource": resource, ...(peer && { "limpid.peer": peer }) });
const span = (id, parent, kind, resource, from, to, peer) => ({ id, parent, name: `GET ${resource}`, kind, start_ns: at(from), end_ns: at(to), attributes: get(resource, peer) });
await send("traces", Buffer.concat([
  message(ID, "till", [span(1, 0, "client", "/buy", 0, 900, "depot")]),
  message(ID, "depot", [span(2, 1, "server", "/buy", 10, 890), span(3, 2, "client", "/left", 20, 820, "shelf"), span(4, 2, "client", "/rare", 830, 860, "ledger")]),
]));

const rowOf = (page, name) => page.getByRole("row").filter({ hasText: name });
const usualOf = (page, name) => rowOf(page, name).getByRole("gridcell").last().textContent();

for (const scheme of ["light", "dark"]) {
  await check(`each call stands beside its median, and the one that is unusual is named, ${scheme}`, async () => {
    const page = await open(`${base}/trace/${ID}`, scheme);
    await page.getByRole("columnheader", { name: "usually" }).waitFor({ timeout: 20_000 });
    assert.match(await usualOf(page, "GET /left"), /^(19|2\d)\sms [34]\d×$/);
    assert.match(await usualOf(page, "GET /buy"), /ms [89](\.\d)?×$/);
    assert.equal((await usualOf(page, "GET /rare")).trim(), "–");
    const said = page.getByRole("link", { name: "shelf GET /left" });
    await said.click();
    await page.waitForURL(/span=/);
    const table = page.getByRole("complementary").getByRole("table").filter({ hasText: "usually" });
    assert.match(await table.getByRole("row", { name: /client waits/ }).textContent(), /800\sms.*[34]\d×/);
    await inspect(page);
    await shot(page, `trace-usual-${scheme}`);
    await page.getByRole("button", { name: "Usual" }).click();
    await page.waitForURL(/usual=off/);
    await page.getByRole("columnheader", { name: "usually" }).waitFor({ state: "detached" });
    await page.close();
  });
}

await check("on a narrow window the trace still fits", async () => {
  const page = await open(`${base}/trace/${ID}`, "light", 390, 800);
  await page.getByText(/^Unusual:|Unusual:/).first().waitFor({ timeout: 20_000 });
  await inspect(page);
  await page.close();
});

await end();
