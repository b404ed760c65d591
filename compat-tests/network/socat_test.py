"""Debian's socat in a virtual machine: connections that it accepts, makes and passes on."""
import os
import socket
import threading
import unittest

from machine import Machine, client, free_port, localhost_certificate, start

DATA = os.urandom(2_000_000)


class Socat(unittest.TestCase):
    # Blocks of a page: a pipe that polls writable has room for one page, and socat's writes block.
    def socat(self, *words, published=None, kind="", data=b""):
        publish = ["-p", f"{published}:7000{kind}"] if published else []
        vm = Machine(*publish, "socat", "-d", "-d", "-b", "4096", *words, data=data)
        self.addCleanup(vm.stop)
        return vm

    def test_listener_echoes(self):
        port = free_port()
        vm = self.socat("TCP-LISTEN:7000", "PIPE", published=port)
        vm.wait_for("listening on")
        answer = client("socat", "-t", "60", "-", f"TCP:127.0.0.1:{port}", data=DATA)
        self.assertEqual(answer, DATA)
        self.assertEqual(vm.wait(), 0)

    def test_listener_writes_to_its_output(self):
        port = free_port()
        vm = self.socat("-u", "TCP-LISTEN:7000", "STDOUT", published=port)
        vm.wait_for("listening on")
        client("socat", "-u", "-", f"TCP:127.0.0.1:{port}", data=b"one line\n" * 1000)
        self.assertEqual(vm.wait(), 0)
        self.assertEqual(vm.text().count("one line\n"), 1000)

    def test_datagrams_echoed(self):
        port = free_port(socket.SOCK_DGRAM)
        vm = self.socat("UDP-LISTEN:7000", "PIPE", published=port, kind="/udp")
        vm.wait_for("listening on")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", port))
            udp.settimeout(60)
            for n in range(50):
                udp.send(b"datagram %d" % n)
                self.assertEqual(udp.recv(1000), b"datagram %d" % n)

    def test_client_receives_and_sends(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            received = bytearray()

            def serve():
                connection = server.accept()[0]
                with connection:
                    while piece := connection.recv(65_536):
                        received.extend(piece)
                    connection.sendall(b"<" + received[::-1] + b">")
            thread = threading.Thread(target=serve)
            thread.start()
            text = b"0123456789abcdef\n" * 20_000
            vm = self.socat("-t", "60", "-", f"TCP:10.0.2.2:{port}", data=text)
            self.assertEqual(vm.wait(), 0)
            thread.join(60)
        self.assertEqual(bytes(received), text)
        self.assertIn("<" + text[::-1].decode() + ">", vm.text())

    def test_passes_connections_on(self):
        target, port = free_port(), free_port()
        echo = start(["socat", f"TCP-LISTEN:{target},bind=127.0.0.1", "PIPE"])
        self.addCleanup(echo.wait)
        self.addCleanup(echo.kill)
        vm = self.socat("TCP-LISTEN:7000", f"TCP:10.0.2.2:{target}", published=port)
        vm.wait_for("listening on")
        answer = client("socat", "-t", "60", "-", f"TCP:127.0.0.1:{port}", data=DATA)
        self.assertEqual(answer, DATA)

    def test_refused_connection(self):
        vm = self.socat("-", f"TCP:10.0.2.2:{free_port()}")
        self.assertEqual(vm.wait(), 1)
        self.assertIn("Connection refused", vm.text())

    def test_tls(self):
        port = free_port()
        folder = localhost_certificate()
        vm = Machine("-p", f"{port}:7000", "-v", f"{folder}:/tls",
                     "socat", "-d", "-d", "-b", "4096",
                     "OPENSSL-LISTEN:7000,cert=/tls/certificate.pem,key=/tls/key.pem,verify=0",
                     "PIPE")
        self.addCleanup(vm.stop)
        vm.wait_for("listening on")
        answer = client("socat", "-t", "60", "-",
                        f"OPENSSL:localhost:{port},cafile={folder}/certificate.pem", data=DATA)
        self.assertEqual(answer, DATA)
        self.assertEqual(vm.wait(), 0)  # with its connection
