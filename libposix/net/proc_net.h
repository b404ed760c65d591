// /proc/net (man 5 proc), in Linux 6.1's formats.
#pragma once

#include "libposix/fs/pseudo/pseudo_file_system.h"
#include "libposix/net/address.h"

namespace coracle::net {

// The directory, /proc/PID/net.
extern const PseudoEntry kProcNetDirectory;

struct TcpSocketCounts {
    unsigned in_use = 0, in_use_v6 = 0;  // without TIME-WAIT
    unsigned orphans = 0;
    size_t time_wait = 0;
    size_t memory = 0;  // bytes
};

// What TCP adds; it sets them when it is registered. Each appends whole lines.
struct TcpProcFiles {
    Result<void> (*connections)(TextBuffer& to,
                                bool v6) = nullptr;      // of tcp, tcp6, without the title
    Result<void> (*snmp)(TextBuffer& to) = nullptr;      // the two lines "Tcp:"
    Result<void> (*netstat)(TextBuffer& to) = nullptr;   // the two lines "TcpExt:"
    TcpSocketCounts (*count_sockets)() = nullptr;
};
inline constinit TcpProcFiles tcp_proc_files;

// What AF_UNIX adds: the lines of /proc/net/unix.
using ShowUnixSockets = Result<void> (*)(TextBuffer& to);
inline constinit ShowUnixSockets show_unix_sockets = nullptr;

// Of proc_sockets.cpp.
Result<void> show_udp(TextBuffer& to, const PseudoContext&);
Result<void> show_udp6(TextBuffer& to, const PseudoContext&);
Result<void> show_udp_lite(TextBuffer& to, const PseudoContext&);
Result<void> show_udp_lite6(TextBuffer& to, const PseudoContext&);
Result<void> show_raw(TextBuffer& to, const PseudoContext&);
Result<void> show_raw6(TextBuffer& to, const PseudoContext&);
Result<void> show_tcp(TextBuffer& to, const PseudoContext&);
Result<void> show_tcp6(TextBuffer& to, const PseudoContext&);
Result<void> show_packet(TextBuffer& to, const PseudoContext&);
Result<void> show_unix(TextBuffer& to, const PseudoContext&);
Result<void> show_sockstat(TextBuffer& to, const PseudoContext&);
Result<void> show_sockstat6(TextBuffer& to, const PseudoContext&);

// /proc/sys/net/ipv4/tcp_fastopen; of inet/tcp_proc.cpp.
Result<void> show_tcp_fastopen(TextBuffer& to, const PseudoContext&);
Result<void> store_tcp_fastopen(std::string_view text, const PseudoContext&);

// "0100007F:1F90", as the tables of sockets show an endpoint.
void put_proc_endpoint(TextBuffer& to, const Endpoint& endpoint, bool v6);

}  // namespace coracle::net
