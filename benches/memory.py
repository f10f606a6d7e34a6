"""The agent's memory (Pss) after the demo, and after many short-lived processes and connections."""

import os
import socket
import subprocess
import threading
import time

from agent import Agent, BenchError

DEMO_SECONDS = int(os.environ.get("LIMPID_BENCH_DEMO_SECONDS", "600"))
SHORT_LIVED = 20_000
ROUNDS = 5
DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "demo", "run")


def measure(binary):
    with Agent(binary) as agent:
        middle, after = demo(agent)
        yield row(f"agent's memory after {DEMO_SECONDS} s of the demo", [middle, after], "Pss after a fifth of the time, and at its end")
    with Agent(binary) as agent:
        yield row(f"agent's memory after {SHORT_LIVED:,} short-lived processes and connections", churn(agent), f"Pss after each of {ROUNDS} equal parts")


def row(what, sizes, how):
    flat = f"{sizes[-1]:.1f} MiB (" + ", ".join(f"{size:.1f}" for size in sizes) + ")"
    return (what, flat, "≤ 80 MiB, flat", how)


def demo(agent):
    process = subprocess.Popen([DEMO, "--small", "--seconds", str(DEMO_SECONDS)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(DEMO_SECONDS / 5)
        middle = agent.pss_mib()
        _, errors = process.communicate(timeout=DEMO_SECONDS + 120)
    except subprocess.TimeoutExpired:
        raise BenchError("the demo does not end") from None
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
    if process.returncode != 0:
        raise BenchError(f"the demo failed: {errors.strip()[-200:]}")
    return middle, agent.pss_mib()


def churn(agent):
    """Every process is new and ends at once; every connection is new, asks once over HTTP, and is closed."""
    with Listener() as port:
        sizes = []
        for _ in range(ROUNDS):
            for _ in range(SHORT_LIVED // ROUNDS):
                os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
                with socket.create_connection(("127.0.0.1", port), 10) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
                    connection.recv(200)
            sizes.append(agent.pss_mib())
    return sizes


class Listener:
    """Answers each connection once."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self.serve, daemon=True).start()
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
