// The map beyond the first look: groups, filters in the link, time that is dragged and played, and a cluster of hundreds
// of services on a canvas.
//
//   node map.mjs DEMO CLUSTER NODE_MODULES [FOLDER]      CLUSTER is a server that knows benches/topology.py's services
import { strict as assert } from "node:assert";
import { harness, until } from "./harness.mjs";

const [demo, cluster, modules, shots] = process.argv.slice(2);
const { check, open, shot, inspect, end } = await harness(modules, shots);
const button = (page, name) => page.getByRole("button", { name }).first();
const places = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll("g.node[data-node]")].map((one) => [one.getAttribute("data-node"), one.getAttribute("transform")])));
const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");

await check("the demo is seen", () =>
  until("calls between its services", async () => {
    const map = await (await fetch(`${demo}/api/topology`)).json();
    return map.edges.filter((edge) => edge.requests > 0).length >= 8;
  }),
);

await check("a group opens and collapses, its calls are one edge, and the link keeps it", async () => {
  const page = await open(`${demo}/map?last=5m&group=language`);
  await button(page, /^go .*group of \d/).click({ timeout: 60_000 });
  const panel = page.getByRole("complementary");
  await panel.getByRole("heading", { name: "Members" }).waitFor();
  await panel.getByRole("link", { name: "cart" }).waitFor();
  await panel.getByRole("heading", { name: "Calls from outside" }).waitFor();
  await shot(page, "map-groups-light");
  await panel.getByRole("button", { name: "Open" }).click();
  await page.waitForURL(/open=[^&]*go/);
  await button(page, /^cart\b/).waitFor();
  await until("all to rest", () => page.evaluate(() => document.getAnimations().length === 0), 10);
  const inside = await page.evaluate(() => {
    const frame = document.querySelector('g.frame[data-node="group:language:go"] rect').getBoundingClientRect();
    const cart = document.querySelector('g.node[data-node="service:default/cart"] .pl').getBoundingClientRect();
    return cart.left >= frame.left && cart.right <= frame.right && cart.top >= frame.top && cart.bottom <= frame.bottom;
  });
  assert.ok(inside, "the member stands in its group's frame");
  await shot(page, "map-group-open-light");
  await page.reload();
  await button(page, /^cart\b/).waitFor({ timeout: 20_000 });
  await page.goBack();
  await button(page, /^go .*group of \d/).waitFor();
  await inspect(page);
  await page.close();
});

await check("what a filter dims is a chip with its count, and goes with it", async () => {
  const page = await open(`${demo}/map?last=5m&q=lang:go%20-status:ok`);
  const chips = page.locator(".chips .chip");
  await until("two chips", async () => (await chips.count()) === 2, 30);
  assert.match(await chips.first().textContent(), /^lang:go [1-9]/);
  await inspect(page);
  await page.getByRole("button", { name: "Remove -status:ok" }).click();
  await page.waitForURL(/q=lang:go$/);
  await page.getByRole("button", { name: "Remove lang:go" }).click();
  await until("no chip", async () => (await chips.count()) === 0, 5);
  assert.ok(!page.url().includes("q="));
  await page.close();
});

await check("the range dragged along the ribbon replays on fixed positions, and is one entry of the history", async () => {
  const page = await open(`${demo}/map?last=5m`);
  await button(page, /^web\b/).waitFor({ timeout: 60_000 });
  const before = await places(page);
  const entries = await page.evaluate(() => history.length);
  const slider = page.getByRole("slider", { name: "Selected time" });
  const box = await slider.boundingBox();
  const [from, to] = await page.evaluate(() => {
    const selected = document.querySelector('[aria-label="Selected time"] rect');
    return [Number(selected.getAttribute("x")), Number(selected.getAttribute("width"))];
  });
  await page.mouse.move(box.x + from + to / 2, box.y + 20);
  await page.mouse.down();
  for (let step = 1; step <= 10; step += 1) {
    await page.mouse.move(box.x + from + to / 2 - step * 3, box.y + 20);
    await page.waitForTimeout(60);
  }
  assert.match(page.url(), /start=\d+&end=\d+|end=\d+&start=\d+/, "the address follows the drag");
  await page.mouse.up();
  await page.waitForTimeout(1500);
  assert.equal(await page.evaluate(() => history.length), entries + 1, "one entry for all steps");
  const after = await places(page);
  const moved = Object.keys(after).filter((id) => before[id] && before[id] !== after[id]);
  assert.deepEqual(moved, [], "nothing has moved");
  await page.goBack();
  await page.waitForURL(/last=5m/);
  await page.getByRole("button", { name: "Live", exact: true }).waitFor();
  await page.close();
});

await check("Space plays the last hours, and stops", async () => {
  const page = await open(`${demo}/map?last=5m`);
  await button(page, /^web\b/).waitFor({ timeout: 60_000 });
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Stop", exact: true }).waitFor();
  await page.waitForURL(/start=/);
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Play", exact: true }).waitFor();
  await page.close();
});

await check("levels 1 2 3, tidy and its undo, and a node that is dragged stays there", async () => {
  const page = await open(`${demo}/map?last=5m`);
  await button(page, /^cart\b/).waitFor({ timeout: 60_000 });
  const cart = page.locator('g.node[data-node="service:default/cart"]');
  const was = await cart.getAttribute("transform");
  const box = await cart.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 30, box.y + box.height / 2 + 14, { steps: 4 });
  await page.mouse.up();
  await until("the node has moved", async () => (await cart.getAttribute("transform")) !== was, 5);
  await page.keyboard.press("1");
  await until("the map of hosts", () => page.url().includes("level=host"), 10);
  await page.keyboard.press("2");
  await until("the map of services", () => !page.url().includes("level="), 10);
  await cart.waitFor();
  await page.keyboard.press("Shift+T");
  await page.getByRole("button", { name: "Undo tidy" }).click({ timeout: 20_000 });
  await page.getByRole("button", { name: "Undo tidy" }).waitFor({ state: "detached" });
  await page.close();
});

await check("hundreds of services are drawn, told apart, and reached by pointer and keyboard", async () => {
  const page = await open(`${cluster}/map?group=none`);
  await page.waitForSelector("canvas[data-painted]", { timeout: 60_000 });
  const drawn = await page.evaluate(() => {
    const seen = document.querySelector("canvas.m");
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [seen.width, seen.height];
    const pen = copy.getContext("2d");
    pen.drawImage(seen, 0, 0);
    const { data } = pen.getImageData(0, 0, copy.width, copy.height);
    let some = 0;
    for (let at = 3; at < data.length; at += 4) if (data[at] > 0) some += 1;
    return some;
  });
  assert.ok(drawn > 2000, `only ${drawn} pixels are drawn`);
  await shot(page, "map-large-light");
  const [bad] = await page.getByRole("button", { name: /critical/ }).all();
  const box = await bad.boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await page.waitForURL(/sel=node/);
  await page.getByRole("complementary").getByRole("heading", { name: "Callers" }).waitFor();
  await bad.focus();
  const first = await focused(page);
  await page.keyboard.press("ArrowUp");
  await until("a caller with the focus", async () => (await focused(page)) !== first && (await focused(page)) !== "", 10);
  const painted = Number(await page.locator("canvas.m").getAttribute("data-painted"));
  await page.mouse.move(500, 500);
  for (let step = 0; step < 12; step += 1) await page.mouse.wheel(0, -200);
  await until("drawn anew", async () => Number(await page.locator("canvas.m").getAttribute("data-painted")) > painted, 10);
  await page.getByRole("group", { name: "Overview" }).locator("svg").waitFor();
  await shot(page, "map-large-near-light");
  await inspect(page);
  await page.close();
});

await check("a large map is grouped by itself, and a group of it opens", async () => {
  const page = await open(`${cluster}/map`, "dark");
  await button(page, /^shop-\d+\b.*group of \d+/).waitFor({ timeout: 60_000 });
  await shot(page, "map-large-groups-dark");
  const group = button(page, /^shop-\d+\b.*group of \d+/);
  await group.focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/sel=node:group:host:shop-/);
  await page.keyboard.press("o");
  await page.waitForURL(/open=/);
  await page.locator("g.frame").first().waitFor();
  await inspect(page);
  await page.close();
});

for (const [width, height] of [[1100, 800], [390, 800]]) {
  await check(`the map at ${width} pixels, grouped and filtered`, async () => {
    const page = await open(`${demo}/map?last=5m&group=language&q=lang:go`, "light", width, height);
    await button(page, /^go\b/).waitFor({ timeout: 60_000 });
    await inspect(page);
    await shot(page, `map-groups-${width}`);
    await page.close();
  });
}

await end();
