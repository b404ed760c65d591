"""Reads syscalls.tbl and types.tbl, and refuses what is not sound."""

import re
from dataclasses import dataclass, field

# Of kernel-min/abi/process_page.h: kSyscallCount, kCallCount.
SYSCALL_COUNT, CALL_COUNT = 504, 512
MAX_ARGUMENTS = 6


class TableError(Exception):
    pass


@dataclass
class Type:
    """A row of types.tbl."""

    name: str
    cpp: str
    printer: str


@dataclass
class Argument:
    """One argument of a call: `name:type`, `name:in(type)` or `name:in(type)[count]`."""

    name: str
    type: Type
    direction: str  # "value", "in", "out", "inout"
    count: str | None  # text between the brackets

    @property
    def cpp_type(self):
        if self.direction == "value":
            return self.type.cpp
        template = {"in": "UserIn", "out": "UserOut", "inout": "UserInOut"}[self.direction]
        return f"{template}<{self.type.cpp}>"

    @property
    def is_hidden(self):
        return self.type.printer == "hidden"


@dataclass
class Call:
    """A row of syscalls.tbl."""

    number: int
    name: str
    level: str  # "full", "partial", "none"
    errno: str | None  # of level none
    gap: str
    arguments: list[Argument] = field(default_factory=list)
    result: Type | None = None

    @property
    def is_handled(self):
        return self.level != "none"

    @property
    def is_of_linux(self):
        return self.number < SYSCALL_COUNT


def _lines(path):
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if line and not line.startswith("#"):
                yield f"{path}:{number}", line


def read_types(path):
    types = {}
    for where, line in _lines(path):
        match = re.fullmatch(r"(\w+)\s+(\S+(?: \S+)*)\s+(\S+)", line)
        if not match:
            raise TableError(f"{where}: expected: name, C++ type, printer")
        if match[1] in types:
            raise TableError(f"{where}: type {match[1]} is here twice")
        types[match[1]] = Type(*match.groups())
    return types


_ROW = re.compile(
    r"(?P<number>\d+)\s+(?P<name>\w+)\s+"
    r"(?P<level>full|partial|none (?P<errno>E\w+))\s+"
    r"\((?P<arguments>.*)\) -> (?P<result>\w+)"
    r'(?:\s+"(?P<gap>[^"]+)")?'
)
_ARGUMENT = re.compile(
    r"(?P<name>\w+):(?:(?P<plain>\w+)"
    r"|(?P<direction>in|out|inout)\((?P<pointee>\w+)\)(?:\[(?P<count>[^\]]+)\])?)"
)


def _read_argument(where, text, types):
    match = _ARGUMENT.fullmatch(text)
    if not match:
        raise TableError(f"{where}: cannot read argument '{text}'")
    type_name = match["plain"] or match["pointee"]
    if type_name not in types:
        raise TableError(f"{where}: type {type_name} is not in types.tbl")
    return Argument(
        match["name"], types[type_name], match["direction"] or "value", match["count"]
    )


def _check_counts(where, call):
    names = [argument.name for argument in call.arguments]
    if len(set(names)) != len(names):
        raise TableError(f"{where}: two arguments have the same name")
    for argument in call.arguments:
        if argument.count is None or argument.count == "ret" or argument.count.isdigit():
            continue
        name = re.sub(r"^pages\((\w+)\)$", r"\1", argument.count)
        if name not in names:
            raise TableError(f"{where}: {argument.name} counts by '{name}': no such argument")


def _read_call(where, line, types):
    match = _ROW.fullmatch(line)
    if not match:
        raise TableError(f'{where}: expected: number name level (arguments) -> result "gap"')
    level = match["level"].split()[0]
    gap = match["gap"] or ""
    if (level == "full") != (gap == ""):
        raise TableError(f"{where}: level {level} " + ("has a gap" if gap else "tells no gap"))
    if match["result"] not in types:
        raise TableError(f"{where}: type {match['result']} is not in types.tbl")
    call = Call(int(match["number"]), match["name"], level, match["errno"], gap)
    call.result = types[match["result"]]
    for text in match["arguments"].split(", ") if match["arguments"] else []:
        call.arguments.append(_read_argument(where, text, types))
    if len(call.arguments) > MAX_ARGUMENTS:
        raise TableError(f"{where}: more than {MAX_ARGUMENTS} arguments")
    _check_counts(where, call)
    return call


def read_calls(path, types):
    """All calls, in the order of their numbers."""
    calls = []
    for where, line in _lines(path):
        call = _read_call(where, line, types)
        if calls and call.number <= calls[-1].number:
            raise TableError(f"{where}: number {call.number} is out of order")
        if call.number >= CALL_COUNT:
            raise TableError(f"{where}: numbers end at {CALL_COUNT - 1}")
        if any(call.name == other.name for other in calls):
            raise TableError(f"{where}: {call.name} is here twice")
        calls.append(call)
    return calls
