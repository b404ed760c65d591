"""Servers behind QEMU's user network, loaded from the host."""

import collections
import json
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from guests import Settings
from report import Table, count

ROUNDS = 3
PATIENCE_S = 120  # of a server's start, and of one load


@dataclass
class Load:
    """What `load` does to a server: its options, protocol and number of requests."""
    name: str
    protocol: str
    requests: int
    options: list = field(default_factory=lambda: ["-c", "50"])


@dataclass
class Server:
    program: list
    port: int  # TCP and UDP, in the guest
    loads: list
    protocol: str  # that tells whether it is up


SERVERS = (
    Server(["/usr/bin/redis-server", "/etc/redis.conf"], 6379, [
        Load("Redis GET", "redis-get", 20000),
        Load("Redis SET", "redis-set", 20000),
        Load("Redis GET, 16 at a time", "redis-get", 100000, ["-c", "50", "-p", "16"]),
        Load("Redis SET, 16 at a time", "redis-set", 100000, ["-c", "50", "-p", "16"]),
        Load("Redis GET, 1,000 more connections idle", "redis-get", 10000,
             ["-c", "50", "-i", "1000"]),
    ], "redis-set"),
    Server(["/usr/bin/memcached", "-u", "root", "-c", "4096"], 11211, [
        Load("memcached get", "memcached-get", 20000),
        Load("memcached set", "memcached-set", 20000),
    ], "memcached-set"),
    Server(["/usr/sbin/nginx", "-c", "/etc/nginx.conf"], 80, [
        Load("nginx, 1 KiB, keep-alive", "http", 10000),
        Load("nginx, 1 KiB, a connection each", "http-close", 2000, ["-r"]),
    ], "http"),
    Server(["/bin/echo_server", "7"], 7, [
        Load("TCP request/response, 1 connection", "echo", 10000, ["-c", "1"]),
        Load("UDP request/response, 1 at a time", "echo-udp", 10000, ["-c", "1"]),
        Load("TCP connections, with 1 request each", "echo", 2000, ["-r"]),
    ], "echo"),
)
STREAM_PORT = 5201
STREAM_MIB = 64


def free_port():
    """Of the host, for TCP and most likely for UDP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


restarts = collections.Counter()  # after a failure, by the guest's name


class Failure(Exception):
    def __init__(self, guest, what, why):
        super().__init__(f"{guest.name}, {what}: {why}")


def tried(table, row, columns, action):
    """A measurement that fails is one of the results."""
    try:
        action()
    except Failure as failure:
        print(failure, file=sys.stderr)
        for column in columns:
            table.add(row, "fails", column, str)


class Service:
    """A server in a guest, up and reachable."""

    def __init__(self, bench, guest, program, port, plugin):
        self.guest = guest
        self.load_program = bench.options.work / "load"
        self.program, self.guest_port = program, port
        self.plugin = plugin
        self.start()

    def start(self):
        self.port = free_port()
        settings = Settings(machine="q35", memory_mib=512, plugin=self.plugin,
                            ports=(("tcp", self.port, self.guest_port),
                                   ("udp", self.port, self.guest_port)))
        self.running = self.guest.start("network", self.program, settings)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.running.stop()

    def load(self, load, requests, protocol):
        """The words that `load` prints, as numbers. A guest that does not answer has a second
        chance, for guests of QEMU's user network may lose it for good."""
        try:
            return self.load_once(load, requests)
        except Failure as failure:
            print(failure, file=sys.stderr)
        restarts[self.guest.name] += 1
        self.running.stop()
        self.start()
        self.wait_until_up(protocol)
        return self.load_once(load, requests)

    def load_once(self, load, requests):
        command = [str(self.load_program), *load.options, "-q", str(self.running.process.pid)]
        if self.plugin:
            command += ["-l", str(self.guest.live_file)]
        command += [load.protocol, str(self.port), str(requests)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Failure(self.guest, load.name, "takes too long") from None
        if done.returncode != 0:
            raise Failure(self.guest, load.name, done.stderr.strip())
        return [float(word) for word in done.stdout.split()[1:]]

    def wait_until_up(self, protocol):
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.load_once(Load("start", protocol, 1, []), 1)
                return
            except Failure:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)


def latency(value):
    median, p99 = value
    return f"{median / 1e6:,.2f} / {p99 / 1e6:,.2f}"


def measure_server(bench, server, table):
    """The guests are loaded in turn."""
    for load in server.loads:
        table.add(load.name, None, None, None)
    if not bench.options.counts:
        with_services(bench, server, None, lambda services: add_times(server, services, table))
    if bench.plugin:
        with_services(bench, server, bench.plugin,
                      lambda services: add_counts(server, services, table))


def with_services(bench, server, plugin, action):
    services = []
    try:
        for guest in bench.virtual:
            services.append(Service(bench, guest, server.program, server.port, plugin))
        for service in services:
            service.wait_until_up(server.protocol)
        action(services)
    finally:
        for service in services:
            service.running.stop()


def add_times(server, services, table):
    for load in server.loads:
        rounds = {service: [] for service in services}
        for _ in range(ROUNDS):
            for service in services:
                columns = [f"{service.guest.name}, {what}" for what in ("1/s", "ms", "CPU µs")]
                tried(table, load.name, columns, lambda: rounds[service].append(
                    service.load(load, load.requests, server.protocol)))
        for service, results in rounds.items():
            if len(results) < ROUNDS:
                continue
            name = service.guest.name
            rate, median, p99, cpu = (statistics.median(values) for values in zip(
                *((requests / seconds, median, p99, cpu / requests)
                  for requests, seconds, median, p99, _, cpu, *_ in results)))
            table.add(load.name, rate, f"{name}, 1/s", count)
            table.add(load.name, (median, p99), f"{name}, ms", latency)
            table.add(load.name, cpu * 1e6, f"{name}, CPU µs", count)


def add_counts(server, services, table):
    for load in server.loads:
        for service in services:
            column = f"{service.guest.name}, instructions"

            def add():
                requests, _, _, _, _, _, lower, upper, _ = service.load(
                    load, load.requests // 4, server.protocol)
                table.add(load.name, (lower + upper) / requests, column, count)

            tried(table, load.name, [column], add)


def requests_table(bench):
    names = [guest.name for guest in bench.virtual]
    table = Table("Network servers",
                  f"QEMU's {bench.options.accel}, q35, one CPU, 512 MiB, user network and "
                  "virtio-net with their defaults; 50 persistent connections unless it says otherwise, values "
                  "of 100 bytes. Requests a second; latency's median and 99th percentile; QEMU's "
                  "CPU time and the guest's instructions for a request. The guests in turn.",
                  [f"{name}, {what}" for what in ("1/s", "ms", "CPU µs", "instructions")
                   for name in names])
    for server in SERVERS:
        measure_server(bench, server, table)
    for name, times in restarts.items():
        table.text += f" {name} stopped answering and was started again {times} times."
    return table


def stream(service, options):
    """(bytes, bytes a second) that iperf3 moved."""
    command = ["iperf3", "-J", "-c", "127.0.0.1", "-p", str(service.port), "-n",
               f"{STREAM_MIB}M", *options]
    for _ in range(50):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        result = json.loads(done.stdout)
        if "error" not in result:
            received = result["end"]["sum_received"]
            return received["bytes"], received["bits_per_second"] / 8
        time.sleep(0.2)
    raise Failure(service.guest, "iperf3", result["error"])


def stream_table(bench):
    names = [guest.name for guest in bench.virtual]
    table = Table("Network streams",
                  f"iperf3 of {STREAM_MIB} MiB, in the same machines: MiB a second, and guest "
                  "instructions for a KiB.",
                  [f"{name}, {what}" for what in ("MiB/s", "instructions") for name in names])
    for title, options in (("to the guest", []), ("from the guest", ["-R"])):
        table.add(title, None, None, None)
        for guest in bench.virtual:
            def service(plugin):
                return Service(bench, guest, ["/usr/bin/iperf3", "-s"], STREAM_PORT, plugin)

            if not bench.options.counts:
                with service(None) as running:
                    stream(running, options)
                    rates = [stream(running, options)[1] for _ in range(ROUNDS)]
                    table.add(title, statistics.median(rates) / 2**20, f"{guest.name}, MiB/s",
                              count)
            if bench.plugin:
                with service(bench.plugin) as running:
                    stream(running, options)
                    before = running.running.output.clock.instructions()
                    moved = stream(running, options)[0]
                    taken = running.running.output.clock.instructions() - before
                    table.add(title, taken / (moved / 1024),
                              f"{guest.name}, instructions", count)
    return table


def measure(bench):
    yield requests_table(bench)
    yield stream_table(bench)
