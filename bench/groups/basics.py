"""Start, memory and size; and what basic operations cost."""

import statistics

from report import Table, count, mebibytes, milliseconds, tenths

HELLO = ["/bin/hello"]
PYTHON = ["/usr/bin/python3", "-S", "-c", "print(sum(range(10)))"]


def boot_time(guest, rounds):
    """Median seconds to hello's first line."""
    runs = [guest.run("small", HELLO, timeout=60) for _ in range(rounds)]
    times = [run.expected.seconds for run in runs if run.expected]
    return statistics.median(times) if times else None


def time_in_guest(guest, rounds, tsc_hz):
    """Median seconds from the VM's reset to main(), by the TSC that hello prints."""
    lines = [guest.run("small", HELLO, timeout=60).line("HELLO-FROM-MAIN") for _ in range(rounds)]
    ticks = [int(words[1]) for words in lines if words]
    return statistics.median(ticks) / tsc_hz if ticks else None


def boot_instructions(guest, plugin):
    marks = guest.run("small", HELLO, plugin=plugin).marks_of("0001")
    return marks[0][1] if marks else None


def least_memory(guest, root, program, expected):
    """The least MiB in which the program's output is right; None if even 512 do not do."""
    def works(mib):
        return expected in guest.run(root, program, memory_mib=mib, timeout=60).output

    if not works(512):
        return None
    low, high = 2, 512  # fails (or is not worth trying), works
    while high - low > 1:
        middle = (low + high) // 2
        if works(middle):
            high = middle
        else:
            low = middle
    return high


def start_table(bench):
    options, guests = bench.options, bench.virtual
    table = Table("Start, memory and size",
                  f"QEMU's {options.accel}, microvm, one CPU, 256 MiB.",
                  [guest.name for guest in guests])
    for guest in guests:
        def add(name, value, form):
            table.add(name, value, guest.name, form)

        times = not options.counts
        add("QEMU's start to the first line of hello",
            boot_time(guest, options.rounds) if times else None, milliseconds)
        add("of it, from the VM's reset to main()",
            time_in_guest(guest, 3, bench.tsc_hz) if times else None, milliseconds)
        add("guest instructions from reset to main()",
            boot_instructions(guest, bench.plugin) if bench.plugin else None, count)
        for name, root, program, expected in (
                ("least memory that starts hello, MiB", "small", HELLO, "HELLO-FROM-MAIN"),
                ("least memory that starts python3, MiB", "python", PYTHON, "45\n")):
            add(name, None if options.no_memory else least_memory(guest, root, program, expected),
                count)
        add("kernel file", guest.kernel.stat().st_size, mebibytes)
        add("root image with hello, micro and libc", guest.image_of("small").stat().st_size,
            mebibytes)
    return table


def micro_lines(output):
    """name -> (median ns, iterations) of the lines that micro printed."""
    found = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 6 and words[0] == "M":
            found[words[1]] = (float(words[2]), int(words[5]))
    return found


def micro_instructions(guest, plugin, operations):
    """name -> guest instructions for one operation."""
    run = guest.run("small", ["/bin/micro", "fixed", *operations], plugin=plugin, timeout=300)
    starts, ends = run.marks_of("0010"), run.marks_of("0011")
    return {name: (end[1] - start[1]) / iterations
            for (name, (_, iterations)), start, end in zip(micro_lines(run.output).items(), starts,
                                                           ends)}


def micro_times(guest, operations):
    run = guest.run("small", ["/bin/micro", "time", *operations], timeout=300)
    return {name: ns for name, (ns, _) in micro_lines(run.output).items()}


def micro_table(bench, title, text, operations):
    """`operations`: micro's arguments."""
    everyone = bench.virtual + bench.host
    table = Table(title, text, [f"{guest.name}, instructions" for guest in bench.virtual]
                  + [f"{guest.name}, ns" for guest in everyone])
    if bench.plugin:
        for guest in bench.virtual:
            for name, value in micro_instructions(guest, bench.plugin, operations).items():
                table.add(name, value, f"{guest.name}, instructions", count)
    if not bench.options.counts:
        for guest in everyone:
            for name, value in micro_times(guest, operations).items():
                table.add(name, value, f"{guest.name}, ns", tenths)
    return table


def measure(bench):
    yield start_table(bench)
    yield micro_table(bench, "Basic operations",
                      f"QEMU's {bench.options.accel}, microvm, one CPU; natively on the host for "
                      "reference. Guest instructions count each iteration of a `rep` instruction "
                      "as one.", [])
