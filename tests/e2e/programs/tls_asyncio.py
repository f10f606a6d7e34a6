"""Asks by HTTPS with asyncio, which keeps encrypted bytes in memory: tls_asyncio.py PORT COUNT CONNECTIONS"""

import asyncio
import ssl
import sys

REQUEST = b"GET /asyncio HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def ask(port, count, context):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    for _ in range(count):
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
        await reader.readexactly(int(fields[b"content-length"]))
    writer.close()


async def main(port, count, connections):
    context = ssl._create_unverified_context()
    await asyncio.gather(*(ask(port, count // connections, context) for _ in range(connections)))


asyncio.run(main(*map(int, sys.argv[1:])))
