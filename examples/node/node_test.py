"""What server.mjs answers, over HTTP and HTTPS."""
import hashlib
import json
import os
import random
import unittest

from machine import client, free_port, start_example

FOLDER = os.path.dirname(os.path.realpath(__file__))
CERTIFICATE = os.path.join(FOLDER, "../../build/examples/localhost/certificate.pem")


class Node(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        ports = free_port(), free_port()
        cls.http, cls.https = f"http://localhost:{ports[0]}", f"https://localhost:{ports[1]}"
        start_example(cls, "node", *ports, ready="listening")

    def curl(self, *words, data=None):
        return client("curl", "-sS", "--fail", "--cacert", CERTIFICATE, *words, data=data)

    def test_echo(self):
        for base in (self.http, self.https):
            answer = json.loads(self.curl("-A", "test", "-X", "OPTIONS",
                                          f"{base}/echo?a=1&b=%C3%A4"))
            self.assertEqual(answer, {"method": "OPTIONS", "query": {"a": "1", "b": "ä"},
                                      "agent": "test"})

    def test_upload(self):
        for base, size in ((self.http, 4_000_000), (self.https, 1_000_000)):
            data = random.Random(size).randbytes(size)
            answer = self.curl("--data-binary", "@-", f"{base}/hash", data=data).decode()
            self.assertEqual(answer, hashlib.sha256(data).hexdigest())

    def test_stream(self):
        lines = 30_000
        expected = "".join(f"line {n}\n" for n in range(lines)).encode()
        self.assertEqual(self.curl(f"{self.https}/stream?lines={lines}"), expected)
        # Slower to read than to write: the server must wait.
        self.assertEqual(self.curl("--limit-rate", "300k", f"{self.http}/stream?lines={lines}"),
                         expected)

    def test_keep_alive(self):
        urls = [word for n in range(50) for word in ("-o", "/dev/null", f"{self.https}/echo?n={n}")]
        made = self.curl("-w", "%{num_connects}", *urls).decode()
        self.assertEqual(made, "1" + 49 * "0")

    def test_apache_bench(self):
        report = client("ab", "-q", "-k", "-n", "200", "-c", "4", f"{self.http}/echo").decode()
        self.assertIn("Complete requests:      200\nFailed requests:        0\n", report)
        self.assertNotIn("Non-2xx", report)
