"""A device that takes frames more slowly than programs send them: datagrams wait for it, up to
SO_SNDBUF of them, and then their senders do. None is lost on the sender's own machine."""
import os
import socket
import stat
import struct
import tempfile
import unittest

from machine import Machine

MORE = 3_000  # datagrams, sent while the device is read
TIMEOUT_S = 120
GROUP_MAC = bytes((1, 0, 0x5E, 1, 2, 3))

# QEMU with a network that is a TCP connection to this test.
QEMU = """#!/bin/sh
for word; do
    shift
    case "$word" in
        user,id=n0*) word=socket,id=n0,connect=127.0.0.1:{port} ;;
    esac
    set -- "$@" "$word"
done
exec {qemu} "$@"
"""


def numbers_of_datagrams(stream):
    """The numbers in the datagrams to the group, until the virtual machine ends."""
    numbers = []
    while size := stream.read(4):
        frame = stream.read(*struct.unpack(">I", size))
        if frame[:6] != GROUP_MAC:
            continue
        header = 14 + 20 + 8 if frame[12:14] == b"\x08\x00" else 14
        numbers.append(struct.unpack_from("<I", frame, header)[0])
    return numbers


class SlowDevice(unittest.TestCase):
    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.listener.settimeout(TIMEOUT_S)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        qemu = os.path.join(folder.name, "qemu")
        with open(qemu, "w") as script:
            script.write(QEMU.format(port=self.listener.getsockname()[1],
                                     qemu=os.environ.get("CORACLE_QEMU", "qemu-system-x86_64")))
        os.chmod(qemu, stat.S_IRWXU)
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ["CORACLE_QEMU"] = qemu

    def sends_all(self, kind, cpus):
        with Machine("--cpus", str(cpus), "--ip", "10.77.0.2/24", os.environ["DATAGRAM_SENDER"],
                     kind, str(MORE)) as vm:
            connection, _ = self.listener.accept()
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(TIMEOUT_S)
                vm.wait_for("full")
                numbers = numbers_of_datagrams(stream)
            self.assertEqual(vm.wait(), 0, vm.text())
            sent = int(vm.text().split("sent ")[1].split()[0])
            self.assertGreater(sent, MORE)
            self.assertEqual(numbers, list(range(sent)))

    def test_udp(self):
        self.sends_all("udp", 1)

    def test_udp_with_several_cpus(self):
        self.sends_all("udp", 3)

    def test_udp_in_pieces(self):
        self.sends_all("pieces", 1)

    def test_packet_socket(self):
        self.sends_all("packet", 1)
