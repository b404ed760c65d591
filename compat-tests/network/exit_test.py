"""What a program has sent before it ends reaches the peers, as on a machine that goes on."""
import socket
import time
import unittest

from machine import Machine, free_port

SIZE = 1_500_000
PROGRAM = """
import os, socket, sys
kind, port = sys.argv[1], int(sys.argv[2])
if kind == "datagram":
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"the only one", ("10.0.2.2", port))
    os._exit(3)
if kind == "accept":
    server = socket.create_server(("", port))
    print("listening", flush=True)
    peer = server.accept()[0]
else:
    peer = socket.create_connection(("10.0.2.2", port))
peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
peer.sendall(b"0123456789abcdef" * (%d // 16))
if kind == "kill":
    os.kill(os.getpid(), 15)
os._exit(3)
""" % SIZE
EXPECTED = b"0123456789abcdef" * (SIZE // 16)


class Exit(unittest.TestCase):
    def program(self, kind, port, *options):
        vm = Machine(*options, "/usr/bin/python3", "-c", PROGRAM, kind, port)
        self.addCleanup(vm.stop)
        return vm

    def read_all(self, connection, pause=0.0):
        received = bytearray()
        while piece := connection.recv(20_000):
            received.extend(piece)
            time.sleep(pause)
        return bytes(received)

    def serve(self, kind, status, pause):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(60)
            vm = self.program(kind, server.getsockname()[1])
            connection = server.accept()[0]
            with connection:
                connection.settimeout(60)
                self.assertEqual(self.read_all(connection, pause), EXPECTED)
            self.assertEqual(vm.wait(), status)

    def test_client(self):
        self.serve("connect", 3, 0.0)

    def test_client_of_a_slow_server(self):
        self.serve("connect", 3, 0.01)

    def test_killed_client(self):
        self.serve("kill", 143, 0.0)

    def test_server(self):
        port = free_port()
        vm = self.program("accept", 7000, "-p", f"{port}:7000")
        vm.wait_for("listening")
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            self.assertEqual(self.read_all(connection), EXPECTED)
        self.assertEqual(vm.wait(), 3)

    def test_datagram(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            udp.settimeout(60)
            vm = self.program("datagram", udp.getsockname()[1])
            self.assertEqual(udp.recv(100), b"the only one")
            self.assertEqual(vm.wait(), 3)
