// One page, hashed assets, nothing from elsewhere: the server embeds dist/ and serves it under a strict
// content security policy, so nothing may be inlined as a script and no asset may become a data: URL.
// rollup is pinned in package.json (`overrides`): a release whose packages are not there for every platform makes
// `npm ci` refuse the whole lock file.
import { defineConfig, type Plugin } from "vite";

/** What of uPlot no chart here uses: other kinds of lines than straight ones. Unreferenced, they are left out. */
const withoutUnusedPaths: Plugin = {
  name: "without-unused-paths",
  transform: (code, id) => (id.includes("uplot") ? code.replace(/^.*(paths\.(stepped|bars|spline)|uPlot\.join)\s*=.*$/gm, "") : null),
};

export default defineConfig({
  plugins: [withoutUnusedPaths],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    // Smaller by a thirtieth than what esbuild leaves.
    minify: "terser",
    terserOptions: { ecma: 2020, module: true, compress: { passes: 3, unsafe_arrows: true, pure_getters: true } },
  },
  worker: { format: "es" },
  server: { proxy: { "/api": process.env["LIMPID_URL"] ?? "http://127.0.0.1:7117" } },
});
