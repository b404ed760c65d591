"""What the guests boot: one folder of programs, packed as each of them wants it."""

import shutil
import subprocess
import time
from pathlib import Path

from guests import INIT_LINE

SOURCES = Path(__file__).parent
PROGRAMS = ("hello", "lateness", "micro", "uneven")
INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
set -- $(/bin/busybox sed 's/.* -- //' /proc/cmdline)
exec >/dev/ttyS0 </dev/null 2>&1
echo {INIT_LINE.decode()}
"$@"
/bin/busybox reboot -f
"""


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


def compile_programs(to):
    """The programs and the plugin; returns the plugin."""
    to.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        sources = sorted((SOURCES / "programs").glob(f"{name}*.c"))
        run("gcc", "-O2", "-pthread", "-o", to / name, *sources)
    plugin = to / "instruction_counter.so"
    run("gcc", "-O2", "-fPIC", "-shared", "-o", plugin, SOURCES / "instruction_counter.c")
    return plugin


def libraries_of(program):
    """Absolute paths of the libraries and the interpreter that `ldd` names."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [word for line in listing.splitlines() for word in line.split() if word.startswith("/")]


def add_file(root, path, source=None):
    to = root / str(path).lstrip("/")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source or path, to)


def make_small_root(root, programs):
    """The programs of this folder with their C library."""
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "dev", "proc", "sys", "tmp"):
        (root / folder).mkdir(parents=True)
    for name in PROGRAMS:
        add_file(root, f"/bin/{name}", programs / name)
        for library in libraries_of(programs / name):
            add_file(root, library)


def make_python_root(root, programs):
    """The small root and Debian's python3 with its standard library."""
    make_small_root(root, programs)
    python = Path("/usr/bin/python3").resolve()
    if not str(python).startswith("/usr/bin/"):
        python = max(Path("/usr/bin").glob("python3.[0-9]*"))
    add_file(root, "/usr/bin/python3", python)
    for library in libraries_of(python):
        add_file(root, library)
    modules = f"usr/lib/{python.name}"
    shutil.copytree(f"/{modules}", root / modules, symlinks=True,
                    ignore=shutil.ignore_patterns("test", "tests", "config-*", "*.a"))


def make_erofs(root, image):
    image.unlink(missing_ok=True)
    run("mkfs.erofs", "-T0", "--all-root", image, root, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)


def make_initramfs(root, image):
    """The same folder, with busybox as the init that Linux needs."""
    work = image.with_suffix(".root")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(root, work, symlinks=True)
    add_file(work, "/bin/busybox", "/bin/busybox")
    (work / "init").write_text(INIT)
    (work / "init").chmod(0o755)
    names = subprocess.run(["find", ".", "-print0"], cwd=work, capture_output=True, check=True)
    with open(image, "wb") as out:
        subprocess.run(["cpio", "--null", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=work,
                       input=names.stdout, stdout=out, check=True)
    shutil.rmtree(work)


class Roots:
    """Makes roots by name, and their images in the form that a guest wants, when first asked."""

    MAKERS = {"small": make_small_root, "python": make_python_root}

    def __init__(self, work):
        self.work = work
        self.images = {}

    def erofs(self, name):
        return self._image(name, "erofs", make_erofs)

    def initramfs(self, name):
        return self._image(name, "cpio", make_initramfs)

    def _image(self, name, form, pack):
        image = self.work / f"{name}.{form}"
        if image not in self.images.values():
            root = self.work / name
            if not any(made == name for made, _ in self.images):
                self.MAKERS[name](root, self.work)
            pack(root, image)
            self.images[name, form] = image
        return image


def fetch_linux(folder):
    """Debian's kernel for cloud guests; returns the path of its bzImage."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob("boot/vmlinuz-*"))
    if found:
        return found[-1]
    depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"],
                             capture_output=True, text=True, check=True).stdout
    package = next(word for word in depends.split() if word.startswith("linux-image-"
                   ) and word != "linux-image-cloud-amd64")
    run("apt-get", "-qq", "download", package, cwd=folder, stderr=subprocess.DEVNULL)
    run("dpkg-deb", "-x", next(folder.glob("*.deb")), folder)
    return max(folder.glob("boot/vmlinuz-*"))


def tsc_hz(programs):
    """The rate of this machine's TSC, from two readings by hello."""

    def reading():
        line = subprocess.run([programs / "hello"], capture_output=True, text=True, check=True).stdout
        return int(line.split()[2]), time.monotonic()

    first, start = reading()
    time.sleep(0.5)
    second, end = reading()
    return (second - first) / (end - start)
