"""In the VM: MSG_ZEROCOPY, sendfile and splice; prints what the notices said and the digest of all
that was sent to the port of the host."""
import hashlib, os, select, socket, struct, sys
SO_ZEROCOPY, MSG_ZEROCOPY, MSG_ERRQUEUE, ORIGIN_ZEROCOPY, COPIED = 60, 0x4000000, 0x2000, 5, 1
port = int(sys.argv[1])

def notices(sock, until):
    "Takes notices up to the send of that number; returns their codes."
    codes, following = set(), 0
    poll = select.poll()
    poll.register(sock, 0)
    while following <= until:
        assert poll.poll(60000), "no notice"
        _, control, flags, _ = sock.recvmsg(1, 100, MSG_ERRQUEUE)
        error, origin, kind, code, _, first, last = struct.unpack("=IBBBBII", control[0][2][:16])
        assert (error, origin, kind) == (0, ORIGIN_ZEROCOPY, 0), control
        assert first == following, (first, following)
        following = last + 1
        codes.add(code)
    return codes

data = bytearray(os.urandom(1 << 16) * 40)
with open("/tmp/file", "wb") as file:
    file.write(data)
digest = hashlib.sha256()

sock = socket.create_connection(("10.77.0.1", port))
sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
rest, sends = memoryview(data)[1:], 0
digest.update(rest)
while rest:
    rest = rest[sock.send(rest, MSG_ZEROCOPY):]
    sends += 1
print("codes", notices(sock, sends - 1))
# The notice says that the memory is the program's again.
for i in range(0, len(data), 4096):
    data[i] ^= 255
with open("/tmp/file", "rb") as file:
    size = os.fstat(file.fileno()).st_size
    sent = 0
    while sent < size - 5:
        sent += os.sendfile(sock.fileno(), file.fileno(), 5 + sent, size - 5 - sent)
    file.seek(5)
    digest.update(file.read())
    read_end, write_end = os.pipe()
    offset = 0
    while offset < size:
        moved = os.splice(file.fileno(), write_end, 1 << 16, offset_src=offset)
        offset += moved
        while moved:
            moved -= os.splice(read_end, sock.fileno(), moved)
    # The pipe must not use a page again that is on its way.
    os.write(write_end, b"z" * 4096)
    os.splice(read_end, sock.fileno(), 4096)
    os.write(write_end, b"y" * 4096)
    file.seek(0)
    digest.update(file.read() + b"z" * 4096)
sock.shutdown(socket.SHUT_WR)
assert sock.recv(1) == b""

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
for size in (1, 1400, 5000):
    udp.sendto(data[:size], MSG_ZEROCOPY, ("10.77.0.1", port))
print("datagrams", notices(udp, 2))
print("digest", digest.hexdigest())
