"""What Server.java answers."""
import hashlib
import random
import unittest
from concurrent.futures import ThreadPoolExecutor

from machine import client, free_port, start_example


class Java(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_port()
        cls.base = f"http://localhost:{port}"
        start_example(cls, "java", port, ready="listening")

    def curl(self, *words, data=None):
        return client("curl", "-sS", "--fail", *words, data=data)

    def test_echo(self):
        self.assertEqual(self.curl(f"{self.base}/echo?one=1"), b"GET one=1 0\n")
        self.assertEqual(self.curl("-d", "some body", f"{self.base}/echo?two"), b"POST two 9\n")

    def test_upload(self):
        data = random.Random(1).randbytes(2_000_000)
        self.assertEqual(self.curl("--data-binary", "@-", f"{self.base}/hash", data=data).decode(),
                         hashlib.sha256(data).hexdigest())

    def test_chunks(self):
        self.assertEqual(self.curl(f"{self.base}/lines?20000"),
                         "".join(f"line {n}\n" for n in range(20_000)).encode())

    def test_many_at_once(self):
        def ask(n):
            expected = b"".join(b"line %d\n" % i for i in range(n))
            return self.curl(f"{self.base}/lines?{n}") == expected
        with ThreadPoolExecutor(4) as pool:
            self.assertTrue(all(pool.map(ask, range(1, 400, 10))))

    def test_apache_bench(self):
        report = client("ab", "-q", "-k", "-n", "150", "-c", "4", f"{self.base}/echo?x").decode()
        self.assertIn("Complete requests:      150\nFailed requests:        0\n", report)
        self.assertNotIn("Non-2xx", report)
