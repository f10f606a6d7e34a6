"""HTTPS with asyncio, which keeps encrypted bytes in memory: ask_asyncio.py ask URL COUNT; over four connections."""

import asyncio
import ssl
import sys
from urllib.parse import urlsplit

CONNECTIONS = 4


async def ask(url, count, context):
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    for _ in range(count):
        writer.write(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % url.path.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
        await reader.readexactly(int(fields[b"content-length"]))
    writer.close()


async def main(url, count):
    context = ssl._create_unverified_context()
    await asyncio.gather(*(ask(url, count // CONNECTIONS, context) for _ in range(CONNECTIONS)))


asyncio.run(main(urlsplit(sys.argv[2]), int(sys.argv[3])))
