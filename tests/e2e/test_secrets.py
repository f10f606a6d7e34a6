"""Canaries planted in traffic, command lines and environments appear nowhere: not in a file, not in an answer."""

import os
import socket
import sys

from harness import Case, Limpid, await_true, fetch, run
from servers import Nginx, Postgres, Redis

# One of each kind; they have nothing in common but the first letters, by which all are found.
MARK = "canary7"
PLACES = ["query", "authorization", "cookie", "body", "password", "environment", "key", "value", "auth", "literal",
          "prepared", "argument", "userinfo", "token"]
CANARY = {place: f"{MARK}{place}" for place in PLACES}
HTTP = f"""
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for _ in range(20):
    connection.request("POST", "/ok?token={CANARY['query']}&password={CANARY['token']}", body="{CANARY['body']}", headers={{
        "Authorization": "Bearer {CANARY['authorization']}", "Cookie": "session={CANARY['cookie']}",
        "Referer": "http://{CANARY['userinfo']}:x@example.com/", "X-Api-Key": "{CANARY['token']}"}})
    connection.getresponse().read()
"""
SQL = f"""
import psycopg2, sys
connection = psycopg2.connect(host="127.0.0.1", port=sys.argv[1], user="postgres", dbname="postgres", password="{CANARY['auth']}")
connection.autocommit = True
cursor = connection.cursor()
for statement in ("SELECT '{CANARY['literal']}'", "SELECT $${CANARY['literal']}$$", "SELECT E'\\\\'{CANARY['literal']}'",
                  "SELECT 1 -- {CANARY['literal']}", "SELECT /* {CANARY['literal']} */ 2",
                  "PREPARE pick AS SELECT $1::text", "EXECUTE pick('{CANARY['prepared']}')",
                  "CREATE USER reader PASSWORD '{CANARY['password']}'", "SELECT '{CANARY['literal']}' FROM nowhere"):
    try:
        cursor.execute(statement)
    except psycopg2.Error:
        pass
cursor.execute("SELECT %s", ("{CANARY['literal']}",))
"""


class Secrets(Case):
    @classmethod
    def prepare(cls):
        cls.limpid = Limpid(cls.scope, "up", "--sample", "all")
        cls.nginx, cls.redis = Nginx(cls.scope, "secret-nginx"), Redis(cls.scope, "secret-redis")
        cls.postgres = Postgres(cls.scope, "secret-postgres")
        env = {**os.environ, "API_TOKEN": CANARY["environment"], "DATABASE_PASSWORD": CANARY["environment"]}
        # Command lines carry secrets too; a script's own path names its service.
        hidden = [f"--password={CANARY['argument']}", "--token", CANARY["argument"],
                  f"http://user:{CANARY['userinfo']}@127.0.0.1/"]
        for name, text in (("shop-http.py", HTTP), ("shop-sql.py", SQL)):
            with open(cls.scope.path(name), "w") as file:
                file.write(text)
        run([sys.executable, cls.scope.path("shop-http.py"), str(cls.nginx.port), *hidden], env=env, service="secret-http")
        run([sys.executable, cls.scope.path("shop-sql.py"), str(cls.postgres.port), *hidden], env=env, service="secret-sql")
        cls.ask_redis()
        for service in ("secret-nginx", "secret-postgres", "secret-redis"):
            labels = {"service": service, "side": "server"}
            await_true(lambda: cls.limpid.stored(**labels) >= 9, f"requests of {service} in the store", every=0.3)

    @classmethod
    def ask_redis(cls):
        commands = [("set", CANARY["key"], CANARY["value"]), ("get", CANARY["key"]), ("auth", CANARY["auth"]),
                    ("hset", "h", CANARY["key"], CANARY["value"]), ("eval", f"return '{CANARY['value']}'", "0"),
                    ("config", "set", "requirepass", ""), ("lpush", CANARY["key"], CANARY["value"]),
                    ("migrate", "127.0.0.1", "1", CANARY["key"], "0", "1", "AUTH", CANARY["auth"]),
                    (CANARY["key"], CANARY["value"]), ("publish", CANARY["key"], CANARY["value"])]
        # As bytes on a socket: on a command line they would be arguments of somebody else's program (see below).
        with socket.create_connection(("127.0.0.1", cls.redis.port)) as connection:
            for command in commands:
                words = [f"${len(word)}\r\n{word}\r\n" for word in command]
                connection.sendall(f"*{len(command)}\r\n{''.join(words)}".encode())
                connection.recv(65536)
            connection.sendall(f"set {CANARY['key']} {CANARY['value']}\r\n".encode())
            connection.recv(65536)

    def traces(self):
        services = ("secret-nginx", "secret-redis", "secret-postgres")
        return [trace for service in services for trace in self.limpid.api("/api/traces", service=service, limit=200)["traces"]]

    def absent(self, text, where):
        at = text.find(MARK)
        self.assertEqual(at, -1, f"{where}: {text[max(0, at - 200):at + 60]}")

    def test_traffic_was_seen(self):
        """Otherwise the absence of canaries would prove nothing."""
        names = {trace["root"] for trace in self.traces()}
        for name in ("POST /ok", "SET"):
            self.assertIn(name, names)
        self.assertGreaterEqual(self.limpid.stored(service="secret-postgres", operation="CREATE"), 1)

    def test_metrics(self):
        self.absent(fetch(f"{self.limpid.agent_url}/metrics"), "the agent's /metrics")
        self.absent(fetch(f"{self.limpid.url}/metrics"), "the server's /metrics")
        self.absent(fetch(f"{self.limpid.url}/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D"), "/api/v1/series")

    def test_traces(self):
        found = self.traces()
        self.assertGreater(len(found), 30)
        for trace in found:
            path = f"/api/traces/{trace['trace_id']}"
            self.absent(fetch(f"{self.limpid.url}{path}"), path)

    def test_map_entities_and_events(self):
        nodes = []
        for level in ("service", "process", "host"):
            answer = fetch(f"{self.limpid.url}/api/topology?level={level}")
            self.absent(answer, f"/api/topology at the level {level}")
            nodes += [node["id"] for node in self.limpid.api("/api/topology", level=level)["nodes"]]
        self.assertTrue([node for node in nodes if node.startswith("process:")])
        for node in nodes:
            if node.startswith(("service:", "process:")):
                self.absent(fetch(f"{self.limpid.url}/api/entities/{node}"), node)
        for path in ("/api/events", "/api/services", "/api/status"):
            self.absent(fetch(f"{self.limpid.url}{path}"), path)

    def test_the_data_folder(self):
        """Twice: the log while it is written, and the files after a stop has compressed them."""
        self.search_folder()
        self.limpid.program.stop()
        self.search_folder()
        self.absent(self.limpid.program.output(), "the log of limpid")
        self.limpid.start()
        for trace in self.traces():
            self.absent(fetch(f"{self.limpid.url}/api/traces/{trace['trace_id']}"), "a trace out of a file")

    def search_folder(self):
        files = [os.path.join(folder, name) for folder, _, names in os.walk(self.limpid.data) for name in names]
        self.assertTrue(files)
        for path in files:
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    self.assertEqual(file.read().find(MARK.encode()), -1, path)


class ArgumentsThatAreData(Case):
    def test_data_on_the_command_line_of_a_client(self):
        """What stands alone on a command line, without an option's name that says it is secret."""
        limpid, redis, nginx = Limpid(self.scope), Redis(self.scope, "data-redis"), Nginx(self.scope, "data-nginx")
        for _ in range(5):
            redis.cli("set", CANARY["key"], CANARY["value"], service="data-cli")
            run(["sh", "-c", f"redis-cli -p {redis.port} set {CANARY['key']} {CANARY['value']}; true"], service="data-cli")
            run(["curl", "-sS", "-u", f"me:{CANARY['password']}", "-H", f"X-Any: {CANARY['token']}", "-d", CANARY["body"],
                 f"http://me:{CANARY['userinfo']}@127.0.0.1:{nginx.port}/ok?a={CANARY['query']}"], service="data-curl")
        await_true(lambda: limpid.stored(service="data-redis", side="server", operation="SET") >= 10, "the commands in the store")
        await_true(lambda: limpid.stored(service="data-nginx", side="server") >= 5, "the requests in the store")
        seen = ""
        for service in ("data-redis", "data-nginx"):
            for trace in limpid.api("/api/traces", service=service, limit=20)["traces"]:
                seen += fetch(f"{limpid.url}/api/traces/{trace['trace_id']}")
        self.assertNotIn(MARK, seen)
        # The client's own words are there, or their absence would prove nothing.
        self.assertIn("set REDACTED REDACTED", seen)
        self.assertIn("curl -sS", seen)
