"""MariaDB and BIND, and loads on them that hold a rate. Each load returns (requests sent by its own count, of them answered,
seconds)."""

import json
import os
import re
import subprocess
import tempfile
import urllib.request

import loads
import ports
from agent import BenchError
from programs import Server

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 1000

NAMED = """
options {{ directory "{folder}"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no; minimal-responses yes; querylog no;
  rate-limit {{ responses-per-second 0; }}; }};
controls {{ }};
statistics-channels {{ inet 127.0.0.1 port {statistics} allow {{ 127.0.0.1; }}; }};
zone "shop.test" {{ type primary; file "{folder}/zone"; }};
"""
ZONE = "$TTL 60\n@ SOA ns admin 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\nweb A 192.0.2.1\n"


class MariaDb(Server):
    """With a table of goods, and a user `bench` without a password."""

    service = "bench-mariadb"
    port = ports.MARIADB

    def command(self):
        subprocess.run(["chown", "mysql:", self.folder], check=True)
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--user=mysql",
                   "--auth-root-authentication-method=normal", "--innodb-use-native-aio=0"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise BenchError(f"mariadb-install-db failed: {(done.stderr or done.stdout).strip()[-200:]}")
        return ["mariadbd", "--no-defaults", f"--datadir={self.folder}/data", "--user=mysql", f"--port={self.port}",
                f"--socket={self.folder}/socket", "--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-use-native-aio=0"]

    def __enter__(self):
        super().__enter__()
        self.run("CREATE USER bench@'%'; CREATE DATABASE bench; GRANT ALL ON bench.* TO bench@'%'; USE bench;"
                 "CREATE TABLE goods (id int PRIMARY KEY, name varchar(100));"
                 f"INSERT INTO goods SELECT seq, CONCAT('goods of number ', seq) FROM seq_1_to_{ROWS}")
        return self

    def run(self, statements):
        command = ["mariadb", "--no-defaults", "-N", "-B", "-S", f"{self.folder}/socket", "-u", "root", "-e", statements]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def served(self):
        """SELECTs by MariaDB's own count; those of prepared statements are among them."""
        return int(self.run("SHOW GLOBAL STATUS LIKE 'Com_select'").split()[1])


class Bind(Server):
    """With the zone shop.test."""

    service = "bench-bind"
    port = ports.BIND

    def command(self):
        for name, text in [("zone", ZONE), ("named.conf", NAMED)]:
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(text if name == "zone" else text.format(folder=self.folder, port=self.port, statistics=ports.BIND_STATISTICS))
        return ["named", "-f", "-n", "2", "-c", os.path.join(self.folder, "named.conf")]

    def served(self):
        """Questions of type A by BIND's own count."""
        with urllib.request.urlopen(f"http://127.0.0.1:{ports.BIND_STATISTICS}/json/v1/server", timeout=10) as answer:
            return json.load(answer).get("qtypes", {}).get("A", 0)


def found(pattern, output, what):
    match = re.search(pattern, output)
    if not match:
        raise BenchError(f"{what} said something else: {output.strip()[-300:]}")
    return float(match[1])


def sysbench(rate, seconds, prepared=False, threads=8, limit_seconds=180):
    """Each thread has a connection and one SELECT at a time."""
    command = ["sysbench", os.path.join(HERE, "mariadb_select.lua"), f"--rate={rate}", f"--time={seconds}", "--events=0",
               f"--threads={threads}", "--mysql-host=127.0.0.1", f"--mysql-port={ports.MARIADB}", "--mysql-user=bench",
               "--mysql-db=bench", f"--db-ps-mode={'auto' if prepared else 'disable'}", "run"]
    output, _ = loads.run(command, limit_seconds=limit_seconds)
    done = int(found(r"transactions: +(\d+)", output, "sysbench"))
    return done, done, found(r"total time: +([\d.]+)s", output, "sysbench")


def dnsperf(rate, seconds, sockets=1, limit_seconds=180):
    with tempfile.NamedTemporaryFile("w", suffix=".names") as names:
        names.write("web.shop.test A\n")
        names.flush()
        command = ["dnsperf", "-s", "127.0.0.1", "-p", str(ports.BIND), "-d", names.name, "-Q", str(rate), "-l", str(seconds)]
        output, _ = loads.run([*command, "-c", str(sockets), "-q", str(max(100, sockets))], limit_seconds=limit_seconds)
    sent, answered = (int(found(rf"Queries {what}: +(\d+)", output, "dnsperf")) for what in ("sent", "completed"))
    return sent, answered, found(r"Run time \(s\): +([\d.]+)", output, "dnsperf")


def dnsperf_many(rate, seconds):
    return dnsperf(rate, seconds, sockets=200)


def ask_dns(rate, seconds, limit_seconds=180):
    """Each question from a new socket."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "ask_dns")
        subprocess.run(["cc", "-O2", "-o", program, os.path.join(HERE, "ask_dns.c")], check=True, timeout=60)
        output, _ = loads.run([program, str(ports.BIND), str(rate), str(seconds)], limit_seconds=limit_seconds)
    sent, answered = (int(found(rf"{what} (\d+)", output, "ask_dns")) for what in ("sent", "answered"))
    return sent, answered, found(r"in ([\d.]+)", output, "ask_dns")
