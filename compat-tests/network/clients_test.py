"""Debian's curl and wget in virtual machines, as clients of Debian's nginx on the host."""
import hashlib
import os
import random
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from machine import Machine, client, eventually, free_port, localhost_certificate, start

CONFIGURATION = """
daemon off; master_process off; user root; pid {folder}/pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    types {{ text/html html; text/plain txt; }}
    access_log off; gzip on; gzip_types text/plain;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl http2;
        ssl_certificate {tls}/certificate.pem; ssl_certificate_key {tls}/key.pem;
        root {folder}/www;
        location /moved {{ return 302 /small.txt; }}
    }}
}}
"""
PAGE = ('<a href="small.txt">one</a> <a href="sub/page.html">two</a> '
        '<a href="missing.html">three</a>')


class Uploads(BaseHTTPRequestHandler):
    """Answers with the SHA-256 of what was sent."""

    def do_POST(self):
        digest = hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(digest.hexdigest().encode())

    do_PUT = do_POST

    def log_message(self, *_):
        pass


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.files = {"small.txt": b"a small file\n" * 3, "sub/page.html": b"<p>below</p>\n",
                     "index.html": PAGE.encode(),
                     "large.bin": random.Random(1).randbytes(5_000_000),
                     "long.txt": b"0123456789\n" * 50_000}
        os.makedirs(os.path.join(folder.name, "www/sub"))
        for name, content in cls.files.items():
            with open(os.path.join(folder.name, "www", name), "wb") as out:
                out.write(content)
        cls.http_port, cls.https_port = free_port(), free_port()
        cls.tls = localhost_certificate()
        configuration = os.path.join(folder.name, "nginx.conf")
        with open(configuration, "w") as out:
            out.write(CONFIGURATION.format(folder=folder.name, tls=cls.tls, http=cls.http_port,
                                           https=cls.https_port))
        nginx = start(["/usr/sbin/nginx", "-c", configuration], stderr=-3)
        cls.addClassCleanup(nginx.wait)
        cls.addClassCleanup(nginx.terminate)
        eventually(lambda: client("curl", "-sS", f"http://127.0.0.1:{cls.http_port}/small.txt"))
        cls.http = f"http://10.0.2.2:{cls.http_port}"
        # The name that the certificate is for is given this address.
        cls.https = f"https://localhost:{cls.https_port}"
        cls.resolve = ["--resolve", f"localhost:{cls.https_port}:10.0.2.2"]

    def run_in_vm(self, *words, data=b"", status=0, options=()):
        with Machine("-m", "384m", "-v", f"{self.tls}/certificate.pem:/tls/certificate.pem",
                     *options, *words, data=data) as vm:
            self.assertEqual(vm.wait(), status, vm.text()[-500:])
            return vm.bytes()

    def curl(self, *words, **how):
        return self.run_in_vm("curl", "-sS", "--cacert", "/tls/certificate.pem", *self.resolve,
                              *words, **how)

    def test_curl_gets(self):
        self.assertEqual(self.curl(f"{self.http}/large.bin"), self.files["large.bin"])
        self.assertEqual(self.curl(f"{self.https}/large.bin", "-w", "%{http_version}"),
                         self.files["large.bin"] + b"2")
        self.assertEqual(self.curl("--compressed", f"{self.http}/long.txt"), self.files["long.txt"])
        self.assertEqual(self.curl("-L", "-r", "2-6", f"{self.http}/moved"), b"small")

    def test_curl_gets_in_parallel(self):
        names = ["small.txt", "long.txt", "index.html"] * 5
        words = [word for n, name in enumerate(names)
                 for word in ("-o", f"/tmp/{n}", f"{self.http}/{name}")]
        sizes = self.curl("-Z", "--no-progress-meter", "-w", "%{size_download}\n", *words).split()
        self.assertEqual(sorted(map(int, sizes)), sorted(len(self.files[name]) for name in names))

    def test_curl_sends(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Uploads)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://10.0.2.2:{server.server_port}/"
            data = random.Random(2).randbytes(3_000_000)
            expected = hashlib.sha256(data).hexdigest().encode()
            self.assertEqual(self.curl("--data-binary", "@-", url, data=data), expected)
            self.assertEqual(self.curl("-T", "/etc/passwd", url),
                             self.curl("--data-binary", "@/etc/passwd", url))
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def test_curl_says_what_went_wrong(self):
        self.assertIn(b"Couldn't connect", self.curl(f"http://10.0.2.2:{free_port()}/", status=7))
        self.assertIn(b"404", self.curl("--fail", f"{self.http}/missing", status=22))
        self.run_in_vm("curl", "-sS", *self.resolve, self.https, status=60)
        self.curl("-m", "1", "http://10.0.2.77/", status=28)

    def test_wget_gets(self):
        self.assertEqual(self.run_in_vm("wget", "-q", "-O", "-", f"{self.http}/large.bin"),
                         self.files["large.bin"])
        self.assertEqual(self.run_in_vm("wget", "-q", "-O", "-", f"{self.http}/moved"),
                         self.files["small.txt"])

    def test_wget_mirrors(self):
        said = self.run_in_vm("wget", "-nv", "-r", "-P", "/tmp", f"{self.http}/", status=8).decode()
        self.assertIn("ERROR 404", said)
        for name in ("index.html", "small.txt", "sub/page.html"):
            size = len(self.files[name])
            self.assertRegex(said, rf'\[{size}(/{size})?\] -> "\S*/{name}"')
