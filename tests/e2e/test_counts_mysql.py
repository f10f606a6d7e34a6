"""MySQL: commands seen are commands that MariaDB's clients have sent, with their error numbers."""

import collections
import subprocess
import sys

from harness import Case, Limpid, run
from servers import MariaDb, compile_c

PYTHON_CLIENT = """
import pymysql, sys
connection = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="app", database="shop", autocommit=True)
cursor, wrong = connection.cursor(), 0
for number in range(200):
    cursor.execute("SELECT count(*) FROM shop WHERE id = %s", (number,))
for number in range(50):
    try:
        cursor.execute("SELECT missing FROM nowhere_%s" % number)
    except pymysql.MySQLError as error:
        wrong += error.args[0] == 1146
print(wrong)
"""
# The logins of a connection are no requests.
SESSIONS = ("LOGIN", "CHANGE_USER")
TIMES = 20


class CountsMysql(Case):
    @classmethod
    def prepare(cls):
        cls.limpid = Limpid(cls.scope)
        cls.mariadb = MariaDb(cls.scope, "mariadb-shop")
        cls.client = compile_c(cls.scope, "mysql_client", "-I/usr/include/mariadb", "-lmariadb")

    def check(self, client, want, **labels):
        labels |= {"protocol": "mysql"}
        self.same(self.limpid, want, service=client, peer="mariadb-shop", side="client", **labels)
        self.same(self.limpid, want, service="mariadb-shop", peer=client, side="server", **labels)

    def every_way(self, client, *flags, host="127.0.0.1"):
        """Text, several statements, prepared, in bulk, without waiting, errors, a file: as the client counts them."""
        out = run([self.client, host, str(self.mariadb.port), "app", str(TIMES), *flags], service=client).stdout
        sent = collections.Counter(tuple(line.split()) for line in out.splitlines())
        self.assertEqual(sent["STMT_PREPARE", "1064"], TIMES)
        for (operation, code), times in sent.items():
            if operation not in SESSIONS:
                with self.subTest(f"{client}: {operation} {code}"):
                    outcome = {"status": "ok"} if code == "0" else {"status": "error", "code": code}
                    self.check(client, times, operation=operation, **outcome)

    def test_every_way_of_the_c_connector(self):
        self.every_way("c-connector")

    def test_compressed(self):
        self.every_way("c-compressed", "compress")

    def test_ipv6(self):
        self.every_way("c-ipv6", host="::1")

    def test_errors_in_python(self):
        script = [sys.executable, "-c", PYTHON_CLIENT, "127.0.0.1", str(self.mariadb.port)]
        wrong = int(run(script, service="pymysql").stdout)
        self.assertEqual(wrong, 50)
        self.check("pymysql", 200, operation="SELECT", resource="~.*shop WHERE.*", status="ok")
        self.check("pymysql", 50, code="1146", status="error")

    def test_a_connection_each(self):
        for _ in range(20):
            self.command_line("mariadb-cli", "SELECT name FROM shop")
        self.check("mariadb-cli", 20, operation="SELECT", resource="SELECT name FROM shop", status="ok")

    def test_a_large_result(self):
        self.command_line("mariadb-large", "SELECT REPEAT('some text ', 20), seq FROM seq_1_to_100000")
        self.check("mariadb-large", 1, operation="SELECT", resource="~.*seq_1_to_.*", status="ok")

    def command_line(self, service, statement):
        argv = ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(self.mariadb.port), "-u", "app", "shop", "-e", statement]
        run(argv, service=service, stdin=subprocess.DEVNULL)
