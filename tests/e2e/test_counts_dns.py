"""DNS: questions seen are questions that BIND itself says it was asked, over UDP and over TCP, alone and many at once."""

import sys
import time

from harness import HERE, Case, Limpid, await_true, free_port, run
from servers import Bind


class CountsDns(Case):
    @classmethod
    def prepare(cls):
        cls.limpid = Limpid(cls.scope)
        cls.bind = Bind(cls.scope, "dns-shop")

    def ask(self, client, transport, count, in_flight, kind, name, *more, code="0", status="ok"):
        """What a client of its own asks, compared with what BIND has counted."""
        before = self.bind.asked(name, kind)
        program = [sys.executable, f"{HERE}/programs/dns_client.py", str(self.bind.port), transport]
        said = run([*program, str(count), str(in_flight), kind, name, *more], service=client).stdout
        self.assertEqual(said, f"{code}:{count}\n")
        self.assertEqual(self.bind.asked(name, kind) - before, count)
        # BIND answers all clients: its side is told apart by what only this one has asked.
        labels = {"protocol": "dns", "operation": kind, "code": code, "status": status, "resource": name}
        self.same(self.limpid, count, service=client, side="client", **labels)
        self.same(self.limpid, count, service="dns-shop", side="server", peer=client, **labels)

    def test_one_by_one(self):
        self.ask("ask-a", "udp", 2000, 1, "A", "web.shop.test")

    def test_one_by_one_connected(self):
        self.ask("ask-connected", "udp", 2000, 1, "AAAA", "web.shop.test", "connected")

    def test_who_has_sent_an_answer_is_not_asked_for(self):
        self.ask("ask-nameless", "udp", 1600, 16, "AAAA", "web.shop.test", "nameless")

    def test_many_in_flight(self):
        self.ask("ask-200", "udp", 1600, 200, "AAAA", "ns.shop.test")

    def test_several_in_flight(self):
        self.ask("ask-16", "udp", 1600, 16, "A", "www.shop.test")

    def test_a_socket_each_on_ports_that_are_used_again_at_once(self):
        """The server's end of a flow outlives the client that it was with."""
        self.ask("ask-ports", "udp", 3000, 1, "TXT", "web.shop.test", "ports")

    def test_a_socket_for_a_few_on_ports_that_are_used_again(self):
        self.ask("ask-ports-4", "udp", 3000, 4, "TXT", "www.shop.test", "ports")

    def test_names_that_do_not_exist(self):
        self.ask("ask-none", "udp", 300, 1, "A", "none.shop.test", code="3")

    def test_a_server_that_fails(self):
        self.ask("ask-broken", "udp", 300, 1, "A", "a.broken.test", code="2", status="error")

    def test_over_tcp(self):
        self.ask("ask-tcp", "tcp", 1000, 1, "A", "web.shop.test")

    def test_over_tcp_many_in_a_call(self):
        self.ask("ask-tcp-16", "tcp", 1600, 16, "AAAA", "www.shop.test")

    def test_dig_has_a_socket_for_each_question(self):
        names = self.scope.path("names")
        with open(names, "w") as file:
            file.writelines("web.shop.test A\nwww.shop.test AAAA\n" for _ in range(100))
        run(["dig", "@127.0.0.1", "-p", str(self.bind.port), "+nocookie", "-f", names], service="ask-dig")
        self.same(self.limpid, 100, service="ask-dig", side="client", protocol="dns", operation="A", code="0")
        self.same(self.limpid, 100, service="ask-dig", side="client", protocol="dns", operation="AAAA", code="0")
        self.same(self.limpid, 200, service="dns-shop", peer="ask-dig", side="server", protocol="dns", status="ok")

    def test_no_answer(self):
        """The same question, sent three times by one socket, is one request; it is told when the socket is closed."""
        port = free_port()
        silent = self.scope.start("silent", [sys.executable, f"{HERE}/programs/udp_silent.py", str(port)], service="dns-silent")
        await_true(lambda: "listens" in silent.output(), "the silent server to listen")
        question = r"b'\0\7\1\0\0\1\0\0\0\0\0\0\3web\4shop\4test\0\0\1\0\1'"
        asks = f"import socket,time; s=socket.socket(type=socket.SOCK_DGRAM); s.connect(('127.0.0.1',{port}))\n" \
               f"for i in range(3): s.send({question}); time.sleep(0.3)"
        run([sys.executable, "-c", asks], service="ask-silent")
        labels = {"protocol": "dns", "service": "ask-silent", "side": "client", "operation": "A"}
        await_true(lambda: self.limpid.count(**labels) >= 1, "the question to be told", seconds=90)
        time.sleep(1)
        self.assertEqual(self.limpid.count(**labels, status="unanswered"), 1)
        self.assertEqual(self.limpid.count(**labels), 1)

