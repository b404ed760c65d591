"""Debian's haproxy in a virtual machine, in front of two nginx in virtual machines of their own."""
import collections
import csv
import io
import os
import tempfile
import unittest

from machine import EXAMPLES, Machine, client, eventually, free_port, localhost_certificate

CONFIGURATION = """
global
    maxconn 500
    stats socket /run/haproxy.sock
defaults
    mode http
    timeout connect 5s
    timeout check 5s
    timeout client 60s
    timeout server 60s
    retries 2
    option redispatch
frontend plain
    bind :8080
    use_backend none if {{ path /nowhere }}
    default_backend pages
frontend encrypted
    bind :8443 ssl crt /conf/localhost.pem alpn h2,http/1.1
    http-request set-header X-Forwarded-Proto https
    default_backend pages
frontend statistics
    bind :8404
    stats enable
    stats uri /
backend pages
    balance roundrobin
    option httpchk GET /who
    default-server inter 500 fall 2 rise 1
    server first 10.0.2.2:{0} check
    server second 10.0.2.2:{1} check
backend none
    server nobody 127.0.0.1:1
listen through
    mode tcp
    bind :8081
    server first 10.0.2.2:{0}
"""


class Haproxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.large = os.urandom(3_000_000)
        ports, cls.backends = [], {}
        for name in ("first", "second"):
            pages = os.path.join(folder.name, name)
            os.mkdir(pages)
            for file, content in (("who", name.encode()), ("large", cls.large)):
                with open(os.path.join(pages, file), "wb") as out:
                    out.write(content)
            ports.append(free_port())
            cls.backends[name] = Machine(ports[-1], free_port(), pages,
                                         script=os.path.join(EXAMPLES, "nginx/run"))
            cls.addClassCleanup(cls.backends[name].stop)
            who = f"http://127.0.0.1:{ports[-1]}/who"
            eventually(lambda: client("curl", "-sS", "-m", "1", who))
        configuration = os.path.join(folder.name, "conf")
        os.mkdir(configuration)
        cls.certificate = os.path.join(localhost_certificate(), "certificate.pem")
        with open(os.path.join(configuration, "localhost.pem"), "wb") as out:
            for part in (cls.certificate, cls.certificate.replace("certificate.pem", "key.pem")):
                with open(part, "rb") as file:
                    out.write(file.read())
        with open(os.path.join(configuration, "haproxy.cfg"), "w") as out:
            out.write(CONFIGURATION.format(*ports))
        guest_ports = (8080, 8443, 8404, 8081)
        cls.ports = {guest: free_port() for guest in guest_ports}
        publish = [word for guest, host in cls.ports.items() for word in ("-p", f"{host}:{guest}")]
        cls.proxy = Machine(*publish, "-v", f"{configuration}:/conf", "haproxy", "-db", "-f",
                            "/conf/haproxy.cfg")
        cls.addClassCleanup(cls.proxy.stop)
        eventually(lambda: cls.state("first") == cls.state("second") == "UP" or 1 / 0)

    @classmethod
    def curl(cls, port, path, *words, scheme="http"):
        return client("curl", "-sS", "-m", "60", "--cacert", cls.certificate, *words,
                      f"{scheme}://localhost:{cls.ports[port]}{path}")

    @classmethod
    def state(cls, server):
        table = cls.curl(8404, "/;csv").decode().lstrip("# ")
        return {row["svname"]: row["status"] for row in csv.DictReader(io.StringIO(table))
                if row["pxname"] == "pages"}[server].split()[0]

    def test_1_balances(self):
        answers = collections.Counter(self.curl(8080, "/who") for _ in range(20))
        self.assertEqual(answers, {b"first": 10, b"second": 10})
        self.assertEqual(self.curl(8080, "/large"), self.large)
        self.assertEqual(self.curl(8081, "/who"), b"first")

    def test_2_ends_tls(self):
        self.assertEqual(self.curl(8443, "/large", scheme="https"), self.large)
        self.assertEqual(self.curl(8443, "/who", "-o", "/dev/null", "-w", "%{http_version}",
                                   scheme="https"), b"2")

    def test_3_says_when_nobody_listens(self):
        status = self.curl(8080, "/nowhere", "-o", "/dev/null", "-w", "%{http_code}")
        self.assertEqual(status, b"503")

    def test_4_load(self):
        report = client("ab", "-q", "-k", "-n", "400", "-c", "4",
                        f"http://127.0.0.1:{self.ports[8080]}/who").decode()
        self.assertIn("Complete requests:      400\n", report)
        self.assertNotIn("Non-2xx", report)

    def test_5_a_backend_ends(self):
        self.backends["first"].stop()
        answers = [self.curl(8080, "/who") for _ in range(10)]
        self.assertEqual(set(answers), {b"second"})
        eventually(lambda: self.assertEqual(self.state("first"), "DOWN"))
        self.assertEqual(self.state("second"), "UP")
