"""What memcached answers, over both protocols and both transports."""
import os
import re
import socket
import struct
import unittest

from machine import Machine, client, eventually, free_port

FOLDER = os.path.dirname(os.path.realpath(__file__))
CONNECTIONS = 1000


class Text:
    """One connection that speaks the text protocol."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")

    def ask(self, line, data=b""):
        self.socket.sendall(line.encode() + b"\r\n" + data)
        return self.file.readline()

    def store(self, key, value):
        return self.ask(f"set {key} 7 0 {len(value)}", value + b"\r\n")

    def load(self, key):
        header = self.ask(f"get {key}")
        if header == b"END\r\n":
            return None
        word, name, flags, size = header.split()
        value = self.file.read(int(size) + 2)[:-2]
        if (word, name, flags) != (b"VALUE", key.encode(), b"7") or \
                self.file.readline() != b"END\r\n":
            raise AssertionError(f"get {key}: {header}")
        return value

    def close(self):
        self.file.close()
        self.socket.close()


class Memcached(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.server = Machine(cls.port, script=os.path.join(FOLDER, "run"))
        cls.addClassCleanup(cls.server.stop)
        eventually(cls.answer)

    @classmethod
    def answer(cls):
        # A connection made before the guest has its address is answered seconds later.
        with socket.create_connection(("127.0.0.1", cls.port), timeout=1) as connection:
            connection.sendall(b"version\r\n")
            if not connection.recv(100).startswith(b"VERSION "):
                raise AssertionError("not ready")

    @classmethod
    def statistics(cls):
        text = client("memcstat", f"--servers=127.0.0.1:{cls.port}").decode()
        return dict(re.findall(r"^\s*(\w+): (.*)$", text, re.MULTILINE))

    def connect(self):
        connection = Text(self.port)
        self.addCleanup(connection.close)
        return connection

    def test_both_protocols_by_the_book(self):
        answer = client("memccapable", "-h", "127.0.0.1", "-p", self.port).decode()
        self.assertIn("All tests passed", answer)
        self.assertGreater(answer.count("[pass]"), 40)

    def test_thousand_connections(self):
        connections = []
        for _ in range(CONNECTIONS):
            connections.append(self.connect())
            # QEMU's user network takes no second connection before it has forwarded the first.
            self.assertRegex(connections[-1].ask("version"), b"VERSION ")
        self.assertGreaterEqual(int(self.statistics()["curr_connections"]), CONNECTIONS)
        for n, connection in enumerate(connections):
            self.assertEqual(connection.store(f"of:{n}", f"value {n}".encode()), b"STORED\r\n")
        # Each reads what another one wrote.
        for n, connection in enumerate(connections):
            other = (n * 7 + 1) % CONNECTIONS
            self.assertEqual(connection.load(f"of:{other}"), f"value {other}".encode())

    def test_values_of_many_sizes(self):
        connection = self.connect()
        for size in (0, 1, 1000, 1459, 1460, 1461, 65_535, 65_536, 1_000_000):
            value = (b"%d " % size * (size // 2 + 1))[:size]
            self.assertEqual(connection.store("sized", value), b"STORED\r\n")
            self.assertEqual(connection.load("sized"), value)
        self.assertEqual(connection.store("sized", bytes(2_000_000)),
                         b"SERVER_ERROR object too large for cache\r\n")

    def test_pipelined_requests(self):
        connection = self.connect()
        count = 2000
        connection.socket.sendall(b"".join(
            b"set p:%d 0 0 4\r\n%04d\r\nget p:%d\r\n" % (n, n, n) for n in range(count)))
        for n in range(count):
            answer = [connection.file.readline() for _ in range(4)]
            self.assertEqual(answer, [b"STORED\r\n", b"VALUE p:%d 0 4\r\n" % n, b"%04d\r\n" % n,
                                      b"END\r\n"])

    def test_udp(self):
        self.assertEqual(self.connect().store("datagram", b"over udp"), b"STORED\r\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(60)
            udp.connect(("127.0.0.1", self.port))
            for request in range(200):
                # The header: request, number of this datagram, how many, reserved.
                udp.send(struct.pack(">4H", request, 0, 1, 0) + b"get datagram\r\n")
                answer = udp.recv(2000)
                self.assertEqual(struct.unpack(">4H", answer[:8]), (request, 0, 1, 0))
                self.assertEqual(answer[8:], b"VALUE datagram 7 8\r\nover udp\r\nEND\r\n")
