import { describe, expect, it } from "vitest";
import { parseSort, sortedBy, sortText } from "../../src/domain/sort";

describe("the order of a table", () => {
  const rows = [{ id: "b", at: 2 }, { id: "a", at: 2 }, { id: "c", at: null }, { id: "d", at: 1 }];
  it("is by value, then by key, and what has no value stands last both ways", () => {
    const ids = (direction: "ascending" | "descending") => sortedBy(rows, (row) => row.at, (row) => row.id, direction).map((row) => row.id).join("");
    expect(ids("ascending")).toBe("dabc");
    expect(ids("descending")).toBe("abdc");
  });
  it("stands in an address, and only columns that are there are taken from it", () => {
    expect(sortText({ key: "p95", direction: "descending" })).toBe("-p95");
    expect(parseSort("-p95", ["p95"])).toEqual({ key: "p95", direction: "descending" });
    expect(parseSort("p95", ["p95"])).toEqual({ key: "p95", direction: "ascending" });
    for (const text of ["", "-", "p50", "--p95"]) expect(parseSort(text, ["p95"])).toBeNull();
  });
});
