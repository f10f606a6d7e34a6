// What moves on the map and what does not: tidy, levels and groups move nodes to their new places, once and for a short
// while; with reduced motion they jump; and nothing goes on once all has arrived.
//
//   node motion.mjs SMALL CLUSTER NODE_MODULES [RANGES]   SMALL is the server that compare.mjs has told of its shop
import { strict as assert } from "node:assert";
import { harness, until } from "./harness.mjs";

const [small, cluster, modules, smallRange = "last=1h", clusterRange = "last=30m"] = process.argv.slice(2);
const { check, open: openAt, end } = await harness(modules);
const node = (page, name) => page.locator(`g.node[data-node="service:default/${name}"]`);

/** From now on what is set in motion is noted: which node, from where, to where, for how long. */
const note = (page) =>
  page.evaluate(() => {
    globalThis.moved = [];
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (frames, times) {
      const id = this.getAttribute("data-node");
      if (id && frames[0].transform) globalThis.moved.push({ id, from: frames[0].transform, to: frames[1].transform, ms: times.duration });
      return animate.call(this, frames, times);
    };
  });
const moved = (page) => page.evaluate(() => globalThis.moved.splice(0));
const rests = (page) => until("all to rest", () => page.evaluate(() => document.getAnimations().length === 0), 10);

async function opened(more = "") {
  const page = await openAt(`${small}/map?${smallRange}${more}`);
  await node(page, "cart").waitFor({ timeout: 20_000 });
  await note(page);
  return page;
}

async function dragAndTidy(page) {
  const box = await node(page, "cart").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2 + 40, { steps: 4 });
  await page.mouse.up();
  assert.deepEqual(await moved(page), [], "a node that is dragged follows the hand and nothing else");
  await page.keyboard.press("Shift+T");
  await page.getByRole("button", { name: "Undo tidy" }).waitFor({ timeout: 20_000 });
}

await check("tidy moves what stands elsewhere, and then all is at rest", async () => {
  const page = await opened("&group=none");
  await dragAndTidy(page);
  const [one] = (await moved(page)).filter((move) => move.id.endsWith("/cart"));
  assert.ok(one && one.from !== one.to && one.ms === 250, JSON.stringify(one));
  await rests(page);
  const place = await node(page, "cart").getAttribute("transform");
  assert.equal(one.to.replace(/px/g, ""), place.replace(" ", ", "), "it has not arrived where it stands");
  await page.close();
});

await check("a group that opens lets its members out, and takes them in again", async () => {
  const page = await opened("&group=host");
  const group = page.locator('[data-node="group:host:shop-1"]');
  await page.locator("g.frame").waitFor();
  await page.goto(`${small}/map?${smallRange}&group=host&sel=node:group:host:shop-1`);
  await page.locator("g.frame").waitFor();
  await note(page);
  await page.keyboard.press("o");
  await page.locator('g.node[data-node="group:host:shop-1"]').waitFor();
  await rests(page);
  await moved(page);
  await page.keyboard.press("o");
  await node(page, "cart").waitFor();
  const out = (await moved(page)).filter((move) => move.id.startsWith("service:"));
  assert.ok(out.length >= 3 && new Set(out.map((move) => move.from)).size === 1, `not out of one place: ${JSON.stringify(out)}`);
  assert.ok(await group.count());
  await rests(page);
  await page.close();
});

await check("with reduced motion nothing moves", async () => {
  const page = await opened("&group=none");
  await page.emulateMedia({ reducedMotion: "reduce" });
  await dragAndTidy(page);
  assert.deepEqual(await moved(page), []);
  await page.close();
});

await check("a large map is drawn to its end and then no more", async () => {
  const page = await openAt(`${cluster}/map?${clusterRange}&group=none`);
  await page.waitForSelector("canvas[data-painted]", { timeout: 60_000 });
  await page.getByRole("button", { name: "Tidy" }).click();
  await page.getByRole("button", { name: "Undo tidy" }).waitFor({ timeout: 60_000 });
  const painted = () => page.locator("canvas.m").getAttribute("data-painted");
  let last = "";
  await until("no more drawing", async () => {
    const now = await painted();
    const same = now === last;
    last = now;
    return same;
  }, 20);
  const before = await painted();
  await page.waitForTimeout(1500);
  // A live map is drawn again when new data arrive, which is seldomer than every frame.
  assert.ok(Number(await painted()) - Number(before) <= 2, `drawn ${Number(await painted()) - Number(before)} times at rest`);
  await page.close();
});

await end();
