"""HTTPS with pyOpenSSL, whose module has an OpenSSL of its own: ask_pyopenssl.py ask URL COUNT"""

import socket
import sys
from urllib.parse import urlsplit

from OpenSSL import SSL

url = urlsplit(sys.argv[2])
connection = SSL.Connection(SSL.Context(SSL.SSLv23_METHOD), socket.create_connection((url.hostname, url.port)))
connection.set_connect_state()
connection.do_handshake()
for _ in range(int(sys.argv[3])):
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % url.path.encode())
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"fine\n"):
        answer += connection.recv(4096)
connection.close()
