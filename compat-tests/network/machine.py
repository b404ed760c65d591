"""Virtual machines that serve the network or use it, for the tests of this folder and examples/.

Servers listen on loopback, at ports that were free a moment ago; what a test starts ends with it.
"""
import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
# Generous: for a machine that is ten times slower, or busy.
START_TIMEOUT_S = 120
CLIENT_TIMEOUT_S = 180
STOP_TIMEOUT_S = 120

EXAMPLES = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../examples"))

coracle = None  # the path of the host program, set by `check`
machines = []   # all that were started, for the report of a failure

_libc = ctypes.CDLL(None, use_errno=True)


def _end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, stdin=subprocess.DEVNULL, **options):
    """A process that gets SIGTERM when this one ends, however it ends."""
    return subprocess.Popen([str(word) for word in command], stdin=stdin,
                            preexec_fn=_end_with_parent, **options)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(attempt, timeout_s=START_TIMEOUT_S):
    """Calls `attempt` until it raises nothing, and returns what it returns."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return attempt()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def client(*command, data=None, timeout_s=CLIENT_TIMEOUT_S, status=0):
    """Standard output, as bytes, of a client on the host that must end with `status`."""
    done = subprocess.run([str(word) for word in command], input=data, timeout=timeout_s,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **({} if data is not None else {"stdin": subprocess.DEVNULL}))
    if done.returncode != status:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: "
                             f"{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def localhost_certificate():
    """The folder of certificate.pem and key.pem, for localhost and 127.0.0.1."""
    made = client("bash", "-c", '. "$0"; echo "$certificate"',
                  os.path.join(EXAMPLES, "localhost_certificate.sh"))
    return os.path.realpath(made.decode().rstrip("\n"))


def start_example(case, name, *arguments, ready):
    """Sets `case.server` to what examples/NAME/run starts, until the end of the test case `case`.
    Waits until it has written `ready`."""
    case.server = Machine(*arguments, script=os.path.join(EXAMPLES, name, "run"))
    case.addClassCleanup(case.server.stop)
    case.server.wait_for(ready)


class Machine:
    """A virtual machine that runs until the end of its `with` block, or until stop()."""

    def __init__(self, *arguments, script=None, data=b""):
        """Runs `coracle run ARGUMENTS`, or `script ARGUMENTS` with $CORACLE naming the former.
        `data` is the program's standard input."""
        self.output = tempfile.TemporaryFile()
        command = [script] if script else [coracle, "run"]
        with tempfile.TemporaryFile() as input:
            input.write(data)
            input.seek(0)
            self.process = start([*command, *arguments], stdin=input, stdout=self.output,
                                 stderr=subprocess.STDOUT, env={**os.environ, "CORACLE": coracle})
        machines.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def bytes(self):
        """All that the program has written so far."""
        return os.pread(self.output.fileno(), os.fstat(self.output.fileno()).st_size, 0)

    def text(self):
        return self.bytes().decode(errors="replace")

    def wait_for(self, words, timeout_s=START_TIMEOUT_S):
        """Waits until the program has written `words`."""
        def look():
            text = self.text()
            if words not in text:
                ended = self.process.poll()
                raise AssertionError(f"'{words}' was not written; ended: {ended}\n{text[-2000:]}")
        eventually(look, timeout_s)

    def wait(self, timeout_s=CLIENT_TIMEOUT_S):
        """The status of a program that ends by itself."""
        return self.process.wait(timeout_s)

    def stop(self):
        """Asks the program to end, as a user would, and returns its status."""
        if self.process.poll() is not None:
            return self.process.returncode
        self.process.terminate()
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
            if status == 128 + signal.SIGKILL:
                raise AssertionError("the program did not end on SIGTERM")
            return status
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the virtual machine did not end on SIGTERM") from None
