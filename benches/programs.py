"""The servers that are watched, each on a port and in a folder of its own. They are told apart from whatever else runs
on the machine by the name of their service, given in the environment as OpenTelemetry has it."""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request

import ports
from agent import BenchError, wait_until

NGINX_PORT = ports.NGINX
REDIS_PORT = ports.REDIS
POSTGRES_PORT = ports.POSTGRES

NGINX_CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/pid;
events {{ worker_connections 4096; }}
env OTEL_SERVICE_NAME;
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        location = /status {{ stub_status; }}
    }}
}}
"""


def environment(service):
    return {**os.environ, "OTEL_SERVICE_NAME": service}


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A server program in a folder of its own; subclasses say how it is started."""

    service = ""
    port = 0

    def __enter__(self):
        if listens(self.port):
            raise BenchError(f"port {self.port} is taken, and {self.service} needs it")
        self.folder = tempfile.mkdtemp(prefix=f"{self.service}.")
        os.chmod(self.folder, 0o755)
        self.log = open(os.path.join(self.folder, "log"), "w")
        command = self.command()
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=environment(self.service)
        )
        try:
            wait_until(lambda: listens(self.port), command[0])
        except BenchError as error:
            self.__exit__()
            raise error
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Server):
    service = "bench-nginx"
    port = NGINX_PORT

    def command(self):
        with open(os.path.join(self.folder, "small.txt"), "w") as page:
            page.write("x" * 612)
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w") as file:
            file.write(NGINX_CONFIG.format(folder=self.folder, port=self.port))
        return ["nginx", "-p", self.folder, "-c", config, "-e", os.path.join(self.folder, "error.log")]

    def served(self):
        """Requests by nginx' own count. Each look is one more, which it contains itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=10) as answer:
            return int(re.search(r"^ \d+ \d+ (\d+)", answer.read().decode(), re.M)[1])


class Redis(Server):
    service = "bench-redis"
    port = REDIS_PORT

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder]

    def served(self, command):
        """Calls of a command by Redis' own count."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(b"INFO commandstats\r\n")
            data = b""
            while b"\r\n\r\n" not in data and not data.endswith(b"\r\n"):
                data += connection.recv(65536)
        match = re.search(rf"cmdstat_{command}:calls=(\d+)".encode(), data)
        return int(match[1]) if match else 0


class Postgres(Server):
    service = "bench-postgres"
    port = POSTGRES_PORT

    def command(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        if not found:
            raise BenchError("PostgreSQL is not installed")
        user = pwd.getpwnam("postgres")
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        os.chown(data, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        initdb = os.path.join(os.path.dirname(found[-1]), "initdb")
        subprocess.run([*as_user, initdb, "-D", data, "-A", "trust", "-N"], check=True, capture_output=True)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}", "-c", "fsync=off"]
        return [*as_user, found[-1], "-D", data, "-p", str(self.port), *options]
