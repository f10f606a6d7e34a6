import { describe, expect, it } from "vitest";
import { grouped } from "../../src/domain/groups";
import { origins } from "../../src/domain/origins";
import { service, topology } from "./build";

const map = topology("web>go web>cart");
const places: Record<string, { x: number; y: number }> = {
  [service("web")]: { x: 0, y: 0 }, [service("cart")]: { x: 100, y: 40 }, [service("go")]: { x: 7, y: 9 },
  "group:language:java": { x: 500, y: 500 }, "process:m/1-2": { x: 10, y: 10 }, "process:m/1-3": { x: 30, y: 10 },
};
const at = (id: string) => places[id] ?? null;
const collapsed = grouped(map, "language", new Set()).topology.nodes;
const process = (id: string, of: string) => ({ ...map.nodes[0]!, id, kind: "process", attributes: { "limpid.service": service(of) } });

describe("from where a node of a new picture comes", () => {
  it("is its own place, where it has one", () => {
    expect(origins(map.nodes, map.nodes, at).get(service("cart"))).toEqual({ x: 100, y: 40 });
  });
  it("is that of the group that opens, and the middle of what becomes a group", () => {
    const others = (id: string) => (id.startsWith("service:") ? null : at(id));
    expect(origins(collapsed, map.nodes, others).get(service("web"))).toEqual({ x: 500, y: 500 });
    const services = (id: string) => (id.startsWith("group:") ? null : at(id));
    expect(origins(map.nodes, collapsed, services).get("group:language:java")).toEqual({ x: 50, y: 20 });
  });
  it("is that of its service, and the middle of its processes", () => {
    const processes = [process("process:m/1-2", "web"), process("process:m/1-3", "web")];
    const noProcess = (id: string) => (id.startsWith("process:") ? null : at(id));
    expect(origins(map.nodes, processes, noProcess).get("process:m/1-2")).toEqual({ x: 0, y: 0 });
    const noService = (id: string) => (id.startsWith("service:") ? null : at(id));
    expect(origins(processes, map.nodes, noService).get(service("web"))).toEqual({ x: 20, y: 10 });
    expect(origins(processes, map.nodes, noService).has(service("cart"))).toBe(false);
  });
});
