"""Makes of the tables the descriptors by which trace/format.cpp prints a call."""

import re


def _type_entry(type_):
    """The initializer of a TypeDescriptor: value printer, memory printer, constants."""
    kind, _, name = type_.printer.removeprefix("late:").partition(":")
    cpp = type_.cpp
    if kind == "hidden":
        return "{nullptr, nullptr, nullptr}"
    if kind == "value":
        value = f"value<{cpp}, print_{name}>"
        return f"{{{value}, values<{cpp}, {value}>, nullptr}}"
    if kind in ("flags", "one_of"):
        value = f"{kind}<{cpp}>"
        return f"{{{value}, values<{cpp}, {value}>, &tables::{name}}}"
    if kind == "struct":
        return f"{{nullptr, structures<{cpp}, print_{name}>, nullptr}}"
    if kind == "array":
        return f"{{nullptr, array<print_{name}>, nullptr}}"
    if kind == "string":
        return f"{{string_value<print_{name}>, array<print_{name}>, nullptr}}"
    raise ValueError(f"type {type_.name}: unknown printer {type_.printer}")


def _count(call, argument):
    """CountKind and the number or argument index that goes with it."""
    if argument.count is None:
        return "CountKind::kOne", 1
    if argument.count == "ret":
        return "CountKind::kResult", 0
    if argument.count.isdigit():
        return "CountKind::kFixed", int(argument.count)
    names = [other.name for other in call.arguments]
    pages = re.fullmatch(r"pages\((\w+)\)", argument.count)
    if pages:
        return "CountKind::kArgumentPages", names.index(pages[1])
    return "CountKind::kArgument", names.index(argument.count)


def _argument_entry(call, argument, type_index):
    direction = {"value": "kValue", "in": "kIn", "out": "kOut", "inout": "kIn"}[argument.direction]
    if argument.type.printer.startswith("late:"):
        direction = "kLateValue" if argument.direction == "value" else "kLate"
    if argument.is_hidden:
        direction = "kHidden"
    kind, count = _count(call, argument)
    return f"{{{type_index[argument.type.name]}, Direction::{direction}, {kind}, {count}}}"


def trace_table_cpp(header, calls):
    used = {}
    for call in calls:
        for type_ in [argument.type for argument in call.arguments] + [call.result]:
            used[type_.name] = type_
    types = list(used.values())
    type_index = {type_.name: index for index, type_ in enumerate(types)}
    text = [header, '#include "syscall-table/trace/printers.h"']
    text.append('#include "syscall-table/trace/structures.h"\n')
    text.append("namespace coracle::trace {\n")
    text.append("constinit const TypeDescriptor kTypeDescriptors[] = {")
    text += [f"    {_type_entry(type_)},  // {type_.name}" for type_ in types]
    text.append("};\n")
    text.append("constinit const CallDescriptor kCallDescriptors[512] = {")
    next_number = 0
    for call in calls:
        text += ["    {},"] * (call.number - next_number)
        next_number = call.number + 1
        entries = ", ".join(_argument_entry(call, a, type_index) for a in call.arguments)
        count, result = len(call.arguments), type_index[call.result.name]
        text.append(f'    {{"{call.name}", {count}, {result}, {{{entries}}}}},')
    text.append("};\n\n}  // namespace coracle::trace")
    return "\n".join(text) + "\n"
