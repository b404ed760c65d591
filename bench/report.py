"""The tables of docs/performance.md."""

BEGIN = "<!-- written by bench/run: begin -->"
END = "<!-- written by bench/run: end -->"


def milliseconds(value):
    return f"{value * 1000:,.0f} ms"


def mebibytes(value):
    return f"{value / 2**20:,.1f} MiB"


def count(value):
    return f"{value:,.0f}"


ROWS = (
    ("first_line_s", "QEMU's start to the first line of hello", milliseconds),
    ("guest_share_s", "of it, from the VM's reset to main()", milliseconds),
    ("boot_instructions", "guest instructions from reset to main()", count),
    ("hello_mib", "least memory that starts hello", lambda value: f"{value} MiB"),
    ("python_mib", "least memory that starts python3", lambda value: f"{value} MiB"),
    ("kernel_bytes", "kernel file", mebibytes),
    ("image_bytes", "root image with hello, micro and libc", mebibytes),
)


def row(cells):
    return "| " + " | ".join(cells) + " |"


def heading(cells):
    return [row(cells), row(["---"] + ["---:"] * (len(cells) - 1))]


def micro_rows(results, names):
    def cell(guest, key, form):
        value = results[guest].get(key, {}).get(operation)
        return "-" if value is None else form.format(value)

    operations = []
    for key in ("micro_instructions", "micro_ns"):
        for guest in names:
            for operation in results[guest].get(key, {}):
                if operation not in operations:
                    operations.append(operation)
    for operation in operations:
        yield row([operation] + [cell(guest, "micro_instructions", "{:,.0f}") for guest in names]
                  + [cell(guest, "micro_ns", "{:,.1f}") for guest in names])


def table(results, options):
    names = list(results)
    lines = [f"Measured under QEMU's {options.accel}, microvm, one CPU, 256 MiB. Guest "
             "instructions count each iteration of a `rep` instruction as one.", ""]
    lines += heading([""] + names)
    for key, title, form in ROWS:
        if not any(key in results[name] for name in names):
            continue
        values = [results[name].get(key) for name in names]
        lines.append(row([title] + ["-" if value is None else form(value) for value in values]))
    lines.append("")
    lines += heading(["operation"] + [f"{name}, instructions" for name in names]
                     + [f"{name}, ns" for name in names])
    lines += micro_rows(results, names)
    return "\n".join(lines)


def insert(path, text):
    """Replaces the generated section, or appends one."""
    old = path.read_text() if path.exists() else "# Performance\n\n"
    section = f"{BEGIN}\n{text}\n{END}"
    if BEGIN in old and END in old:
        before, rest = old.split(BEGIN, 1)
        new = before + section + rest.split(END, 1)[1]
    else:
        new = old.rstrip("\n") + f"\n\n{section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(new)
