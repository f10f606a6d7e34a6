"""HTTPS with Python's ssl on a socket: ask_ssl.py ask URL COUNT"""

import http.client
import ssl
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[2])
connection = http.client.HTTPSConnection(url.hostname, url.port, context=ssl._create_unverified_context())
for _ in range(int(sys.argv[3])):
    connection.request("GET", url.path)
    connection.getresponse().read()
connection.close()
