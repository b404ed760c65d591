"""The two guests, started alike: the same machine, processor, memory and programs."""

import os
import selectors
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from channel import Channel

MACHINE = ["-M", "microvm,x-option-roms=off,acpi=off,rtc=off", "-smp", "1",
           "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]


# What hello prints: the time of its first line is the time of this.
HELLO_LINE = b"HELLO-FROM-MAIN"


@dataclass
class Run:
    """What one start of a VM showed."""
    output: str
    first_line_s: float | None  # hello's, from QEMU's start
    marks: list = field(default_factory=list)  # (id, total, lower, upper, repeats)

    def marks_of(self, identity):
        return [mark for mark in self.marks if mark[0] == identity]


def read_marks(path):
    marks = []
    for line in Path(path).read_text().splitlines():
        words = line.split()
        if words and words[0] == "MARK":
            marks.append((words[1], *map(int, words[2:])))
    return marks


class Guest:
    name = ""

    def __init__(self, kernel, images, accelerator, work):
        self.kernel = kernel
        self.images = images  # by the name of the root: "small", "python"
        self.accelerator = accelerator
        self.work = work

    def run(self, root, program, memory_mib=256, plugin=None, timeout=120):
        """Runs an argument list; the VM is ended after `timeout` seconds at the latest."""
        counts = self.work / f"{self.name}.counts"
        command = ["qemu-system-x86_64", *MACHINE, "-accel", self.accelerator, "-cpu", "max",
                   "-m", str(memory_mib), "-kernel", str(self.kernel),
                   "-initrd", str(self.images[root])]
        if plugin:
            command += ["-plugin", f"{plugin},out={counts}"]
        output, first_line_s = self._run(command, program, timeout)
        return Run(output, first_line_s, read_marks(counts) if plugin else [])

    def _run(self, command, program, timeout):
        raise NotImplementedError


def stop(process):
    if process.poll() is None:
        process.kill()
    process.wait()


class CoracleGuest(Guest):
    name = "Coracle"

    def __init__(self, *args, own_libc=False):
        super().__init__(*args)
        self.own_libc = own_libc

    def _run(self, command, program, timeout):
        config = [("program", program[0])] + [("arg", word) for word in program]
        config += [("env", "PATH=/usr/bin:/bin"), ("cwd", "/")]
        if self.own_libc:
            config.append(("libc", "own"))
        channel = Channel(config, HELLO_LINE)
        descriptor = channel.guest_end.fileno()
        command = command + [
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-serial", "null",
            "-chardev", f"socket,id=c0,fd={descriptor}",
            "-global", "virtio-mmio.force-legacy=false",
            "-device", "virtio-serial-device,max_ports=2", "-device", "virtserialport,chardev=c0"]
        start = time.monotonic()
        process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        channel.start()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            stop(process)
        channel.join(1)
        first = channel.expected_time
        return channel.output.decode(errors="replace"), first and first - start


class LinuxGuest(Guest):
    name = "Linux"

    def __init__(self, *args, tsc_hz):
        super().__init__(*args)
        # Linux would measure the TSC against the PIT, which fails on a busy machine and leaves it
        # with a slow clock.
        self.tsc_khz = round(tsc_hz / 1000)

    def _run(self, command, program, timeout):
        command = command + ["-serial", "stdio", "-append",
                             f"console=ttyS0 quiet tsc=reliable tsc_early_khz={self.tsc_khz} "
                             f"reboot=t panic=-1 -- {' '.join(program)}"]
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        output, first_line_s = b"", None
        os.set_blocking(process.stdout.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while (left := start + timeout - time.monotonic()) > 0:
                if not selector.select(left):
                    break
                chunk = process.stdout.read()
                if not chunk:
                    break
                output += chunk
                if first_line_s is None and HELLO_LINE in output:
                    first_line_s = time.monotonic() - start
        stop(process)
        return output.decode(errors="replace").replace("\r\n", "\n"), first_line_s
