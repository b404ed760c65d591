"""Workers that put load on Redis and nginx and compare every answer (tools/soak)."""
import random
import socket
import threading

KEYS = 300          # of each Redis worker
SIZES = (1, 100, 2000, 20_000)
TIMEOUT_S = 300     # on a busy machine


class Counts:
    """What the workers did, and what was answered wrongly."""

    def __init__(self):
        self.stop = threading.Event()
        self.wrong = []
        self.numbers = {}
        self.lock = threading.Lock()

    def add(self, name):
        with self.lock:
            self.numbers[name] = self.numbers.get(name, 0) + 1

    def note(self, what):
        with self.lock:
            self.wrong.append(what)

    def guard(self, work, *arguments):
        """Runs a worker. A connection that breaks is a wrong answer too, and ends everything."""
        try:
            while not self.stop.is_set():
                work(self, *arguments)
        except Exception as error:
            self.note(f"{work.__name__}: {error!r}")
            self.stop.set()

    def __str__(self):
        with self.lock:
            parts = [f"{number} {name}" for name, number in sorted(self.numbers.items())]
            return ", ".join(parts + [f"{len(self.wrong)} wrong"])


class Redis:
    """A connection that speaks Redis's protocol."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def receive(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in (b"+", b":"):
            return rest
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        raise ConnectionError(f"Redis said {line!r}")

    def ask(self, *words):
        self.send(*words)
        return self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


def redis_worker(counts, port, number):
    """Sets, deletes and gets keys of its own, and knows what they must be."""
    choose = random.Random(number)
    expected = {}

    def any_key():
        return f"{number}:{choose.randrange(KEYS)}"

    with Redis(port) as connection:
        for n in range(KEYS):
            connection.ask("DEL", f"{number}:{n}")
    while not counts.stop.is_set():
        counts.add("connections")
        with Redis(port) as connection:
            for _ in range(choose.randrange(1, 200)):
                key, action = any_key(), choose.choice(("set", "delete", "get", "pipeline"))
                if action == "set":
                    expected[key] = choose.randbytes(choose.choice(SIZES))
                    good = connection.ask("SET", key, expected[key]) == b"OK"
                elif action == "delete":
                    good = connection.ask("DEL", key) == b"%d" % (key in expected)
                    expected.pop(key, None)
                elif action == "get":
                    good = connection.ask("GET", key) == expected.get(key)
                else:
                    keys = [any_key() for _ in range(20)]
                    for key in keys:
                        connection.send("GET", key)
                    good = [connection.receive() for _ in keys] == [expected.get(k) for k in keys]
                counts.add("Redis requests")
                if not good:
                    counts.note(f"Redis: {action} of {key}")


def http_worker(counts, port, number, contents, context):
    """One connection: some requests, the last answer of which may be left unread."""
    choose = random.Random()
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    if context:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    counts.add("connections")
    with connection, connection.makefile("rb") as file:
        for _ in range(choose.randrange(1, 30)):
            name = choose.choice(list(contents))
            connection.sendall(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            if choose.randrange(50) == 0:
                return
            status, length = file.readline(), 0
            while (line := file.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = file.read(length)
            counts.add("HTTPS requests" if context else "HTTP requests")
            if not status.startswith(b"HTTP/1.1 200") or body != contents[name]:
                counts.note(f"nginx, worker {number}: {name}: {status!r}, {len(body)} bytes")
