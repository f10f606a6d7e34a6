"""Calls the server: grpc_client.py PORT COUNT IN_FLIGHT WHAT [paused]. Prints how many calls ended, by code.

With `paused` one call goes before a line on standard input, the others after it: the connection is then older.
"""

import collections
import sys
from concurrent import futures

import grpc

port, count, in_flight, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
add = channel.unary_unary("/shop.v1.Cart/Add")
watch = channel.unary_stream("/shop.v1.Cart/Watch")


def ask(number):
    try:
        if what.isdigit():
            return f"OK-{len(list(watch(what)))}"
        add(what, metadata=(("x-number", str(number)),))
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


if "paused" in sys.argv:
    ask(0)
    print("connected", flush=True)
    sys.stdin.readline()
with futures.ThreadPoolExecutor(in_flight) as pool:
    codes = collections.Counter(pool.map(ask, range(count)))
print(*(f"{code}:{number}" for code, number in sorted(codes.items())))
