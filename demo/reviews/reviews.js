// Reviews, kept in MariaDB, through a pool of four connections; and a search whose cache forgets nothing.
"use strict";
const http = require("node:http");
const mysql = require("mysql");

const pool = mysql.createPool({
  host: process.env.DATABASE_HOST,
  port: 13306,
  user: "shop",
  database: "shop",
  connectionLimit: 4,
  queueLimit: 20,
  connectTimeout: 2000,
});
const found = new Map();

function query(sql, values = []) {
  return new Promise((resolve, reject) =>
    pool.query({ sql, values, timeout: 5000 }, (error, rows) => (error ? reject(error) : resolve(rows))),
  );
}

// Every new search is kept for ever, with all that was found: that is the leak.
async function search(words) {
  if (!found.has(words)) {
    const rows = await query("SELECT body FROM reviews WHERE body LIKE ? LIMIT 50", [`%${words.slice(0, 1)}%`]);
    found.set(words, Buffer.alloc(64 * 1024, JSON.stringify(rows)));
  }
  return { kept: found.size };
}

async function answer(method, url) {
  if (method === "DELETE" && url.pathname === "/reviews/search") return found.clear();
  if (url.pathname === "/reviews/search") return search(url.searchParams.get("q") ?? "");
  // One row after the other, slowly: a connection of the pool is away for three seconds.
  if (url.pathname === "/reviews/export") return query("SELECT body, SLEEP(0.03) FROM reviews LIMIT 100");
  return query("SELECT stars, body FROM reviews WHERE product = ?", [Number(url.pathname.split("/").pop())]);
}

const server = http.createServer(async (request, response) => {
  try {
    const body = await answer(request.method, new URL(request.url, "http://reviews"));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body ?? null));
  } catch (error) {
    response.writeHead(503).end(`${error.code ?? error.message}\n`);
  }
});
server.listen(18086, "127.0.0.1");
