"""A server of several threads on several CPUs, whose connections move between them: every byte comes
back, in order, whichever CPU has a connection at the moment."""
import os
import random
import socket
import struct
import threading
import unittest

from machine import Machine, eventually, free_port

CPUS = 4
CONNECTIONS = 16
MESSAGES = 120
SENDERS = 4
DATAGRAMS = 200
TIMEOUT_S = 150
# Mostly such as leave a connection where it is: then it finds a home.
KINDS = "E" * 40 + "MBPZ"
PATTERN = bytes(i * 7 % 251 for i in range(200_000))


class Client:
    def __init__(self, port, seed):
        self.random = random.Random(seed)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # QEMU's user network may reset a connection that sends much before the guest has it.
        self.ask("E", b"hello")
        self.expect(b"hello")

    def ask(self, kind, payload):
        self.socket.sendall(bytes([ord(kind)]) + len(payload).to_bytes(3, "big") + payload)

    def expect(self, answer):
        received = bytearray()
        while len(received) < len(answer):
            piece = self.socket.recv(len(answer) - len(received))
            if not piece:
                raise AssertionError(f"the connection ended after {len(received)} bytes")
            received += piece
        if received != answer:
            raise AssertionError(f"{len(answer)} bytes came back changed")

    def payload(self):
        return self.random.randbytes(self.random.choice((1, 10, 300, 5_000, 60_000)))

    def talk(self):
        for _ in range(MESSAGES):
            kind = self.random.choice(KINDS)
            payload = self.payload()
            if kind == "Z":
                size = self.random.randrange(1, len(PATTERN))
                self.ask("Z", struct.pack("<I", size))
                self.expect(PATTERN[:size])
                continue
            self.ask(kind, payload)
            self.expect(payload)
            if kind == "B":
                following = self.payload()
                self.ask("E", following)
                self.expect(following)
        # Some leave without a word, some with a reset.
        if self.random.random() < 0.3:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def exchange_datagrams(port, seed):
    """Whole datagrams come back, and few are lost."""
    chosen = random.Random(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(("127.0.0.1", port))
        for _ in range(DATAGRAMS):
            data = chosen.randbytes(chosen.randrange(4, 1400))

            def attempt():
                peer.settimeout(1)
                peer.send(data)
                # A late answer to one that was sent twice comes first.
                while peer.recv(2000) != data:
                    pass
            eventually(attempt, TIMEOUT_S)


class Flows(unittest.TestCase):
    def setUp(self):
        self.failures = []

    def in_threads(self, functions):
        def run(name, function):
            try:
                function()
            except Exception as error:
                self.failures.append(f"{name}: {error!r}")

        threads = [threading.Thread(target=run, args=each) for each in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_connections_move(self):
        port = free_port()

        def talk(seed):
            return lambda: eventually(lambda: Client(port, seed)).talk()

        def send(seed):
            return lambda: exchange_datagrams(port, seed)

        publish = ["-p", f"{port}:7000", "-p", f"{port}:7000/udp"]
        program = [os.environ["FLOW_SERVER"], CPUS]
        with Machine("--cpus", CPUS, "--stats", *publish, *program) as vm:
            vm.wait_for("listening")
            self.in_threads([(f"connection {seed}", talk(seed)) for seed in range(CONNECTIONS)] +
                            [(f"sender {seed}", send(seed)) for seed in range(SENDERS)])
            vm.stop()
            text = vm.text()
        self.assertEqual(self.failures, [])
        # Frames were processed at the homes of their connections.
        steering = next(line for line in text.splitlines() if "steering:" in line)
        self.assertGreater(int(steering.split("at home")[1].split()[0]), 0, steering)
