"""What server.go answers."""
import hashlib
import random
import unittest

from machine import client, free_port, start_example


class Go(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_port()
        cls.base = f"http://localhost:{port}"
        start_example(cls, "go", port, ready="listening")

    def curl(self, *words, data=None):
        return client("curl", "-sS", "--fail", *words, data=data)

    def test_goroutines(self):
        expected = [n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]
        answer = self.curl(f"{self.base}/primes?below=2000").decode()
        self.assertEqual([int(line) for line in answer.splitlines()], expected)

    def test_upload(self):
        data = random.Random(1).randbytes(10_000_000)
        self.assertEqual(self.curl("--data-binary", "@-", f"{self.base}/hash", data=data).decode(),
                         hashlib.sha256(data).hexdigest())

    def test_keep_alive(self):
        words = []
        for n in range(100):
            words += ["--next", "-sS", "-w", " %{num_connects}\n", "-H", f"X-Number: {n}",
                      f"{self.base}/header/X-Number"]
        self.assertEqual(self.curl(*words[1:]).decode(),
                         "".join(f"{n} {int(n == 0)}\n" for n in range(100)))

    def test_apache_bench(self):
        for options in ([], ["-k"]):
            report = client("ab", "-q", "-n", "300", "-c", "4", *options,
                            f"{self.base}/primes?below=20").decode()
            self.assertIn("Complete requests:      300\nFailed requests:        0\n", report)
            self.assertNotIn("Non-2xx", report)
