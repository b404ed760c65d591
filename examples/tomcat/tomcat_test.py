"""What Tomcat answers for app/."""
import os
import tempfile
import unittest

from machine import client, free_port, start_example

FOLDER = os.path.dirname(os.path.realpath(__file__))


class Tomcat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_port()
        cls.base = f"http://localhost:{port}"
        cls.addClassCleanup(cls.check_end)
        start_example(cls, "tomcat", port, ready="Server startup in")

    @classmethod
    def check_end(cls):
        status = cls.server.wait()
        assert 'Destroying ProtocolHandler ["http-nio-8080"]' in cls.server.text()
        assert status == 128 + 15, status  # what the JVM returns after its shutdown hooks

    def curl(self, *words, status=0):
        return client("curl", "-sS", "--fail", *words, status=status)

    def test_page(self):
        with open(os.path.join(FOLDER, "app/index.html"), "rb") as file:
            self.assertEqual(self.curl(f"{self.base}/"), file.read())

    def test_sessions(self):
        url = f"{self.base}/hello.jsp?name=J%C3%BCrgen"
        with tempfile.NamedTemporaryFile() as jar:
            for visit in range(1, 6):
                answer = self.curl("-b", jar.name, "-c", jar.name, url).decode()
                self.assertEqual(answer, f"Hello Jürgen, visit {visit}\n")
        self.assertEqual(self.curl(url).decode(), "Hello Jürgen, visit 1\n")

    def test_errors(self):
        answer = client("curl", "-s", "-w", "%{http_code}", f"{self.base}/missing.jsp").decode()
        self.assertTrue(answer.endswith("404"))
        self.assertIn("Apache Tomcat/10", answer)

    def test_apache_bench(self):
        report = client("ab", "-q", "-k", "-n", "100", "-c", "4",
                        f"{self.base}/hello.jsp?name=ab").decode()
        self.assertIn("Complete requests:      100\nFailed requests:        0\n", report)
        self.assertNotIn("Non-2xx", report)
