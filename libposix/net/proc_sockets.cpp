// The tables of sockets in /proc/net, and sockstat.
#include "libposix/net/inet/inet_family.h"
#include "libposix/net/packet/packet_socket.h"
#include "libposix/net/proc_net.h"
#include "libposix/net/raw/raw_socket.h"
#include "libposix/net/udp/udp_socket.h"

namespace coracle::net {

namespace {

constexpr char kTitleV6[] =
    "  sl  local_address                         remote_address                        st "
    "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

// Four bytes as Linux prints a __be32: a number of this machine's byte order.
uint32_t word_at(const uint8_t* bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

// A row of udp, udp6, raw and raw6. `number`: of its bucket; `local_port`: raw sockets show their
// protocol there.
void put_datagram_row(TextBuffer& line, const DatagramSocket& socket, unsigned number,
                      uint16_t local_port, uint32_t user) {
    constexpr unsigned kEstablished = 1, kClosed = 7;
    bool v6 = socket.family() == AF_INET6;
    Endpoint local = socket.local();
    local.port = local_port;
    line.print("%5u: ", number);
    put_proc_endpoint(line, local, v6);
    line.add(" ");
    put_proc_endpoint(line, socket.remote(), v6);
    line.print(" %02X %08X:%08X 00:00000000 00000000 %5u        0 %lu 2 0000000000000000 %lu",
               socket.is_connected() ? kEstablished : kClosed,
               static_cast<unsigned>(socket.memory_to_send()),
               static_cast<unsigned>(socket.queued_memory()), user, socket.inode().number,
               socket.drops());
}

Result<void> show_udp_table(TextBuffer& to, bool v6, bool is_lite) {
    if (v6) {
        to.add(kTitleV6);
        to.add(" ref pointer drops\n");
    } else {
        to.print(
            "%-127s\n",
            "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
            "  timeout inode ref pointer drops ");
    }
    for (size_t bucket = 0; bucket < kUdpBuckets; bucket++) {
        for (const UdpSocket& socket : udp_bucket(bucket, is_lite)) {
            if ((socket.family() == AF_INET6) != v6) continue;
            TextBuffer line;
            put_datagram_row(line, socket, static_cast<unsigned>(bucket), socket.local().port,
                             socket.user());
            to.add(line.text());
            if (!v6 && line.size() < 127) to.add_repeated(' ', 127 - line.size());
            to.add("\n");
        }
    }
    return to.status();
}

Result<void> show_raw_table(TextBuffer& to, bool v6) {
    if (v6) {
        to.add(kTitleV6);
    } else {
        to.add(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
            "  timeout inode");
    }
    to.add(" ref pointer drops\n");
    for (const RawSocket& socket : raw_sockets()) {
        if ((socket.family() == AF_INET6) != v6 || socket.type() != SOCK_RAW) continue;
        TextBuffer line;
        auto protocol = static_cast<uint16_t>(socket.kind().protocol);
        put_datagram_row(line, socket, protocol, protocol, socket.user());
        // Of four columns for the number where the others have five.
        to.add(v6 ? line.text() : line.text().substr(1));
        to.add("\n");
    }
    return to.status();
}

Result<void> show_tcp_table(TextBuffer& to, bool v6) {
    if (v6) {
        to.add(kTitleV6);
        to.add("\n");
    } else {
        to.print("%-149s\n",
                 "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
                 "  timeout inode");
    }
    if (tcp_proc_files.connections) TRY(tcp_proc_files.connections(to, v6));
    return to.status();
}

struct DatagramCounts {
    unsigned in_use = 0, in_use_v6 = 0;
    size_t memory = 0;
};
DatagramCounts count_udp(bool is_lite) {
    DatagramCounts counts;
    for (size_t bucket = 0; bucket < kUdpBuckets; bucket++) {
        for (const UdpSocket& socket : udp_bucket(bucket, is_lite)) {
            ++(socket.family() == AF_INET ? counts.in_use : counts.in_use_v6);
            counts.memory += socket.queued_memory();
        }
    }
    return counts;
}
DatagramCounts count_raw() {
    DatagramCounts counts;
    for (const RawSocket& socket : raw_sockets()) {
        if (socket.type() != SOCK_RAW) continue;
        ++(socket.family() == AF_INET ? counts.in_use : counts.in_use_v6);
    }
    return counts;
}
TcpSocketCounts count_tcp() {
    return tcp_proc_files.count_sockets ? tcp_proc_files.count_sockets() : TcpSocketCounts{};
}

}  // namespace

Result<void> show_udp(TextBuffer& to, const PseudoContext&) {
    return show_udp_table(to, false, false);
}
Result<void> show_udp6(TextBuffer& to, const PseudoContext&) {
    return show_udp_table(to, true, false);
}
Result<void> show_udp_lite(TextBuffer& to, const PseudoContext&) {
    return show_udp_table(to, false, true);
}
Result<void> show_udp_lite6(TextBuffer& to, const PseudoContext&) {
    return show_udp_table(to, true, true);
}
Result<void> show_raw(TextBuffer& to, const PseudoContext&) {
    return show_raw_table(to, false);
}
Result<void> show_raw6(TextBuffer& to, const PseudoContext&) {
    return show_raw_table(to, true);
}
Result<void> show_tcp(TextBuffer& to, const PseudoContext&) {
    return show_tcp_table(to, false);
}
Result<void> show_tcp6(TextBuffer& to, const PseudoContext&) {
    return show_tcp_table(to, true);
}

Result<void> show_packet(TextBuffer& to, const PseudoContext&) {
    to.print("%-17sRefCnt Type Proto  Iface R Rmem   User   Inode\n", "sk");
    for (const PacketSocket& socket : packet_sockets()) {
        bool is_running = socket.protocol() != 0;
        to.print("%016x %-6d %-4d %04x   %-5u %1d %-6lu %-6u %-6lu\n", 0u, is_running ? 3 : 2,
                 socket.type(), unsigned{socket.protocol()}, socket.interface_index(),
                 int{is_running}, socket.queued_memory(), socket.user(), socket.inode().number);
    }
    return to.status();
}

Result<void> show_unix(TextBuffer& to, const PseudoContext&) {
    to.add("Num       RefCount Protocol Flags    Type St Inode Path\n");
    if (show_unix_sockets) TRY(show_unix_sockets(to));
    return to.status();
}

Result<void> show_sockstat(TextBuffer& to, const PseudoContext&) {
    TcpSocketCounts tcp = count_tcp();
    DatagramCounts udp = count_udp(false), lite = count_udp(true), raw = count_raw();
    unsigned all = tcp.in_use + tcp.in_use_v6 + udp.in_use + udp.in_use_v6 + lite.in_use +
                   lite.in_use_v6 + raw.in_use + raw.in_use_v6 +
                   static_cast<unsigned>(packet_sockets().size());
    to.print("sockets: used %u\n", all);
    to.print("TCP: inuse %u orphan %u tw %lu alloc %u mem %lu\n", tcp.in_use, tcp.orphans,
             tcp.time_wait, tcp.in_use + tcp.in_use_v6, tcp.memory / kPageSize);
    to.print("UDP: inuse %u mem %lu\nUDPLITE: inuse %u\nRAW: inuse %u\nFRAG: inuse 0 memory 0\n",
             udp.in_use, udp.memory / kPageSize, lite.in_use, raw.in_use);
    return to.status();
}

Result<void> show_sockstat6(TextBuffer& to, const PseudoContext&) {
    to.print(
        "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse %u\nRAW6: inuse %u\n"
        "FRAG6: inuse 0 memory 0\n",
        count_tcp().in_use_v6, count_udp(false).in_use_v6, count_udp(true).in_use_v6,
        count_raw().in_use_v6);
    return to.status();
}

void put_proc_endpoint(TextBuffer& to, const Endpoint& endpoint, bool v6) {
    if (v6) {
        const uint8_t* bytes = endpoint.address.v6_bytes();
        for (int i = 0; i < 16; i += 4) to.print("%08X", word_at(bytes + i));
    } else {
        to.print("%08X", word_at(endpoint.address.v4_bytes()));
    }
    to.print(":%04X", unsigned{endpoint.port});
}

}  // namespace coracle::net
