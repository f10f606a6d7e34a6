import { describe, expect, it } from "vitest";
import { between, bytes, clock, count, milliseconds, plural, rate, secondsOf, share, shorten, span, zone } from "../../src/domain/format";

const plain = (text: string) => text.replace(/\u2009/g, " ");
const check = (write: (value: number | null) => string, cases: [number | null, string][]) => {
  for (const [value, expected] of cases) expect(plain(write(value)), String(value)).toBe(expected);
};

describe("numbers", () => {
  it("puts words of one and of many beside a number", () => {
    expect([plural(1, "process"), plural(2, "process"), plural(0, "edge"), plural(3, "more", "more")]).toEqual(["1 process", "2 processes", "0 edges", "3 more"]);
  });
  it("says durations in three significant digits with their unit", () => {
    check(milliseconds, [[0.31, "0.31 ms"], [0.2, "0.2 ms"], [4.1, "4.1 ms"], [46.4, "46 ms"], [186.3, "186 ms"], [999.6, "1.00 s"], [1960, "1.96 s"], [12_340, "12.3 s"], [59_960, "1 min"], [125_000, "2 min 5 s"], [0.042, "42 µs"], [0, "0 ms"], [null, "–"]]);
  });
  it("never turns a small share into 0.00 %", () => {
    check(share, [[0.184, "18.4 %"], [0.0011, "0.1 %"], [0.00004, "< 0.01 %"], [0, "0"], [1, "100 %"], [0.9999, "99.9 %"], [null, "–"]]);
  });
  it("says rates per second", () => {
    check(rate, [[38.2, "38.2/s"], [1150, "1 150/s"], [12_400, "12.4 k/s"], [0.02, "0.02/s"], [0.001, "< 0.01/s"], [0, "0/s"], [null, "–"]]);
  });
  it("keeps thousands apart and knows missing from zero", () => {
    check(count, [[1155604, "1 155 604"], [0, "0"], [null, "–"], [Number.NaN, "–"]]);
    check(bytes, [[64 * 1024 * 1024, "64 MiB"], [512, "512 B"], [6.1 * 1024 ** 3, "6.1 GiB"], [null, "–"]]);
    check(span, [[59, "59 s"], [3600 * 76, "3 d 4 h"], [60, "1 min"]]);
  });
});

describe("time", () => {
  it("reads nanoseconds without losing milliseconds", () => {
    expect(secondsOf("1763388552204123456")).toBeCloseTo(1763388552.204123, 5);
    expect(secondsOf("5")).toBeCloseTo(5e-9, 12);
    for (const bad of ["", "-1", "1e9", "abc", null, undefined]) expect(secondsOf(bad)).toBeNull();
  });
  it("writes clock, range and zone in UTC", () => {
    expect(clock(1763388552.204, true, "milliseconds")).toBe("14:09:12.204");
    expect(between(1763388540, 1763390340, true)).toBe("14:09 – 14:39");
    expect(between(1763300000, 1763390340, true)).toContain("Sun 16 Nov");
    expect(zone(0, true)).toBe("UTC");
  });
});

it("shortens names in the middle", () => {
  expect(shorten("api.stripe.example", 10)).toHaveLength(10);
  expect(shorten("api.stripe.example", 10)).toMatch(/^api.*…/);
  expect(shorten("cart", 10)).toBe("cart");
});
