"""HTTPS of asyncio with bodies that are checked: harm.py serve PORT CERT KEY FOLDER, harm.py ask PORT FOLDER ROUNDS (0: for ever)

A round asks for each file of the folder and sends it back to be echoed. Its line is how many bytes came and a hash over all
status lines, lengths and bodies in order.
"""

import asyncio
import hashlib
import os
import ssl
import sys

ROUNDS_OF_CONNECTION = 5


async def receive(stream):
    """First line and body of one message."""
    head = (await stream.readuntil(b"\r\n\r\n")).split(b"\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head[1:] if line)
    return head[0], await stream.readexactly(int(fields.get(b"content-length", 0)))


def send(stream, first, body):
    stream.write(b"%b\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (first, len(body), body))


def content(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


async def serve(port, cert, key, folder):
    async def answer(reader, writer):
        try:
            while True:
                first, body = await receive(reader)
                method, path, _ = first.decode().split(" ")
                send(writer, b"HTTP/1.1 200 OK", body if method == "POST" else content(folder, path[1:]))
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = await asyncio.start_server(answer, "127.0.0.1", int(port), ssl=context)
    await server.serve_forever()


async def exchange(streams, first, body=b""):
    reader, writer = streams
    send(writer, first, body)
    await writer.drain()
    return await receive(reader)


async def round_of(streams, folder):
    hashed, total = hashlib.sha256(), 0
    for name in sorted(os.listdir(folder)):
        got = await exchange(streams, b"GET /%b HTTP/1.1" % name.encode())
        echo = await exchange(streams, b"POST /echo HTTP/1.1", content(folder, name))
        for status, body in (got, echo):
            hashed.update(b"%b %d " % (status, len(body)) + body)
            total += len(body)
    return f"{total} {hashed.hexdigest()}"


async def ask(port, folder, rounds):
    context, streams, done = ssl._create_unverified_context(), None, 0
    while rounds == 0 or done < rounds:
        if done % ROUNDS_OF_CONNECTION == 0:
            if streams:
                streams[1].close()
            streams = await asyncio.open_connection("127.0.0.1", int(port), ssl=context)
        print(await round_of(streams, folder), flush=True)
        done += 1
        await asyncio.sleep(0.2)
    streams[1].close()


if sys.argv[1] == "serve":
    asyncio.run(serve(*sys.argv[2:]))
else:
    asyncio.run(ask(sys.argv[2], sys.argv[3], int(sys.argv[4])))
