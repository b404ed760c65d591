"""Java, Node and Go: time to output, compilers, collectors and channels."""

from dataclasses import dataclass

from report import Table

TIMEOUT_S = 180


@dataclass
class Program:
    name: str
    root: str
    command: list
    expected: bytes  # in its output; known from Linux
    is_start: bool = False  # the way from QEMU's start counts, too


def java(name, expected):
    return ["/usr/bin/java", "-Xmx256m", "-cp", "/srv/java", name], expected.encode()


PROGRAMS = (
    Program("Java, hello", "java", *java("Hello", "hello from Java"), is_start=True),
    Program("Java, JIT-heavy", "java", *java("Jit", "result 51527034 651219312273030")),
    Program("Java, GC-heavy", "java", *java("Gc", "result 840018826880")),
    Program("Node, hello", "node", ["/usr/bin/node", "/srv/node/hello.js"], b"hello from Node",
            is_start=True),
    Program("Go, a million channel ping-pongs", "go", ["/bin/pingpong"], b"result 1000000"),
)


def seconds(value):
    return f"{value:,.2f} s"


def millions(value):
    return f"{value / 1e6:,.0f} M"


def measure_program(table, program, guest, plugin, with_times):
    def run(plugin):
        return guest.run(program.root, program.command, memory_mib=1536, plugin=plugin,
                         expected=program.expected, timeout=TIMEOUT_S)

    def add(name, column, value, form):
        if value is None:
            table.add(name, "fails", f"{guest.name}, {column}", str)
        else:
            table.add(name, value, f"{guest.name}, {column}", form)

    if with_times:
        result = run(None)
        if not result.expected:
            add(program.name, "time", None, seconds)
            add(program.name, "CPU", None, seconds)
        else:
            add(program.name, "time", result.expected.seconds - result.started.seconds, seconds)
            add(program.name, "CPU", result.expected.cpu_seconds - result.started.cpu_seconds,
                seconds)
            if program.is_start and guest.is_virtual:
                name = f"{program.name}, from QEMU's start"
                add(name, "time", result.expected.seconds, seconds)
                add(name, "CPU", result.expected.cpu_seconds, seconds)
    if plugin and guest.is_virtual:
        result = run(plugin)
        executed = result.expected and (result.expected.instructions
                                        - result.started.instructions)
        add(program.name, "instructions", executed, millions)


def measure(bench):
    table = Table("Language runtimes",
                  f"QEMU's {bench.options.accel}, microvm, one CPU, 1,536 MiB; natively on one CPU "
                  "of the host for reference. From the program's start to its output, unless it "
                  "says otherwise; CPU is what QEMU took, or the program natively.",
                  [f"{guest.name}, {what}" for what in ("time", "CPU")
                   for guest in bench.virtual + bench.host]
                  + [f"{guest.name}, instructions" for guest in bench.virtual])
    for program in PROGRAMS:
        for guest in bench.virtual + bench.host:
            measure_program(table, program, guest, bench.plugin, not bench.options.counts)
    yield table
