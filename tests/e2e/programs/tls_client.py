"""Connects with TLS again and again, from one process: tls_client.py PORT COUNT NAME [option=value …]

Options: max=1.2 (the newest version), authority=FILE (whom to trust), ciphers=LIST, path=PATH (to ask for by HTTP/1.0),
leaves=yes (sends its ClientHello and goes away). Says how often it went how: `ok:40` or an error's reason.
"""

import collections
import socket
import ssl
import sys

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def context(options):
    made = ssl.create_default_context(cafile=options.get("authority"))
    made.maximum_version = VERSIONS[options.get("max", "1.3")]
    made.set_alpn_protocols(["h2"] if "path" not in options else ["http/1.1"])
    if "ciphers" in options:
        made.set_ciphers(options["ciphers"])
    return made


def leave(connection, made, name):
    outgoing = ssl.MemoryBIO()
    try:
        made.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        connection.sendall(outgoing.read())
        connection.recv(1)
    return "left"


def once(port, name, options):
    made = context(options)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        if "leaves" in options:
            return leave(connection, made, name)
        try:
            with made.wrap_socket(connection, server_hostname=name) as encrypted:
                if "path" in options:
                    encrypted.sendall(f"GET {options['path']} HTTP/1.0\r\n\r\n".encode())
                    while encrypted.recv(65536):
                        pass
            return "ok"
        except ssl.SSLError as error:
            return error.reason


def main():
    port, count, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    options = dict(argument.split("=", 1) for argument in sys.argv[4:])
    went = collections.Counter(once(port, name, options) for _ in range(count))
    print(*(f"{how}:{count}" for how, count in went.items()))


main()
