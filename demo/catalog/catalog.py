"""Products, kept in PostgreSQL; and a report that takes its time."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

LOCAL = threading.local()


def query(sql, parameters=()):
    """Runs one statement on this thread's own connection."""
    if not hasattr(LOCAL, "connection"):
        LOCAL.connection = psycopg2.connect(host="127.0.0.1", port=15432, user="postgres", dbname="postgres")
        LOCAL.connection.autocommit = True
    with LOCAL.connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


class Catalog(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/report"):
            rows = query("SELECT count(*), sum(cents) FROM products, pg_sleep(0.4)")
        else:
            rows = query("SELECT name, cents FROM products WHERE id = %s", (self.path.rsplit("/", 1)[-1],))
        body = json.dumps(rows).encode()
        self.send_response(200 if rows else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", 18083), Catalog).serve_forever()
