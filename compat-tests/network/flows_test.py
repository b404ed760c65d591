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
        for self.number in range(MESSAGES):
            kind = self.random.choice(KINDS)
            payload = self.payload()
            self.doing = f"{kind} of {len(payload)}"
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


class Flows(unittest.TestCase):
    def test_connections_move(self):
        port = free_port()
        program = os.environ["FLOW_SERVER"]
        failures = []

        def run(seed):
            client = eventually(lambda: Client(port, seed))
            try:
                client.talk()
            except Exception as error:
                failures.append(f"client {seed} at {client.number}, {client.doing}: {error!r}")

        with Machine("--cpus", CPUS, "--stats", "-p", f"{port}:7000", program, CPUS) as vm:
            vm.wait_for("listening")
            clients = [threading.Thread(target=run, args=(seed,)) for seed in range(CONNECTIONS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            vm.stop()
            text = vm.text()
        self.assertEqual(failures, [])
        # Frames were processed at the homes of their connections.
        steering = next(line for line in text.splitlines() if "steering:" in line)
        self.assertGreater(int(steering.split("at home")[1].split()[0]), 0, steering)
