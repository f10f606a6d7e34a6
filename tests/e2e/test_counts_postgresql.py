"""PostgreSQL: statements seen are statements that pgbench, psycopg2 and libpq have sent, with their SQLSTATE."""

import re
import sys
import unittest

from harness import Case, Limpid, run
from servers import Postgres, compile_c

PYTHON_CLIENT = """
import psycopg2, sys
connection = psycopg2.connect(host=sys.argv[1], port=sys.argv[2], user="postgres", dbname="postgres")
connection.autocommit = True
cursor, wrong = connection.cursor(), 0
for number in range(200):
    cursor.execute("SELECT count(*) FROM pgbench_branches WHERE bid = %s", (number,))
    cursor.fetchone()
for number in range(50):
    try:
        cursor.execute("SELECT missing FROM nowhere_%d" % number)
    except psycopg2.errors.UndefinedTable:
        wrong += 1
print(wrong)
"""
# What one transaction of pgbench's default script sends.
TPC_B = {"BEGIN": 1, "UPDATE": 3, "SELECT": 1, "INSERT": 1, "END": 1}


class CountsPostgresql(Case):
    @classmethod
    def prepare(cls):
        cls.limpid = Limpid(cls.scope)
        cls.postgres = Postgres(cls.scope, "postgres-shop")
        run(["pgbench", "-i", "-q", "-h", "127.0.0.1", "-p", str(cls.postgres.port), "-U", "postgres", "postgres"], service="pgbench-init")
        cls.pipeline = compile_c(cls.scope, "pg_pipeline", "-I/usr/include/postgresql", "-lpq")

    def check(self, client, want, **labels):
        labels |= {"protocol": "postgresql"}
        self.same(self.limpid, want, service=client, peer="postgres-shop", side="client", **labels)
        self.same(self.limpid, want, service="postgres-shop", peer=client, side="server", **labels)

    def pgbench(self, client, transactions, *flags, host="127.0.0.1"):
        argv = ["pgbench", "-n", "-h", host, "-p", str(self.postgres.port), "-U", "postgres", "-t", str(transactions)]
        out = run([*argv, *flags, "postgres"], service=client).stdout
        return int(re.search(r"actually processed: (\d+)", out)[1])

    def test_select_in_every_mode(self):
        for mode in ("simple", "extended", "prepared"):
            with self.subTest(mode):
                client = f"pgbench-{mode}"
                done = self.pgbench(client, 1_000, "-S", "-c", "4", "-M", mode)
                self.assertEqual(done, 4_000)
                # pgbench itself asks for the number of branches once, in a SELECT of another shape.
                self.check(client, done, operation="SELECT", resource="~.*pgbench_accounts.*", status="ok")

    def test_transactions(self):
        for mode in ("simple", "prepared"):
            with self.subTest(mode):
                client = f"pgbench-tpcb-{mode}"
                done = self.pgbench(client, 300, "-c", "1", "-M", mode)
                for operation, times in TPC_B.items():
                    labels = {"resource": "~.*pgbench_accounts.*"} if operation == "SELECT" else {}
                    self.check(client, times * done, operation=operation, status="ok", **labels)

    # Known, as for the others over Unix sockets: the first exchange of a connection may be counted as unanswered.
    def test_unix_socket(self):
        done = self.pgbench("pgbench-unix", 500, "-S", "-c", "4", host=self.postgres.folder)
        self.check("pgbench-unix", done, operation="SELECT", resource="~.*pgbench_accounts.*", status="ok")

    def test_ipv6(self):
        done = self.pgbench("pgbench-6", 500, "-S", "-c", "2", host="::1")
        self.check("pgbench-6", done, operation="SELECT", resource="~.*pgbench_accounts.*", status="ok")

    def test_errors_in_python(self):
        script = [sys.executable, "-c", PYTHON_CLIENT, "127.0.0.1", str(self.postgres.port)]
        wrong = int(run(script, service="psycopg2").stdout)
        self.assertEqual(wrong, 50)
        self.check("psycopg2", 200, operation="SELECT", resource="~.*pgbench_branches WHERE.*", status="ok")
        self.check("psycopg2", 50, code="42P01", status="error")

    def test_pipeline_mode(self):
        where = f"host=127.0.0.1 port={self.postgres.port} user=postgres dbname=postgres"
        answered, refused = map(int, run([self.pipeline, where, "100"], service="libpq").stdout.split())
        self.assertEqual((answered, refused), (2_000, 100))
        self.check("libpq", answered, operation="SELECT", status="ok")
        self.check("libpq", refused, code="22012", status="error")

    def test_a_connection_each(self):
        done = self.pgbench("pgbench-C", 100, "-S", "-C", "-c", "2")
        self.check("pgbench-C", done, operation="SELECT", resource="~.*pgbench_accounts.*", status="ok")
