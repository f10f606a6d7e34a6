"""The carrier, which is not the shop's: it lives in a network namespace of its own and plays the outside world."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Carrier(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.02)
        # Enough for a handful of packets, so that a lost one is felt.
        quotes = [{"service": f"parcel {i}", "cents": 399 + i, "days": 1 + i % 5} for i in range(150)]
        body = json.dumps(quotes).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", 18089), Carrier).serve_forever()
