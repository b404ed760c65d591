"""The host's end of the channel (kernel-min/abi/channel.h), as far as a benchmark needs it."""

import socket
import struct
import threading
import time

CONFIG, STDIN_END, OUTPUT_CREDIT = 1, 3, 7
HELLO, STDOUT, STDERR, TRACE, MESSAGE, STDIN_CREDIT, EXIT = range(16, 23)


class Channel:
    """Answers the guest's hello with a configuration and collects what the program writes."""

    def __init__(self, config, expected, clock):
        self.config = config
        self.expected = expected  # the moment when this came out is noted
        self.clock = clock
        ours, self.guest_end = socket.socketpair()
        self.socket = ours
        self.data = b""
        self.started = None  # when it asked for the configuration
        self.messages = b""
        self.wait_status = None
        self.expected_moment = None
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def start(self):
        """Called when the VM has its end."""
        self.guest_end.close()
        self.thread.start()

    def join(self, timeout=None):
        self.thread.join(timeout)

    def _send(self, kind, payload=b""):
        try:
            self.socket.sendall(struct.pack("<B3xI", kind, len(payload)) + payload)
        except ConnectionError:
            pass  # the VM has ended; what it wrote before is still to be read

    def _serve(self):
        stream = self.socket.makefile("rb")
        try:
            while header := stream.read(8):
                kind, length = struct.unpack("<B3xI", header)
                self._handle(kind, stream.read(length))
        except (ConnectionError, struct.error):
            pass

    def _handle(self, kind, payload):
        if kind == HELLO:
            self.started = self.clock.now()
            words = [f"{key}={value}" for key, value in self.config]
            words.append(f"clock={time.time_ns()}")
            self._send(CONFIG, b"".join(word.encode() + b"\0" for word in words))
        elif kind in (STDOUT, STDERR):
            self.data += payload
            if self.expected_moment is None and self.expected in self.data:
                self.expected_moment = self.clock.now()
            self._send(OUTPUT_CREDIT, struct.pack("<II", kind - STDOUT + 1, len(payload)))
        elif kind == STDIN_CREDIT:
            self._send(STDIN_END)
        elif kind == MESSAGE:
            self.messages += payload
        elif kind == EXIT:
            self.wait_status = struct.unpack("<I", payload)[0]
