"""The paths of the test: two ends, each a network namespace with Linux or a VM, and a wire."""
import contextlib
import os
import signal
import subprocess
import threading
import time

ADDRESSES = ("10.77.0.1", "10.77.0.2")
LARGEST_MTU = 9000


def run(*words):
    subprocess.run(words, check=True)


class End:
    """A namespace with the wire's tap; with a VM, a bridge leads from there to the VM's tap."""

    def __init__(self, name, address, is_vm, mtu):
        self.name, self.address, self.is_vm, self.mtu = name, address, is_vm, mtu

    def inside(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def ip(self, *words):
        run("ip", "-n", self.name, *words)

    def make(self):
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        self.ip("tuntap", "add", "wire", "mode", "tap")
        names = ["wire"]
        if self.is_vm:
            self.ip("tuntap", "add", "guest", "mode", "tap")
            self.ip("link", "add", "bridge", "type", "bridge")
            self.ip("link", "set", "wire", "master", "bridge")
            self.ip("link", "set", "guest", "master", "bridge")
            names += ["guest", "bridge"]
        else:
            self.ip("address", "add", self.address + "/24", "dev", "wire")
            # Linux as Debian sets it up, whatever this machine does.
            run(*self.inside("sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 6291456",
                             "net.ipv4.tcp_wmem=4096 16384 4194304",
                             "net.ipv4.tcp_no_metrics_save=1"))
        for name in names:
            self.ip("link", "set", name, "mtu", str(LARGEST_MTU if self.is_vm else self.mtu), "up")

    def command(self, coracle, program, *words):
        """The command line that runs the program at this end."""
        if not self.is_vm:
            return self.inside(program, *words)
        return self.inside(coracle, "run", "-m", "512m", "--net", "tap=guest",
                           "--ip", self.address + "/24", program, *words)


class Path:
    """Two ends and their wire, while it is used as a context."""

    def __init__(self, tools, kinds, settings, mtu=1500):
        self.tools, self.settings, self.mtu = tools, settings, mtu
        prefix = f"path{os.getpid()}"
        self.ends = [End(prefix + side, address, kind == "vm", mtu)
                     for side, address, kind in zip("ab", ADDRESSES, kinds)]
        self.exits = contextlib.ExitStack()

    def __enter__(self):
        try:
            for end in self.ends:
                self.exits.callback(subprocess.run, ["ip", "netns", "del", end.name])
                end.make()
            names = [f"{end.name}/wire" for end in self.ends]
            words = [f"{name}={value}" for name, value in self.settings.items()]
            self.start([self.tools["bad_wire"], *names, *words])
            port = ["5000"] + ([str(self.mtu)] if self.ends[1].is_vm and self.mtu != 1500 else [])
            self.start(self.ends[1].command(self.tools["coracle"], self.tools["transfer"],
                                            "serve", *port))
        except BaseException:
            self.exits.close()
            raise
        return self

    def __exit__(self, *_):
        self.exits.close()

    def start(self, words):
        """Starts a program that says when it is ready, and ends with the path."""
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.exits.callback(self.stop, child)
        if child.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{' '.join(words)}: it did not start")

    @staticmethod
    def stop(child):
        child.send_signal(signal.SIGTERM)
        try:
            output = child.communicate(timeout=15)[0]
            if os.environ.get("BAD_PATHS_VERBOSE"):
                print(output, end="", flush=True)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()

    def transfer(self, direction, size, count, limit):
        """Seconds of each of `count` transfers of `size` bytes; raises if one went wrong."""
        words = [direction, self.ends[1].address, "5000", str(size), str(count)]
        if self.ends[0].is_vm and self.mtu != 1500:
            words.append(str(self.mtu))
        child = subprocess.Popen(
            self.ends[0].command(self.tools["coracle"], self.tools["transfer"], *words),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        killer = threading.Timer(limit, child.kill)
        killer.start()
        try:
            times = [(line.strip(), time.monotonic()) for line in child.stdout]
            complaint = child.stderr.read().strip()
            status = child.wait()
        finally:
            killer.cancel()
        if status or [line for line, _ in times] != ["begin", "end"] * count:
            raise RuntimeError(f"{direction}: status {status} {complaint}")
        return [end - begin for (_, begin), (_, end) in zip(times[::2], times[1::2])]
