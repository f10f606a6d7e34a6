import { describe, expect, it } from "vitest";
import { buildTree } from "../../src/domain/tracetree";
import { comparedCall, isUnusual, mostUnusual, usualKey, usualQueries, type Usual } from "../../src/domain/usual";
import { span } from "./build";

const get = (resource: string, more = {}) => ({ operation: "GET", resource, ...more });
/** web calls shop, which calls stock: shop waits for stock all the time, and stock is slow. */
const tree = buildTree([
  span("1", null, 0, 1000, { service: "web", ...get("/") }),
  span("2", "1", 10, 990, { service: "web", kind: "client", peer: "shop", ...get("/buy") }),
  span("3", "2", 20, 980, { service: "shop", ...get("/buy") }),
  span("4", "3", 30, 970, { service: "shop", kind: "client", peer: "10.0.0.1:80", ...get("/left") }),
]);
const known = (requests = 100): Map<string, Usual> => new Map([
  [usualKey("server", { service: "web", ...get("/") }), { median: 100, requests }],
  [usualKey("client", { service: "web", peer: "shop", ...get("/buy") }), { median: 80, requests }],
  [usualKey("client", { service: "shop", peer: "", ...get("/left") }), { median: 10, requests }],
]);
const [root] = tree.roots;
const buy = root?.children[0];

describe("what is usual for the calls of a trace", () => {
  it("is asked for in one question for all services that serve or call", () => {
    const queries = usualQueries(tree, "3600s");
    expect(queries?.medians).toContain('service=~"shop|web",side="server"');
    expect(queries?.medians).toContain("sum by (side, service, peer, operation, resource)");
    expect(queries?.requests).toContain("increase(limpid_request_duration_seconds_count");
    expect(usualQueries(buildTree([span("1", null, 0, 1)]), "1h")).toBeNull();
  });
  it("is compared as the caller saw it where it did, and by name only where the name is known", () => {
    expect(buy && comparedCall(buy, known())).toMatchObject({ side: "client", own: 980, usual: 80 });
    expect(root && comparedCall(root, known())).toMatchObject({ side: "server", own: 1000, usual: 100 });
    const left = buy?.children[0];
    expect(left && comparedCall(left, known())).toMatchObject({ usual: 10 });
  });
  it("is not said of a few requests", () => {
    expect(buy && comparedCall(buy, known(3))).toBeNull();
    expect(mostUnusual(tree, known(3))).toBeNull();
  });
  it("finds the call that the others wait for, not the one that only waits", () => {
    expect(mostUnusual(tree, known())?.call.id).toBe("4");
  });
  it("needs twice the time, and enough of it to be noticed", () => {
    const one = (own: number, usual: number) => ({ own, usual, requests: 100, side: "server" as const });
    expect(isUnusual(one(150, 100), 200)).toBe(false);
    expect(isUnusual(one(4, 1), 1000)).toBe(false);
    expect(isUnusual(one(400, 100), 1000)).toBe(true);
    expect(isUnusual(null, 1000)).toBe(false);
  });
});
