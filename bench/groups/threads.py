"""Threads, the switch between them, timers, and the sharing of processors."""

from report import Table

from groups.basics import micro_table


def microseconds(nanoseconds):
    return f"{nanoseconds / 1000:,.1f} µs"


def seconds(value):
    return f"{value:,.2f} s"


def timers_and_processors(bench):
    everyone = bench.virtual + bench.host
    table = Table("Timers and several processors",
                  f"QEMU's {bench.options.accel}, microvm, and q35 for two CPUs, because Linux "
                  "finds one alone on microvm; natively on the host for reference. "
                  "Lateness: of 500 sleeps of 0.2 to 2.2 ms. Uneven load: eight threads with one "
                  "to eight shares of the work.", [guest.name for guest in everyone])
    for guest in everyone:
        late = guest.run("small", ["/bin/lateness", "500"]).line("LATE")
        for place, name in enumerate(("median", "99th percentile", "most")):
            table.add(f"lateness of a sleep, {name}", late and int(late[place]), guest.name,
                      microseconds)
        uneven = guest.run("small", ["/bin/uneven"], cpus=2, machine="q35").line("UNEVEN")
        table.add("8 threads on 2 CPUs", uneven and float(uneven[0]), guest.name, seconds)
        table.add("8 threads on 2 CPUs, their CPU time", uneven and float(uneven[1]), guest.name,
                  seconds)
        for what in ("futex", "condvar", "pipe", "eventfd"):
            measured = guest.run("small", ["/bin/micro", "fixed", f"{what}_pingpong"], cpus=2,
                                 machine="q35").line("M")
            table.add(f"{what}_pingpong, 2 CPUs", measured and float(measured[1]), guest.name,
                      microseconds)
    return table


def measure(bench):
    yield micro_table(bench, "Threads",
                      f"QEMU's {bench.options.accel}, microvm, one CPU; natively on one CPU of the "
                      "host for reference. A ping-pong is a round trip between two threads, "
                      "yield_switch one switch.", ["threads"])
    if not bench.options.counts:
        yield timers_and_processors(bench)
