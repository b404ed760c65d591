"""The two guests, started alike: the same machine, processor, memory and programs; and the host
itself, which runs the same programs natively."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from channel import Channel

MACHINES = {
    "microvm": ["-M", "microvm,x-option-roms=off,acpi=off,rtc=off"],
    "q35": ["-M", "q35", "-bios", "qboot.rom"],
}
COMMON = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
# The line of Linux's init before it starts the program.
INIT_LINE = b"INIT-STARTS-PROGRAM"


@dataclass(frozen=True)
class Settings:
    """What both guests have alike."""
    machine: str = "microvm"
    cpus: int = 1
    memory_mib: int = 256
    plugin: Path | None = None  # instruction_counter.so
    ports: tuple = ()  # ("tcp" or "udp", port of the host, port of the guest): QEMU's user network
    expected: bytes = b"HELLO-FROM-MAIN"  # the moment when this came out is noted


@dataclass
class Moment:
    """When something happened: seconds from QEMU's start, QEMU's CPU time until then, and the
    guest's instructions (with the plugin). On the host, the program's instead of QEMU's."""
    seconds: float
    cpu_seconds: float
    instructions: int | None


@dataclass
class Run:
    """What one start of a program showed."""
    output: str
    started: Moment | None  # the kernel is up and starts the program
    expected: Moment | None
    marks: list = field(default_factory=list)  # (id, total, lower, upper, repeats)

    def marks_of(self, identity):
        return [mark for mark in self.marks if mark[0] == identity]

    def line(self, first_word):
        """The words after the first one of the line that begins with it, or None."""
        for line in self.output.splitlines():
            words = line.split()
            if words and words[0] == first_word:
                return words[1:]
        return None


def read_marks(path):
    marks = []
    for line in Path(path).read_text().splitlines():
        words = line.split()
        if words and words[0] == "MARK":
            marks.append((words[1], *map(int, words[2:])))
    return marks


class Clock:
    """Tells moments of one run, once it has the process."""

    def __init__(self, live_file=None):
        self.start = time.monotonic()
        self.live_file = live_file
        self.process = None

    def cpu_seconds(self):
        """Of a process that has not been waited for (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def instructions(self):
        """What the guest has executed until now."""
        words = self.live_file.read_bytes()
        return sum(int.from_bytes(words[at:at + 8], "little") for at in (0, 8))

    def now(self):
        return Moment(time.monotonic() - self.start, self.cpu_seconds(),
                      self.instructions() if self.live_file else None)


class Output:
    """Collects what a program writes to a pipe, and when certain words came."""

    def __init__(self, stream, expected, clock, started=None):
        self.expected = expected
        self.clock = clock
        self.data = b""
        self.started = started
        self.expected_moment = None
        self.stream = stream
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def join(self, timeout=None):
        self.thread.join(timeout)

    def _collect(self):
        while chunk := self.stream.read1(65536):
            self.data += chunk
            if self.started is None and INIT_LINE in self.data:
                self.started = self.clock.now()
            if self.expected_moment is None and self.expected in self.data:
                self.expected_moment = self.clock.now()


class Running:
    """A program at work in a guest; to be stopped."""

    def __init__(self, process, output):
        self.process = process
        self.output = output  # an Output, or the Channel

    def wait(self, timeout):
        """Until the program's end, or the time limit. First its output's end: a process that has
        been waited for has no CPU time to tell any more."""
        end = time.monotonic() + timeout
        self.output.join(timeout)
        try:
            self.process.wait(max(0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.join(1)

    def result(self, marks=()):
        text = self.output.data.decode(errors="replace").replace("\r\n", "\n")
        return Run(text, self.output.started, self.output.expected_moment, marks)


class Guest:
    name = ""
    is_virtual = True

    def __init__(self, work, accelerator, kernel, image_of):
        self.work = work
        self.accelerator = accelerator
        self.kernel = kernel
        self.image_of = image_of  # gives the image of a root that is named: "small", "python"...

    @property
    def counts_file(self):
        """Where the plugin writes its marks; its live counters are in `live_file`."""
        return self.work / f"{self.name}.counts"

    @property
    def live_file(self):
        return self.work / f"{self.name}.live"

    def start(self, root, program, settings):
        command = ["qemu-system-x86_64", *MACHINES[settings.machine], *COMMON,
                   "-accel", self.accelerator, "-cpu", "max", "-smp", str(settings.cpus),
                   "-m", str(settings.memory_mib), "-kernel", str(self.kernel),
                   "-initrd", str(self.image_of(root))]
        if settings.plugin:
            command += ["-plugin", f"{settings.plugin},out={self.counts_file},"
                        f"live={self.live_file}"]
        if settings.ports:
            forwards = "".join(f",hostfwd={protocol}:127.0.0.1:{host}-:{guest}"
                               for protocol, host, guest in settings.ports)
            command += ["-netdev", f"user,id=n0{forwards}",
                        "-device", "virtio-net-pci,netdev=n0,disable-legacy=on,romfile="]
        return self._start(command, program, settings,
                           Clock(self.live_file if settings.plugin else None))

    def run(self, root, program, settings=Settings(), timeout=120, **changes):
        """Runs an argument list to its end, for `timeout` seconds at most. `changes` are to the
        settings."""
        settings = replace(settings, **changes)
        running = self.start(root, program, settings)
        try:
            running.wait(timeout)
        finally:
            running.stop()
        return running.result(read_marks(self.counts_file) if settings.plugin else [])


class CoracleGuest(Guest):
    name = "Coracle"

    def __init__(self, *args, own_libc=False):
        super().__init__(*args)
        self.own_libc = own_libc

    def _start(self, command, program, settings, clock):
        config = [("program", program[0])] + [("arg", word) for word in program]
        config += [("env", "PATH=/usr/bin:/bin"), ("cwd", "/")]
        if self.own_libc:
            config.append(("libc", "own"))
        if settings.ports:
            config += [("ip", "10.0.2.15/24"), ("gateway", "10.0.2.2")]
        channel = Channel(config, settings.expected, clock)
        descriptor = channel.guest_end.fileno()
        command = command + [
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-serial", "null",
            "-chardev", f"socket,id=c0,fd={descriptor}"]
        if settings.machine == "microvm":
            command += ["-global", "virtio-mmio.force-legacy=false",
                        "-device", "virtio-serial-device,max_ports=2"]
        else:
            command += ["-device", "virtio-serial-pci,disable-legacy=on,max_ports=2"]
        command += ["-device", "virtserialport,chardev=c0"]
        clock.process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)
        channel.start()
        return Running(clock.process, channel)


class LinuxGuest(Guest):
    name = "Linux"

    def __init__(self, *args, tsc_hz):
        super().__init__(*args)
        # Linux would measure the TSC against the PIT, which fails on a busy machine and leaves it
        # with a slow clock.
        self.tsc_khz = round(tsc_hz / 1000)

    def _start(self, command, program, settings, clock):
        command = command + ["-serial", "stdio", "-append",
                             f"console=ttyS0 quiet tsc=reliable tsc_early_khz={self.tsc_khz} "
                             f"reboot=t panic=-1 -- {' '.join(program)}"]
        clock.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL)
        return Running(clock.process, Output(clock.process.stdout, settings.expected, clock))


class Host:
    """This machine: no kernel of ours, no plugin. What it does not have it takes from the root."""
    name = "host"
    is_virtual = False

    def __init__(self, work):
        self.work = work

    def run(self, root, program, settings=Settings(), timeout=120, **changes):
        settings = replace(settings, **changes)
        command = [self._path(root, word) for word in program]
        cpus = sorted(os.sched_getaffinity(0))[:settings.cpus]
        clock = Clock()
        clock.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        running = Running(clock.process, Output(clock.process.stdout, settings.expected, clock,
                                                clock.now()))
        try:
            running.wait(timeout)
        finally:
            running.stop()
        return running.result()

    def _path(self, root, word):
        if not word.startswith("/") or Path(word).exists():
            return word
        return str(self.work / root / word[1:])
