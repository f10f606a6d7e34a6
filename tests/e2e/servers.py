"""The real servers that the tests watch, each on ports and in a folder of its own."""

import glob
import os

from harness import CACHE, HERE, await_true, free_port, listens, run

NGINX = """
daemon off; master_process on; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        {listens}
        location = /ok {{ return 200 "fine\\n"; }}
        location = /fail {{ return 500; }}
        location = /file {{ root {folder}; }}
        location / {{ return 404; }}
    }}
}}
"""


class Nginx:
    def __init__(self, scope, service, listen=None):
        self.port = free_port()
        folder = scope.path(f"nginx-{self.port}")
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        self.socket = f"{folder}/nginx.sock"
        addresses = listen or [f"127.0.0.1:{self.port}"]
        with open(f"{folder}/file", "w") as file:
            file.write("x" * 20_000)
        with open(f"{folder}/nginx.conf", "w") as config:
            lines = " ".join(f"listen {one.format(port=self.port, socket=self.socket)};" for one in addresses)
            config.write(NGINX.format(folder=folder, listens=lines))
        argv = ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        self.program = scope.start("nginx", argv, service=service)
        await_true(lambda: listens("127.0.0.1", self.port) or os.path.exists(self.socket), "nginx to listen")


NGINX_TLS = """
daemon off; master_process on; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 1000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    server {{ listen 127.0.0.1:{port} ssl {more}; {content} }}
}}
"""
FINE = 'location / { return 200 "fine\\n"; }'


class NginxTls:
    """`content`: what stands in the server's block, in which `{folder}` is the server's own folder."""

    def __init__(self, scope, service, certificate, key, content=FINE, more="", before=(), env=None):
        self.port, self.folder = free_port(), scope.path(service)
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)
        with open(f"{self.folder}/nginx.conf", "w") as config:
            config.write(NGINX_TLS.format(folder=self.folder, certificate=certificate, key=key, port=self.port, more=more,
                                          content=content.replace("{folder}", self.folder)))
        argv = [*before, "nginx", "-p", self.folder, "-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"]
        self.program = scope.start(service, argv, service=service, env=env)
        await_true(lambda: listens("127.0.0.1", self.port), f"{service} to listen")


class Redis:
    def __init__(self, scope, service, *flags):
        self.port = free_port()
        self.socket = scope.path(f"redis-{self.port}.sock")
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--unixsocket", self.socket, "--dir", scope.folder, *flags]
        self.program = scope.start("redis", argv, service=service)
        await_true(lambda: listens("127.0.0.1", self.port), "Redis to listen")

    def cli(self, *command, service="redis-admin"):
        return run(["redis-cli", "-p", str(self.port), *command], service=service).stdout

    def calls(self, command):
        """How often Redis itself says it has run a command."""
        for line in self.cli("info", "commandstats").splitlines():
            if line.startswith(f"cmdstat_{command}:"):
                return int(line.split("calls=")[1].split(",")[0])
        return 0


class Postgres:
    def __init__(self, scope, service, *flags):
        self.port = free_port()
        self.folder = scope.path(f"postgres-{self.port}")
        os.mkdir(self.folder)
        run(["chown", "postgres:", self.folder])
        programs = os.path.dirname(sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))[-1])
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]
        run([*user, f"{programs}/initdb", "-D", f"{self.folder}/data", "-A", "trust", "-N"])
        argv = [*user, f"{programs}/postgres", "-D", f"{self.folder}/data", "-p", str(self.port), "-c", "fsync=off",
                "-c", "listen_addresses=127.0.0.1,::1", "-c", f"unix_socket_directories={self.folder}", *flags]
        self.program = scope.start("postgres", argv, service=service)
        await_true(self.answers, "PostgreSQL to answer")

    def answers(self):
        return self.psql("SELECT 1", check=False).returncode == 0

    def psql(self, sql, service="postgres-admin", host="127.0.0.1", check=True):
        argv = ["psql", "-X", "-q", "-A", "-t", "-h", host, "-p", str(self.port), "-U", "postgres", "-c", sql]
        return run(argv, service=service, check=check)


class MariaDb:
    """With a database `shop` and a user `app` without a password."""

    TABLES = """CREATE DATABASE shop; CREATE USER app@'%'; GRANT ALL ON shop.* TO app@'%'; USE shop;
        CREATE TABLE shop (id int primary key, name mediumtext); INSERT INTO shop VALUES (1, 'a'), (2, 'b');
        CREATE TABLE words (word text)"""

    def __init__(self, scope, service):
        self.port = free_port()
        folder = scope.path(f"mariadb-{self.port}")
        os.mkdir(folder)
        run(["chown", "mysql:", folder])
        self.socket = f"{folder}/socket"
        run(["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--user=mysql",
             "--auth-root-authentication-method=normal", "--innodb-use-native-aio=0"])
        argv = ["mariadbd", "--no-defaults", f"--datadir={folder}/data", "--user=mysql", f"--port={self.port}",
                f"--socket={self.socket}", "--bind-address=*", "--skip-name-resolve", "--local-infile=1",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-use-native-aio=0"]
        self.program = scope.start("mariadb", argv, service=service)
        await_true(lambda: self.admin("SELECT 1", check=False).returncode == 0, "MariaDB to answer")
        self.admin(self.TABLES)

    def admin(self, statements, check=True):
        argv = ["mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "-e", statements]
        return run(argv, service="mariadb-admin", check=check)


def compile_c(scope, name, *flags):
    """A helper in C, from the folder `programs`."""
    program = scope.path(f"{name}-c")
    run(["cc", "-O1", "-Wall", "-Werror", "-o", program, f"{HERE}/programs/{name}.c", *flags])
    return program


def compile_go(scope, name, folder=HERE, *flags):
    program = scope.path(f"{name}-go")
    # The demo's cache: the standard library is compiled once for both.
    env = {**os.environ, "GOCACHE": f"{CACHE}/demo/go", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    run(["go", "build", *flags, "-o", program, f"{folder}/programs/{name}.go"], env=env, timeout=300)
    return program


NAMED = """
options {{ directory "{folder}"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no; querylog yes; minimal-responses yes;
  rate-limit {{ responses-per-second 0; }}; }};
controls {{ }};
logging {{ channel queries {{ file "{folder}/queries"; buffered no; }}; category queries {{ queries; }}; }};
zone "shop.test" {{ type primary; file "{folder}/zone"; }};
zone "broken.test" {{ type primary; file "{folder}/none"; }};
"""


class Bind:
    """BIND with the zone shop.test, and one that it cannot read."""

    def __init__(self, scope, service):
        self.port = free_port()
        self.folder = scope.path(f"bind-{self.port}")
        os.mkdir(self.folder)
        with open(f"{self.folder}/zone", "w") as zone:
            zone.write("$TTL 60\n@ SOA ns admin 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\nweb A 192.0.2.1\nweb AAAA 2001:db8::1\n"
                       "www CNAME web\n")
        with open(f"{self.folder}/named.conf", "w") as config:
            config.write(NAMED.format(folder=self.folder, port=self.port))
        self.program = scope.start("named", ["named", "-f", "-n", "2", "-c", f"{self.folder}/named.conf"], service=service)
        await_true(self.answers, "BIND to answer")

    def answers(self):
        argv = ["dig", "@127.0.0.1", "-p", str(self.port), "+tcp", "+tries=1", "+timeout=1", "+short", "ns.shop.test"]
        return run(argv, service="dns-admin", check=False).stdout == "127.0.0.1\n"

    def asked(self, name, kind):
        """How often BIND itself says it was asked for this."""
        try:
            with open(f"{self.folder}/queries") as log:
                return sum(f"query: {name} IN {kind} " in line for line in log)
        except FileNotFoundError:
            return 0
