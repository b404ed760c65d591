"""The tables of docs/performance.md: one for each group of measurements."""

import re
from dataclasses import dataclass, field

BEGIN = "<!-- written by bench/run: begin -->"
END = "<!-- written by bench/run: end -->"
UNKNOWN = "-"


def milliseconds(value):
    return f"{value * 1000:,.0f} ms"


def mebibytes(value):
    return f"{value / 2**20:,.1f} MiB"


def count(value):
    return f"{value:,.0f}"


def tenths(value):
    return f"{value:,.1f}"


@dataclass
class Table:
    """Rows by name. A cell that was not measured is None, and keeps what the document says."""
    title: str
    text: str  # how it was measured
    columns: list
    rows: dict = field(default_factory=dict)  # name -> cells, as text or None

    def add(self, name, value, column, form):
        """One value; None is nothing new."""
        cells = self.rows.setdefault(name, [None] * len(self.columns))
        if value is not None:
            cells[self.columns.index(column)] = form(value)

    def drawn(self, old_cells):
        """With the rows and columns that were there before, when less was measured now."""
        columns = list(dict.fromkeys([column for _, column in old_cells] + self.columns))
        lines = [f"## {self.title}", "", self.text, "", row([""] + columns),
                 row(["---"] + ["---:"] * len(columns))]
        for name in self.rows | dict.fromkeys(name for name, _ in old_cells):
            new = dict(zip(self.columns, self.rows.get(name, [])))
            lines.append(row([name] + [new.get(column) or old_cells.get((name, column), UNKNOWN)
                                       for column in columns]))
        return "\n".join(lines)


def row(cells):
    return "| " + " | ".join(cells) + " |"


def cells_of(text):
    """(row, column) -> cell of the one table in a section."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in text.splitlines() if line.startswith("|")]
    return {(cells[0], column): cell for cells in lines[2:]
            for column, cell in zip(lines[0][1:], cells[1:])}


def merged(old, tables):
    """The generated section's text with these tables in place of those of the same title."""
    sections = {}
    for text in re.split(r"^(?=## )", old, flags=re.MULTILINE):
        if text.startswith("## "):
            sections[text.splitlines()[0][3:]] = text.strip()
    for table in tables:
        sections[table.title] = table.drawn(cells_of(sections.get(table.title, "")))
    return "\n\n".join(sections.values())


def insert(path, tables):
    """Replaces these tables in the generated section, or appends one."""
    old = path.read_text() if path.exists() else "# Performance\n"
    if BEGIN in old and END in old:
        before, rest = old.split(BEGIN, 1)
        section, after = rest.split(END, 1)
    else:
        before, section, after = old.rstrip("\n") + "\n\n", "", "\n"
    path.write_text(f"{before}{BEGIN}\n{merged(section, tables)}\n{END}{after}")
