"""What a log of Python's test suite says, and what it may say."""
import collections
import fnmatch
import os
import re

FOLDER = os.path.dirname(os.path.abspath(__file__))

# What a refused process looks like at the end of a traceback.
NO_PROCESS = re.compile(r"(fork|spawn|_execute_child|popen|exec[vl]|system\().*\Z", re.S)
REFUSED = "OSError: [Errno 38] Function not implemented"

Difference = collections.namedtuple("Difference", "pattern kind reason")
Outcome = collections.namedtuple("Outcome", "ran skipped failures finished")


def read_differences(module):
    """The lines of differences.txt for a module: `fail PATTERN: reason`, or `leave-out` for a test
    that must not even start."""
    result = []
    with open(os.path.join(FOLDER, "differences.txt")) as lines:
        for line in lines:
            found = re.match(r"(fail|may-fail|leave-out)\s+(\S+):\s+(\S.*)", line)
            if found and found[2].startswith(module + "."):
                result.append(Difference(found[2][len(module) + 1:], found[1], found[3]))
            elif not found and line.strip() and not line.startswith("#"):
                sys.exit(f"differences.txt: cannot read: {line}")
    return result


def wanted_a_process(text):
    """Whether a traceback of `text` ends with a refused fork(2) or its like."""
    for before in text.split(REFUSED)[:-1]:
        if NO_PROCESS.search("\n".join(before.splitlines()[-6:])):
            return True
    return False


def short_name(module, identifier):
    """test.test_os.Class.test_name -> Class.test_name"""
    return identifier.removeprefix(f"test.{module}.")


def judge(module, log):
    """What a log of `-m test -v` says: an Outcome, whose failures map a test's name to the end of
    its traceback."""
    failures = {}
    for block in re.split(r"^={70}\n", log, flags=re.M)[1:]:
        head = re.match(r"(?:ERROR|FAIL): (.*)", block)
        if not head:
            continue
        name = re.search(r"\(([\w.]+)\)", head[1])
        name = short_name(module, name[1] if name else head[1])
        failures[name] = failures.get(name, "") + block
    ran = sum(int(n) for n in re.findall(r"^Ran (\d+) tests? in", log, re.M))
    skipped = sum(int(n) for n in re.findall(r"^(?:OK|FAILED) \(.*?skipped=(\d+)", log, re.M))
    finished = re.search(r"^Tests result: |^Result: ", log, re.M) is not None
    return Outcome(ran, skipped, failures, finished)


def classify(outcome, differences):
    """(reason -> names of failing tests, unexpected names, names that should have failed)"""
    reasons = collections.defaultdict(list)
    unexpected, used = [], set()
    for name, text in outcome.failures.items():
        for difference in differences:
            if fnmatch.fnmatch(name, difference.pattern):
                used.add(difference)
                reasons[difference.reason].append(name)
                break
        else:
            if wanted_a_process(text):
                reasons["needs another process"].append(name)
            else:
                unexpected.append(name)
    stale = [d.pattern for d in differences if d.kind == "fail" and d not in used]
    return reasons, unexpected, stale
