#!/bin/bash
# Runs Debian programs on this Linux host, once as they are and once under the libc image, and
# compares output and exit status; then test programs in the same way.
#   host_programs.sh IMAGE PROGRAM...
set -u
export PATH=/usr/bin:/bin LC_ALL=C
image=$(realpath "$1")
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0 count=0

# check COMMAND ARGS...: the same under both.
check() {
    local program
    program=$(type -P "$1") || { echo "skipped, not installed: $1"; return; }
    shift
    count=$((count + 1))
    timeout 60 "$program" "$@" >"$work/native" 2>&1 </dev/null
    local native=$?
    timeout 60 "$image" "$program" "$@" >"$work/image" 2>&1 </dev/null
    local status=$?
    if [ $status != $native ] || ! cmp -s "$work/native" "$work/image"; then
        echo "FAILED: $program $* (status $status, natively $native)"
        diff "$work/native" "$work/image" | head -5
        failures=$((failures + 1))
    fi
}

seq 1 20000 >"$work/numbers"
check echo hello world
check cat "$work/numbers"
check cat /nonexistent
check ls -l /usr
check ls -lR /usr/share/doc/bash
check sort -rn "$work/numbers"
check sha256sum "$work/numbers"
check env -i A=1 env
check date -u -d @1000000000
check seq 1 3 100
check tail -n 3 "$work/numbers"
check grep -c 7 "$work/numbers"
check sed -n '5,7s/1/x/gp' "$work/numbers"
check awk '{ s += $1 } END { print s, sqrt(s), log(s) }' "$work/numbers"
check xz -kc "$work/numbers"
check gzip -nc "$work/numbers"
check bash -c 'for i in 1 2 3; do echo $i | tr 123 abc; done; exit 7'
check dash -c 'echo $((6 * 7)) | cat; false'
check perl -MPOSIX -MData::Dumper -e 'print Dumper([map { $_ * 2 } 1..3]), strftime("%Y", gmtime 0)'
check python3 -c 'print(sum(range(10)))'
check python3 -c 'import json, ssl, sqlite3, decimal, zlib, hashlib
print(json.dumps({"a": [1, 2]}), decimal.Decimal(1) / 7, hashlib.sha1(b"x").hexdigest())
print(sqlite3.connect(":memory:").execute("select 6*7").fetchone())'
check python3 -c 'import threading, queue
q = queue.Queue()
threads = [threading.Thread(target=lambda i=i: q.put(i * i)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(q.get() for _ in threads))'
check python3 -c 'import ctypes, ctypes.util
libc = ctypes.CDLL("libc.so.6"); libm = ctypes.CDLL("libm.so.6")
libm.cos.restype = ctypes.c_double; libm.cos.argtypes = [ctypes.c_double]
print(libc.abs(-3), libm.cos(0.0), libc.strlen(b"hello"))'
check python3 -c 'import subprocess
print(subprocess.run(["echo", "child"], capture_output=True).stdout)'
check python3 -c 'import locale, datetime
print(locale.setlocale(locale.LC_ALL, "C.UTF-8"), "é".upper(), "ß".encode("iso-8859-15"))'
check python3 -c 'import pwd, grp, socket
print(pwd.getpwuid(0), grp.getgrgid(0).gr_name, socket.getaddrinfo("127.0.0.1", 80)[0])'
check iconv -f UTF-8 -t ISO-8859-15 /etc/hostname
check getent passwd root
for program in "$@"; do check "$program"; done

echo "$count programs, $failures failures"
[ "$count" -ge 20 ] && [ "$failures" = 0 ]
