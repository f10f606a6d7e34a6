#!/usr/bin/python3
"""Records the fixtures of this folder from the real programs: record.py [NAME …]

A small proxy stands between client and server and writes down what each says, a line a call: `C` (the client) or `S`
(the server) and the bytes in hex. Needs redis-server, redis-cli, redis-benchmark, PostgreSQL 15 with psql and pgbench,
psycopg2, MariaDB with its client and C connector, pymysql, BIND 9 with dig and nsupdate,
nghttpd and h2load, gRPC for Python, OpenSSL 3, and aioquic. Servers run on free ports in
a temporary folder and are stopped at the end.
"""
import contextlib, os, pathlib, shutil, socket, subprocess, sys, tempfile, threading, time

HERE = pathlib.Path(__file__).parent
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
MOST_BYTES = 32 * 1024   # of a fixture, before hex


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Proxy:
    """Forwards connections and keeps what passes, connection by connection."""

    def __init__(self, server_port):
        self.server_port, self.conversations, self.lock = server_port, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server_port))
                lines = []
                self.conversations.append(lines)
                for side, source, target in (("C", client, server), ("S", server, client)):
                    threading.Thread(target=self.pump, args=(side, source, target, lines), daemon=True).start()

    def pump(self, side, source, target, lines):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self.lock:
                    lines.append(f"{side} {data.hex()}")
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def running(command, port, **options):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


@contextlib.contextmanager
def redis():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with running(["redis-server", "--port", str(port), "--save", "", "--dir", folder], port):
            yield port


@contextlib.contextmanager
def postgresql():
    port = free_port()
    folder = pathlib.Path(tempfile.mkdtemp())
    shutil.chown(folder, "postgres")
    try:
        (folder / "password").write_text("shop-password\n")
        shutil.chown(folder / "password", "postgres")
        subprocess.run(["runuser", "-u", "postgres", "--", POSTGRES / "initdb", "-D", folder / "data", "-A", "scram-sha-256",
                        "--pwfile", folder / "password", "-U", "postgres"], check=True, stdout=subprocess.DEVNULL)
        command = ["runuser", "-u", "postgres", "--", POSTGRES / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder]
        with running(command, port, cwd=folder):
            time.sleep(1)
            yield port
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def bind():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        hosts = "".join(f"host{number} A 192.0.2.{number}\n" for number in range(1, 80))
        zone = f"$TTL 60\n@ SOA ns admin 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\nwww CNAME host1\n{hosts}"
        pathlib.Path(folder, "zone").write_text(zone)
        pathlib.Path(folder, "named.conf").write_text(
            f'options {{ directory "{folder}"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }};'
            f' listen-on-v6 {{ none; }}; recursion no; allow-update {{ any; }}; allow-transfer {{ any; }};'
            f' transfer-format one-answer; }};\ncontrols {{ }};\n'
            f'zone "shop.test" {{ type primary; file "{folder}/zone"; }};\n')
        with running(["/usr/sbin/named", "-f", "-c", f"{folder}/named.conf"], port):
            yield port


def dns_tcp(port):
    dig = ["dig", "@127.0.0.1", "-p", str(port), "+tcp", "+nocookie"]
    several = ["+keepopen", "www.shop.test", "A", "none.shop.test", "AAAA", "other.test", "TXT"]
    for command in ([*dig, *several], [*dig, "shop.test", "AXFR"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=20)
    update = f"server 127.0.0.1 {port}\nzone shop.test\nupdate add new.shop.test 60 A 192.0.2.99\nsend\n"
    subprocess.run(["nsupdate", "-v"], input=update.encode(), check=True, timeout=20)
    # Three questions in one call, which a server may answer in any order (RFC 7766 section 6.2.1.1).
    name = lambda host: b"".join(bytes([len(label)]) + label for label in (host, b"shop", b"test")) + b"\0"
    question = lambda number, host: number.to_bytes(2, "big") + b"\0\0\0\1\0\0\0\0\0\0" + name(host) + b"\0\1\0\1"
    messages = [question(number, b"host%d" % number) for number in (1, 2, 3)]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"".join(len(message).to_bytes(2, "big") + message for message in messages))
        time.sleep(0.2)


def mariadb():
    port = free_port()
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        shutil.chown(folder, "mysql")
        data = ["--no-defaults", f"--datadir={folder}/data", "--user=mysql"]
        subprocess.run(["mariadb-install-db", *data, "--auth-root-authentication-method=normal",
                        "--innodb-use-native-aio=0"], check=True,
                       stdout=subprocess.DEVNULL)
        with running(["mariadbd", *data, f"--port={port}", f"--socket={folder}/socket", "--skip-name-resolve"], port):
            tables = """CREATE DATABASE shop; CREATE USER app@'%'; CREATE USER py@'%' IDENTIFIED BY 'shop-password';
                GRANT ALL ON shop.* TO app@'%', py@'%'; USE shop; CREATE TABLE shop (id int primary key, name mediumtext);
                INSERT INTO shop VALUES (1, 'a'), (2, 'b'); CREATE TABLE words (word text)"""
            subprocess.run(["mariadb", "-S", f"{folder}/socket", "-u", "root", "-e", tables], check=True)
            yield port
    finally:
        shutil.rmtree(folder)


def redis_cli(port, *commands, options=()):
    """A run for each command: with a script on its standard input it would read all of COMMAND DOCS first."""
    for command in commands:
        subprocess.run(["redis-cli", "-p", str(port), *options, *command.split()], check=True, stdout=subprocess.DEVNULL, timeout=20)


def talk(port, *messages):
    """Says what redis-cli cannot: several commands of one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for message in messages:
            connection.sendall(message.replace("\n", "\r\n").encode())
            time.sleep(0.05)


def redis_commands(port):
    redis_cli(port, "SET user:1 secret-value", "GET user:1", "INCR user:1", "LPUSH l a b c", "LRANGE l 0 -1", "HSET h f v",
              "HGETALL h", "NOSUCH x", "-n 3 DBSIZE", "INFO server", "EVAL return{1,{2,'x'}} 0")
    talk(port, "*1\n$5\nMULTI\n*3\n$3\nSET\n$1\na\n$1\n1\n", "*2\n$3\nGET\n$1\na\n*1\n$4\nEXEC\n", "PING\nGET a\n")


def redis_resp3(port):
    redis_cli(port, "HGETALL h", "CONFIG GET maxmemory", "ZADD z 1.5 a", "ZSCORE z a", "SMEMBERS s", options=["-3"])
    talk(port, "*2\n$5\nHELLO\n$1\n3\n", "*3\n$6\nCLIENT\n$8\nTRACKING\n$2\non\n*2\n$3\nGET\n$1\nk\n",
         "*3\n$3\nSET\n$1\nk\n$1\nv\n", "*2\n$3\nGET\n$1\nk\n*3\n$9\nSUBSCRIBE\n$1\na\n$1\nb\n",
         "*3\n$7\nPUBLISH\n$1\na\n$1\nm\n*2\n$3\nGET\n$1\nk\n*1\n$11\nUNSUBSCRIBE\n")


def redis_pipeline(port):
    subprocess.run(["redis-benchmark", "-p", str(port), "-P", "16", "-n", "64", "-c", "1", "-t", "set,get,incr", "-q"], check=True,
                   stdout=subprocess.DEVNULL, timeout=20)


def redis_pubsub(port):
    with socket.create_connection(("127.0.0.1", port)) as subscriber, socket.create_connection(("127.0.0.1", port)) as publisher:
        subscriber.sendall(b"*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n")
        time.sleep(0.1)
        for _ in range(3):
            publisher.sendall(b"PUBLISH a hello\r\n")
            time.sleep(0.05)
        subscriber.sendall(b"*1\r\n$4\r\nPING\r\n*1\r\n$11\r\nUNSUBSCRIBE\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
        time.sleep(0.1)


def psql_script(port, script):
    environment = os.environ | {"PGPASSWORD": "shop-password", "PGSSLMODE": "prefer"}
    command = ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "postgres"]
    subprocess.run(command, input=script.encode(), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=30)


def psql_simple(port):
    psql_script(port, "CREATE TABLE items (id int, name text);\nINSERT INTO items VALUES (1, 'secret-name'), (2, 'other');\n"
                      "SELECT * FROM items WHERE name = 'secret-name';\nSELEC nonsense;\nSELECT 1/0;\nBEGIN;\nUPDATE items SET id = 3;\n"
                      "ROLLBACK;\nLISTEN c;\nNOTIFY c, 'secret-payload';\n\\copy items from program 'printf \"5\\\\tx\\\\n6\\\\ty\\\\n\"'\n"
                      "\\copy items to '/dev/null'\nSELECT generate_series(1, 50);\n;\n")


def pgbench(port, script, *options):
    environment = os.environ | {"PGPASSWORD": "shop-password", "PGSSLMODE": "disable"}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        subprocess.run([POSTGRES / "pgbench", "-n", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-f", file.name, *options,
                        "postgres"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)


def pgbench_prepared(port):
    pgbench(port, "\\set n random(1, 9)\nSELECT :n + 1;\nSELECT 'secret' WHERE :n > 0;\n", "-M", "prepared", "-t", "4")


def pgbench_pipeline(port):
    pgbench(port, "\\set n random(1, 9)\n\\startpipeline\nSELECT :n;\nSELECT :n + 1;\nSELECT 'x';\n\\endpipeline\n", "-M", "extended",
            "-t", "4")


def pgbench_pipeline_error(port):
    pgbench(port, "\\startpipeline\nSELECT 1;\nSELECT 1/0;\nSELECT 2;\nSELECT 3;\n\\endpipeline\n", "-M", "extended", "-t", "1")


def psycopg2(port):
    import psycopg2
    connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password="shop-password", dbname="postgres",
                                  sslmode="disable")
    cursor = connection.cursor()
    cursor.execute("SELECT %s, %s", (1, "secret-value"))
    cursor.execute("SELECT * FROM pg_type WHERE oid IN %s", ((16, 17, 18),))
    cursor.fetchall()
    connection.commit()
    connection.close()


def mysql_text(port):
    import pymysql
    connection = pymysql.connect(host="127.0.0.1", port=port, user="py", password="shop-password", database="shop",
                                 client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
    cursor = connection.cursor()
    for statement in ("SELECT name FROM shop WHERE name = 'secret-value'", "UPDATE shop SET id = 1 WHERE id = 7; SELECT 1; SELECT 2",
                      "SELECT seq FROM seq_1_to_300", "SELEC", "DO 1; SELECT missing FROM shop"):
        with contextlib.suppress(pymysql.MySQLError):
            cursor.execute(statement)
            while cursor.nextset():
                pass
    connection.ping()
    connection.commit()
    connection.close()


def mysql_connector(port, *options):
    with tempfile.TemporaryDirectory() as folder:
        source = HERE / "../../../../tests/e2e/programs/mysql_client.c"
        subprocess.run(["cc", "-o", f"{folder}/client", source, "-I/usr/include/mariadb", "-lmariadb"], check=True)
        subprocess.run([f"{folder}/client", "127.0.0.1", str(port), "app", "1", *options], check=True, stdout=subprocess.DEVNULL)


def mysql_compressed(port):
    mysql_connector(port, "compress")


@contextlib.contextmanager
def nghttpd():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "page").write_text("some text")
        with running(["nghttpd", "--no-tls", "-d", folder, str(port)], port):
            yield port


def h2load(port):
    for path, streams in (("page", 1), ("page", 4), ("none", 2)):
        subprocess.run(["h2load", "-n", "8", "-c", "1", "-m", str(streams), f"http://127.0.0.1:{port}/{path}"], check=True,
                       stdout=subprocess.DEVNULL)


E2E_PROGRAMS = HERE / "../../../../tests/e2e/programs"


@contextlib.contextmanager
def grpc():
    port = free_port()
    with running([sys.executable, E2E_PROGRAMS / "grpc_server.py", str(port)], port):
        yield port


def grpc_calls(port):
    for count, in_flight, what in ((6, 1, "ok"), (6, 3, "ok"), (2, 1, "NOT_FOUND"), (2, 1, "INTERNAL"), (2, 2, "4")):
        subprocess.run([sys.executable, E2E_PROGRAMS / "grpc_client.py", str(port), str(count), str(in_flight), what], check=True,
                       stdout=subprocess.DEVNULL)


class TlsServers:
    """A server for each connection that is recorded, since each has its own options; `record` puts a proxy before it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.openssl("req", "-x509", *self.new_key("authority"), "-days", "3650", "-subj", "/O=Shop/CN=authority", "-out",
                     "authority.pem")
        for name in ("shop.test", "client"):
            self.openssl("req", *self.new_key(name), "-subj", f"/C=DE/O=Shop, Ltd/CN={name}", "-out", f"{name}.csr")
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
                         "-days", "3650", "-out", f"{name}.pem")

    def new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", f"{name}.key"]

    def openssl(self, *command):
        subprocess.run(["openssl", *command], cwd=self.folder, check=True, capture_output=True)

    def record(self, server, *clients):
        """What the clients say to one `openssl s_server`, as lines of a fixture."""
        port = free_port()
        command = ["openssl", "s_server", "-accept", str(port), "-cert", "shop.test.pem", "-key", "shop.test.key", "-quiet",
                   "-rev", *server]
        with running(command, port, cwd=self.folder):
            proxy = Proxy(port)
            for client in clients:
                command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-CAfile", "authority.pem", *client]
                with subprocess.Popen(command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL) as running_client:
                    # It stays for the tickets of 1.3, which come behind the handshake.
                    time.sleep(0.5)
                    with contextlib.suppress(BrokenPipeError):
                        running_client.communicate(b"hello\n", timeout=20)
                time.sleep(0.2)
        return proxy.conversations


def tls_conversations():
    name = ["-servername", "Shop.Test"]
    with tempfile.TemporaryDirectory() as folder:
        servers = TlsServers(folder)
        alpn = ["-alpn", "h2,http/1.1"]
        strict = ["-verify_return_error", "-CAfile", "client.pem"]
        old = ["-tls1_2"]
        yield from servers.record([*alpn], [*old, *name, *alpn, "-sess_out", "session"], [*old, *name, "-sess_in", "session"])
        yield from servers.record(["-num_tickets", "1", *alpn], [*name, *alpn, "-sess_out", "session"], [*name, "-sess_in", "session"])
        yield from servers.record(["-groups", "P-384"], [*name, "-groups", "X25519:P-384"])
        yield from servers.record([], [*name, *old, *strict], [*name, *strict])
        yield from servers.record(["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", *old], [*old, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"])
        yield from servers.record(["-tls1_3"], old)
        certified = ["-cert", "client.pem", "-key", "client.key"]
        yield from servers.record(["-Verify", "1", "-CAfile", "authority.pem"], [*old, *name, *certified], [*old, *name], [*name, *certified])


FIXTURES = {
    "redis-commands": (redis, redis_commands), "redis-resp3": (redis, redis_resp3), "redis-pipeline": (redis, redis_pipeline),
    "redis-pubsub": (redis, redis_pubsub), "postgresql-simple": (postgresql, psql_simple),
    "postgresql-prepared": (postgresql, pgbench_prepared), "postgresql-pipeline": (postgresql, pgbench_pipeline),
    "postgresql-pipeline-error": (postgresql, pgbench_pipeline_error), "postgresql-psycopg2": (postgresql, psycopg2),
    "dns-tcp": (bind, dns_tcp), "http2-h2load": (nghttpd, h2load), "grpc-python": (grpc, grpc_calls),
    "mysql-text": (mariadb, mysql_text), "mysql-prepared": (mariadb, mysql_connector), "mysql-compressed": (mariadb, mysql_compressed),
}


class UdpProxy:
    """Forwards the datagrams of each client between it and the server, and keeps them."""

    def __init__(self, server_port):
        self.server_port, self.conversations, self.ways = server_port, [], {}
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        threading.Thread(target=self.pump, daemon=True).start()

    def pump(self):
        while True:
            data, client = self.front.recvfrom(65536)
            if client not in self.ways:
                self.ways[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), []
                self.ways[client][0].bind(("127.0.0.1", 0))
                self.conversations.append(self.ways[client][1])
                threading.Thread(target=self.answer, args=(client, *self.ways[client]), daemon=True).start()
            way, lines = self.ways[client]
            lines.append(f"C {data.hex()}")
            way.sendto(data, ("127.0.0.1", self.server_port))

    def answer(self, client, way, lines):
        while True:
            data = way.recv(65536)
            lines.append(f"S {data.hex()}")
            self.front.sendto(data, client)


def quic_conversations():
    """Version 1, version 2, behind a Retry, and with a server that does not know the client's protocol."""
    import asyncio
    from aioquic.asyncio import connect, serve
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.packet import QuicProtocolVersion

    async def once(folder, retry=False, protocols=("h3",), **options):
        server = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
        server.load_cert_chain(f"{folder}/shop.test.pem", f"{folder}/shop.test.key")
        port = free_port()
        listener = await serve("127.0.0.1", port, configuration=server, retry=retry)
        proxy = UdpProxy(port)
        client = QuicConfiguration(alpn_protocols=list(protocols), verify_mode=0, server_name="shop.test", **options)
        with contextlib.suppress(ConnectionError):
            async with connect("127.0.0.1", proxy.port, configuration=client) as connection:
                await connection.ping()
        listener.close()
        return proxy.conversations

    versions = [QuicProtocolVersion.VERSION_2]
    with tempfile.TemporaryDirectory() as folder:
        TlsServers(folder)
        for options in ({}, {"original_version": versions[0], "supported_versions": versions}, {"retry": True}, {"protocols": ("other",)}):
            yield from asyncio.run(once(folder, **options))


def conversations(name):
    if name == "quic-aioquic":
        return list(quic_conversations())
    if name == "tls-openssl":
        return list(tls_conversations())
    server, client = FIXTURES[name]
    with server() as port:
        proxy = Proxy(port)
        client(proxy.port)
        time.sleep(0.3)
    return proxy.conversations


def main():
    names = sys.argv[1:] or [*FIXTURES, "tls-openssl", "quic-aioquic"]
    for name in names:
        said = [lines for lines in conversations(name) if lines]
        with open(HERE / f"{name}.txt", "w") as out:
            size = 0
            for lines in said:
                size += sum(len(line) // 2 for line in lines)
                if size > MOST_BYTES:
                    break
                print("# connection", *lines, sep="\n", file=out)
        print(f"{name}: {len(said)} connections")


if __name__ == "__main__":
    main()
