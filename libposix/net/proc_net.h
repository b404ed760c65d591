// /proc/net (man 5 proc), in Linux 6.1's formats.
#pragma once

#include "libposix/fs/pseudo/pseudo_file_system.h"
#include "libposix/net/address.h"

namespace coracle::net {

// The directory, /proc/PID/net.
extern const PseudoEntry kProcNetDirectory;

// What TCP adds; it sets them when it is registered. Each appends whole lines.
struct TcpProcFiles {
    Result<void> (*connections)(TextBuffer& to,
                                bool v6) = nullptr;      // of tcp, tcp6, without the title
    Result<void> (*snmp)(TextBuffer& to) = nullptr;      // the two lines "Tcp:"
    Result<void> (*netstat)(TextBuffer& to) = nullptr;   // the two lines "TcpExt:"
    Result<void> (*sockstat)(TextBuffer& to) = nullptr;  // the line "TCP:"
};
inline constinit TcpProcFiles tcp_proc_files;

// "0100007F:1F90", as the tables of sockets show an endpoint.
void put_proc_endpoint(TextBuffer& to, const Endpoint& endpoint, bool v6);

}  // namespace coracle::net
