"""What server.py and python3 -m http.server answer."""
import os
import random
import socket
import tempfile
import unittest

from machine import Machine, client, eventually, free_port, start_example

FOLDER = os.path.dirname(os.path.realpath(__file__))
CONNECTIONS = 100


class Asyncio(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.addClassCleanup(cls.check_end)
        start_example(cls, "python", cls.port, ready="listening")

    @classmethod
    def check_end(cls):
        status = cls.server.wait()
        assert status == 0, status

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.addCleanup(connection.close)
        file = connection.makefile("rwb")
        self.addCleanup(file.close)
        return file

    def ask(self, file, line):
        file.write(line + b"\n")
        file.flush()
        return file.readline()

    def test_lines_of_many_connections(self):
        files = []
        before = int(self.ask(self.connect(), b"count"))
        for n in range(CONNECTIONS):
            files.append(self.connect())
            self.assertEqual(self.ask(files[-1], b"%d two three" % n), b"three two %d\n" % n)
        for n, file in enumerate(files):
            self.assertEqual(self.ask(file, b"again %d" % n), b"%d again\n" % n)
        self.assertEqual(int(self.ask(files[0], b"count")), before + 2 * CONNECTIONS)

    def test_long_lines(self):
        words = [b"%d" % n for n in range(10_000)]
        self.assertEqual(self.ask(self.connect(), b" ".join(words)),
                         b" ".join(reversed(words)) + b"\n")

    def test_half_closed_connection(self):
        answer = client("socat", "-t", "60", "-", f"TCP:127.0.0.1:{self.port}",
                        data=b"a b\nc d e\n")
        self.assertEqual(answer, b"b a\ne d c\n")

    def test_datagrams(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(60)
            udp.connect(("127.0.0.1", self.port))
            for size in (1, 1000, 1472, 1473, 9000):
                udp.send(b"x" * size)
                self.assertEqual(udp.recv(10_000), b"X" * size)


class HttpServer(unittest.TestCase):
    def test_folder(self):
        port = free_port()
        content = random.Random(1).randbytes(3_000_000)
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "some file"), "wb") as file:
                file.write(content)
            os.mkdir(os.path.join(folder, "inside"))
            with Machine("files", port, folder, script=os.path.join(FOLDER, "run")) as server:
                base = f"http://127.0.0.1:{port}"
                server.wait_for("Serving HTTP")
                listing = client("curl", "-sS", "--fail", f"{base}/").decode()
                self.assertIn('<a href="some%20file">some file</a>', listing)
                self.assertIn('<a href="inside/">inside/</a>', listing)
                self.assertEqual(client("wget", "-q", "-O", "-", f"{base}/some%20file"), content)
                missing = client("curl", "-s", "-w", "%{http_code}", f"{base}/none").decode()
                self.assertTrue(missing.endswith("404"))
                eventually(lambda: self.assertIn('"GET /none HTTP/1.1" 404', server.text()))
