"""What nginx serves to curl, ab and wrk."""
import gzip
import os
import random
import re
import tempfile
import unittest

from machine import Machine, client, eventually, free_port

FOLDER = os.path.dirname(os.path.realpath(__file__))
CERTIFICATE = os.path.join(FOLDER, "../../build/examples/localhost/certificate.pem")
SIZES = (0, 1, 1459, 1460, 1461, 4096, 65_537, 1_000_000, 20_000_003)


class Nginx(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        noise = random.Random(1)
        cls.files = {f"{size}.bin": noise.randbytes(size) for size in SIZES}
        cls.files["numbers.txt"] = "".join(f"{n}\n" for n in range(50_000)).encode()
        cls.files["small.html"] = b"<p>small</p>\n" * 10
        for name, content in cls.files.items():
            with open(os.path.join(folder.name, name), "wb") as file:
                file.write(content)
        cls.http_port, cls.https_port = free_port(), free_port()
        cls.http = f"http://localhost:{cls.http_port}"
        cls.https = f"https://localhost:{cls.https_port}"
        cls.server = Machine(cls.http_port, cls.https_port, folder.name,
                             script=os.path.join(FOLDER, "run"))
        cls.addClassCleanup(cls.server.stop)
        eventually(lambda: cls.curl("-m", "1", f"{cls.http}/status"))

    @classmethod
    def curl(cls, *words, status=0):
        return client("curl", "-sS", "--fail", "--cacert", CERTIFICATE, *words, status=status)

    def check_files(self, base, *options):
        for name, content in self.files.items():
            with self.subTest(name):
                self.assertEqual(self.curl(*options, f"{base}/{name}"), content)

    def test_files(self):
        self.check_files(self.http)

    def test_files_over_tls(self):
        self.check_files(self.https, "--http1.1")

    def test_files_over_http2(self):
        self.check_files(self.https, "--http2")
        self.assertEqual(self.curl("--http2", "-o", "/dev/null", "-w", "%{http_version} %{scheme}",
                                   f"{self.https}/small.html"), b"2 HTTPS")

    def test_http2_streams_at_once(self):
        url = f"{self.https}/numbers.txt"
        report = client("h2load", "-n", "40", "-c", "2", "-m", "10", url).decode()
        size = len(self.files["numbers.txt"])
        self.assertIn("40 succeeded, 0 failed, 0 errored, 0 timeout", report)
        self.assertIn(f"({40 * size}) data", report)

    def test_keep_alive(self):
        names = [name for name in self.files if len(self.files[name]) < 100_000] * 20
        urls = [word for name in names for word in ("-o", "/dev/null", f"{self.http}/{name}")]
        # The number of connections that each transfer made.
        made = self.curl("-w", "%{num_connects} %{size_download}\n", *urls).decode().split("\n")
        self.assertEqual(made[:-1], [f"{int(n == 0)} {len(self.files[name])}"
                                     for n, name in enumerate(names)])

    def test_gzip(self):
        got = self.curl("-H", "Accept-Encoding: gzip", f"{self.http}/numbers.txt")
        self.assertEqual(gzip.decompress(got), self.files["numbers.txt"])
        self.assertLess(len(got), len(self.files["numbers.txt"]) // 2)

    def test_ranges(self):
        content = self.files["20000003.bin"]
        url = f"{self.http}/20000003.bin"
        self.assertEqual(self.curl("-r", "19999990-", url), content[19_999_990:])
        self.assertEqual(self.curl("-r", "1000000-1999999", url), content[1_000_000:2_000_000])
        self.curl("-r", "30000000-", url, status=22)  # 416

    def test_errors(self):
        answer = client("curl", "-s", "-w", "%{http_code}", f"{self.http}/missing").decode()
        self.assertTrue(answer.endswith("404"))
        # A certificate that the client does not know.
        client("curl", "-s", f"{self.https}/small.html", status=60)

    def test_apache_bench(self):
        for options in ([], ["-k"]):
            report = client("ab", "-q", "-n", "500", "-c", "5", *options,
                            f"{self.http}/small.html").decode()
            self.assertIn("Complete requests:      500\nFailed requests:        0\n", report)
            size = len(self.files["small.html"])
            self.assertRegex(report, rf"HTML transferred: +{500 * size} bytes")

    def test_wrk(self):
        report = client("wrk", "-t", "1", "-c", "4", "-d", "1", "--timeout", "60",
                        f"{self.http}/4096.bin").decode()
        self.assertNotRegex(report, "Socket errors|Non-2xx")
        self.assertGreater(int(re.search(r"(\d+) requests in", report)[1]), 0)
