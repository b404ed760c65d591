# Programs of Debian, as they are.

# real_program(PATH arguments...): skipped where the program is not installed.
function(real_program path)
    get_filename_component(name ${path} NAME)
    file(REAL_PATH ${path} file)
    if(EXISTS ${file})
        loader_test(real 0 HOST_ONLY NAME real.${name} PROGRAM ${file} ENVIRONMENT LC_ALL=C.UTF-8
            ARGUMENTS ${ARGN})
    endif()
endfunction()

real_program(/usr/bin/ls -lR --color=always /usr/share/zoneinfo)
real_program(/usr/bin/date -u -d @1700000000 +%c)
real_program(/usr/bin/env -i A=1 env)
real_program(/usr/bin/sort --debug -n /etc/passwd)
real_program(/usr/bin/python3 -c "import ssl, sqlite3, ctypes, decimal, json, zlib, hashlib, lzma
import socket, threading, multiprocessing, readline
thread = threading.Thread(target=print, args=('thread',))
thread.start()
thread.join()
print(sum(range(10)), decimal.Decimal(2).sqrt(), ctypes.CDLL(None).abs(-3))
print(hashlib.sha256(b'x').hexdigest(), ssl.OPENSSL_VERSION)
print(sqlite3.connect(':memory:').execute('select sqlite_version(), 6 * 7').fetchall())
print(socket.getservbyname('http'), socket.getaddrinfo('127.0.0.1', 80)[0][4])")
real_program(/usr/bin/perl -MPOSIX -MList::Util=sum -MEncode
    -e "print sum(1..10), POSIX::floor(2.7), length(encode('UTF-16', 'abc')), qq(\n)")
real_program(/usr/bin/sqlite3 :memory: "select 1 + 1, round(2.5), sqlite_version(), upper('x')")
real_program(/usr/bin/gawk "BEGIN { print sin(1), toupper(ENVIRON[\"LC_ALL\"]) }")
real_program(/usr/bin/lua5.4 -e "print(string.format('%q', 1 / 3), os.getenv('LC_ALL'))")
real_program(/usr/bin/xz --robot --version)
real_program(/usr/bin/openssl dgst -sha512 /etc/passwd)
real_program(/usr/bin/ffmpeg -version)
real_program(/usr/bin/bc --version)
real_program(/usr/bin/gdb --batch -ex "print 6 * 7")

# Allocators that are loaded before the program's libraries.
set(script "import ctypes, json, threading
threads = [threading.Thread(target=lambda: [bytes(n) for n in range(5000)]) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(json.dumps([str(n) for n in range(100000)])))")
foreach(allocator libjemalloc.so.2 libtcmalloc_minimal.so.4)
    if(EXISTS /usr/lib/x86_64-linux-gnu/${allocator})
        loader_test(real 0 NAME real.${allocator} PROGRAM /usr/bin/python3.11
            ENVIRONMENT LD_PRELOAD=/usr/lib/x86_64-linux-gnu/${allocator} ARGUMENTS -c "${script}")
    endif()
endforeach()
