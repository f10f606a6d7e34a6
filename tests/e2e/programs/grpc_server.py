"""A gRPC server without a schema: grpc_server.py PORT. The request's bytes say what becomes of it: `ok`, or a code's name."""

import sys
import time
from concurrent import futures

import grpc


def add(request, context):
    if request != b"ok":
        context.abort(getattr(grpc.StatusCode, request.decode()), "as it was asked for")
    return b"done"


def watch(request, context):
    for number in range(int(request)):
        time.sleep(0.02)
        yield b"%d" % number


server = grpc.server(futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.v1.Cart", {
    "Add": grpc.unary_unary_rpc_method_handler(add),
    "Watch": grpc.unary_stream_rpc_method_handler(watch),
}),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
print("listens", flush=True)
server.wait_for_termination()
