"""In the VM: what the card hands over, as memberships of a packet socket change.

For each of `steps`, says "ready" and lists the marks of the frames that come until the one marked
"end"; the sender waits for the line.
"""
import socket
import struct

PROTOCOL = 0x88b5  # for experiments (IEEE 802)
SOL_PACKET, ADD, DROP = 263, 1, 2
MULTICAST, PROMISCUOUS, ALL_MULTICAST, UNICAST = 0, 1, 2, 3
STATION, GROUP = bytes.fromhex("525400770099"), bytes.fromhex("01005e010203")

packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(PROTOCOL))
packets.bind(("eth0", PROTOCOL))


def change(option, kind, address=b""):
    packets.setsockopt(SOL_PACKET, option, struct.pack("iHH8s", socket.if_nametoindex("eth0"), kind,
                                                       len(address), address))


steps = [
    ("alone", lambda: None),
    ("group", lambda: change(ADD, MULTICAST, GROUP)),
    ("group left", lambda: change(DROP, MULTICAST, GROUP)),
    ("station", lambda: change(ADD, UNICAST, STATION)),
    ("station left", lambda: change(DROP, UNICAST, STATION)),
    ("all groups", lambda: change(ADD, ALL_MULTICAST)),
    ("everything", lambda: (change(DROP, ALL_MULTICAST), change(ADD, PROMISCUOUS))),
    ("alone again", lambda: change(DROP, PROMISCUOUS)),
]
for name, step in steps:
    step()
    print("ready", flush=True)
    marks = []
    while (mark := packets.recv(100).rstrip(b"\0").decode()) != "end":
        marks.append(mark)
    print(f"{name}: {' '.join(marks)}", flush=True)
