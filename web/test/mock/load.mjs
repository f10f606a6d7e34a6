// The mock server is TypeScript; esbuild, which Vite brings, makes it one module for Node.
import { build } from "esbuild";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export async function loadMock() {
  const outfile = join(mkdtempSync(join(tmpdir(), "limpid-mock-")), "server.mjs");
  await build({ entryPoints: [fileURLToPath(new URL("./server.ts", import.meta.url))], bundle: true, platform: "node", format: "esm", outfile, logLevel: "error" });
  return import(pathToFileURL(outfile).href);
}
