"""Orders, kept in PostgreSQL. One in five names a product that does not exist: the database refuses, the page fails."""

import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

LOCAL = threading.local()
NUMBERS = itertools.count(1)


def order(product):
    if not hasattr(LOCAL, "connection"):
        LOCAL.connection = psycopg2.connect(host="127.0.0.1", port=15432, user="postgres", dbname="postgres")
        LOCAL.connection.autocommit = True
    with LOCAL.connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders (product) VALUES (%s) RETURNING id", (product,))
        return cursor.fetchone()[0]


class Checkout(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number = next(NUMBERS)
        try:
            status, body = 201, f"order {order(number % 1000 + 1 if number % 5 else 100_000)}\n"
        except psycopg2.Error as error:
            status, body = 500, f"{error.pgcode}\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", 18084), Checkout).serve_forever()
