"""PostgreSQL over TLS with psycopg2, whose wheel has an OpenSSL under another name: ask_psycopg2.py ask ADDRESS COUNT"""

import sys

import psycopg2

host, port = sys.argv[2].rsplit(":", 1)
connection = psycopg2.connect(host=host, port=port, user="postgres", dbname="postgres", sslmode="require")
connection.autocommit = True
cursor = connection.cursor()
for _ in range(int(sys.argv[3])):
    cursor.execute("SELECT 7")
connection.close()
