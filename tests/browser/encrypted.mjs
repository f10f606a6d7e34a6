// Encrypted connections: what is read of them, what is not and why, and certificates that are about to end.
// encrypted.mjs BASE NODE_MODULES [FOLDER]
import { strict as assert } from "node:assert";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { harness, until } from "./harness.mjs";

const [base, modules, shots] = process.argv.slice(2);
const folder = mkdtempSync("/tmp/limpid-encrypted.");
const children = [];

function start(service, program, ...given) {
  const env = { ...process.env, OTEL_SERVICE_NAME: service };
  children.push(spawn(program, given, { cwd: folder, env, stdio: "ignore", detached: true }));
}

const openssl = (...given) => execFileSync("openssl", given, { cwd: folder, stdio: "pipe" });
const newKey = (name) => ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", `${name}.key`];

/** An authority, and a certificate of two days that it has issued. */
function certificates() {
  openssl("req", "-x509", ...newKey("ca"), "-days", "30", "-subj", "/CN=authority", "-out", "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE");
  openssl("req", ...newKey("vault"), "-subj", "/CN=vault.test", "-out", "vault.csr");
  writeFileSync(`${folder}/vault.ext`, "subjectAltName=DNS:vault.test\n");
  openssl("x509", "-req", "-in", "vault.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "vault.ext", "-out", "vault.pem");
}

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

function scene(port) {
  certificates();
  start("vault", "openssl", "s_server", "-accept", String(port), "-cert", "vault.pem", "-key", "vault.key", "-www", "-quiet", "-tls1_2");
  const asks = (more) => `while :; do curl -s -o /dev/null ${more} --resolve vault.test:${port}:127.0.0.1 https://vault.test:${port}/; sleep 0.2; done`;
  start("courier", "sh", "-c", asks("--cacert ca.pem"));
  start("stranger", "sh", "-c", asks(""));
}

function stop() {
  for (const child of children) {
    try {
      // A loop and what it has started are a group of their own.
      process.kill(-child.pid);
    } catch {
      // It has ended by itself.
    }
  }
  rmSync(folder, { recursive: true, force: true });
}

const { check, open, shot, inspect, end } = await harness(modules, shots);
process.on("exit", stop);
scene(await freePort());
const edges = async () => (await (await fetch(`${base}/api/topology`)).json()).edges;
const edgeOf = async (source) => (await edges()).find((edge) => edge.source.endsWith(`/${source}`) && edge.target.endsWith("/vault") && edge.tls);
const read = await until("what courier says to be read", async () => ((await edgeOf("courier"))?.requests > 0 ? edgeOf("courier") : null));
const refused = await until("handshakes of stranger to fail", async () => ((await edgeOf("stranger"))?.status === "critical" ? edgeOf("stranger") : null), 90);
const selected = (edge) => `${base}/map?last=5m&sel=edge:${edge.source}>${edge.target}:${edge.protocol}`;

await check("an edge that could not be read says why, and what is known of it", async () => {
  assert.equal(refused.protocol, "tls");
  const page = await open(selected(refused));
  const panel = page.getByLabel("Details");
  await panel.getByText("Encrypted and not read.").waitFor();
  await panel.getByText("No handshake succeeded: there was nothing to read.").waitFor();
  await panel.getByText("unknown_ca", { exact: true }).waitFor();
  await panel.getByRole("row", { name: /^handshakes \d+/ }).waitFor();
  await panel.getByText("bytes sent").waitFor();
  await inspect(page);
  await page.close();
});

await check("an edge that was read in plaintext tells of its handshakes too", async () => {
  const page = await open(selected(read));
  const panel = page.getByLabel("Details");
  await panel.getByText("read in plaintext").waitFor();
  await panel.getByText("GET /").first().waitFor();
  await panel.getByText("1.2", { exact: true }).waitFor();
  await panel.getByText("1 day left").waitFor();
  await shot(page, "encrypted-edge-light");
  await page.close();
});

await check("certificates lead to the service that shows them, and say when they end", async () => {
  const page = await open(`${base}/status?last=5m`);
  const row = page.getByRole("table", { name: "Certificates" }).getByRole("row", { name: /vault\.test/ });
  await row.getByText("1 day left").waitFor();
  await page.getByRole("table", { name: "TLS libraries" }).getByRole("row", { name: /OpenSSL.* read / }).first().waitFor();
  await shot(page, "encrypted-status-light");
  await row.getByRole("link", { name: "vault" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/service\/default\/vault/);
  const context = page.getByLabel("Context");
  await context.getByText("certificate of vault.test ends in 1 day").waitFor();
  await context.getByText("unknown_ca", { exact: true }).waitFor();
  await context.getByText("CN=authority").waitFor();
  await page.close();
});

for (const scheme of ["light", "dark"]) {
  await check(`axe finds nothing on what is encrypted, ${scheme}`, async () => {
    for (const address of [`${base}/status?last=5m`, `${base}/service/default/vault?last=5m`, selected(read)]) {
      const page = await open(address, scheme);
      await page.waitForTimeout(1500);
      await inspect(page);
      await page.close();
    }
  });
}

await end();
stop();
