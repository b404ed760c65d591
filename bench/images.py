"""What the guests boot: one folder of programs, packed as each of them wants it."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from guests import INIT_LINE

SOURCES = Path(__file__).parent
PROGRAMS = ("echo_server", "hello", "lateness", "micro", "uneven")  # of the guests
SERVERS = ("/usr/bin/redis-server", "/usr/bin/memcached", "/usr/sbin/nginx", "/usr/bin/iperf3")
# What virtio-net needs, in this order.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "failover", "net_failover", "virtio_net")
CONFIGURATION = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/redis.conf": 'bind 0.0.0.0\nprotected-mode no\nsave ""\n',
    "etc/nginx.conf": """daemon off;
master_process off;
user root;
error_log stderr;
pid /tmp/nginx.pid;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path /tmp/nginx-body;
    proxy_temp_path /tmp/nginx-proxy;
    fastcgi_temp_path /tmp/nginx-fastcgi;
    uwsgi_temp_path /tmp/nginx-uwsgi;
    scgi_temp_path /tmp/nginx-scgi;
    types { text/html html; }
    server { listen 80; root /srv; }
}
""",
    "srv/small.html": "x" * 1024,
}
INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
for module in /modules/*.ko; do
    [ -f $module ] && /bin/busybox insmod $module
done
/bin/busybox ip link set lo up
if /bin/busybox ip link set eth0 up 2>/dev/null; then
    /bin/busybox ip address add 10.0.2.15/24 dev eth0
    /bin/busybox ip route add default via 10.0.2.2
fi
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
    for name in (*PROGRAMS, "load"):
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


def make_java_root(root, programs):
    """The small root, Debian's Java and the classes of programs/java."""
    make_small_root(root, programs)
    home = Path("/usr/bin/java").resolve().parent.parent
    shutil.copytree(home, root / str(home).lstrip("/"), ignore_dangling_symlinks=True,
                    ignore=shutil.ignore_patterns("jmods", "man", "src.zip", "include", "demo"))
    for program in (home / "bin/java", *home.glob("lib/**/*.so")):
        for library in libraries_of(program):
            if not library.startswith(str(home)):
                add_file(root, library)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/java").symlink_to(home / "bin/java")
    run("javac", "-d", root / "srv/java", *(SOURCES / "programs/java").glob("*.java"))


def make_node_root(root, programs):
    make_small_root(root, programs)
    add_file(root, "/usr/bin/node")
    for library in libraries_of("/usr/bin/node"):
        add_file(root, library)
    add_file(root, "/srv/node/hello.js", SOURCES / "programs/node/hello.js")


def make_go_root(root, programs):
    make_small_root(root, programs)
    run("go", "build", "-o", programs / "pingpong", SOURCES / "programs/go/pingpong.go",
        env=os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off"})
    add_file(root, "/bin/pingpong", programs / "pingpong")


def make_network_root(root, programs):
    """The small root and Debian's servers."""
    make_small_root(root, programs)
    for server in SERVERS:
        add_file(root, server)
        for library in libraries_of(server):
            add_file(root, library)
    for folder in ("var/log/nginx", "var/lib/nginx", "root"):
        (root / folder).mkdir(parents=True)
    for name, text in CONFIGURATION.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def make_erofs(root, image):
    image.unlink(missing_ok=True)
    # With times of its files as they are, or the JVM does not trust its class archive.
    run("mkfs.erofs", "--all-root", image, root, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)


def make_initramfs(root, image, modules):
    """The same folder, with busybox as the init that Linux needs, and these modules."""
    work = image.with_suffix(".root")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(root, work, symlinks=True)
    add_file(work, "/bin/busybox", "/bin/busybox")
    for place, module in enumerate(modules):
        add_file(work, f"/modules/{place}-{module.name}", module)
    (work / "init").write_text(INIT)
    (work / "init").chmod(0o755)
    names = subprocess.run(["find", ".", "-print0"], cwd=work, capture_output=True, check=True)
    with open(image, "wb") as out:
        subprocess.run(["cpio", "--null", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=work,
                       input=names.stdout, stdout=out, check=True)
    shutil.rmtree(work)


class Roots:
    """Makes roots by name, and their images in the form that a guest wants, when first asked."""

    MAKERS = {"small": make_small_root, "python": make_python_root,
              "network": make_network_root, "java": make_java_root, "node": make_node_root,
              "go": make_go_root}

    def __init__(self, work):
        self.work = work
        self.made, self.images = set(), set()

    def erofs(self, name):
        return self._image(name, "erofs", make_erofs)

    def initramfs(self, name):
        modules = [next(self.work.glob(f"linux/lib/modules/*/kernel/**/{module}.ko"))
                   for module in MODULES] if name == "network" else []
        return self._image(name, "cpio", lambda root, image: make_initramfs(root, image, modules))

    def _image(self, name, form, pack):
        image = self.work / f"{name}.{form}"
        if image not in self.images:
            root = self.work / name
            if root not in self.made:
                self.MAKERS[name](root, self.work)
                self.made.add(root)
            pack(root, image)
            self.images.add(image)
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
        hello = subprocess.run([programs / "hello"], capture_output=True, text=True, check=True)
        return int(hello.stdout.split()[2]), time.monotonic()

    first, start = reading()
    time.sleep(0.5)
    second, end = reading()
    return (second - first) / (end - start)
