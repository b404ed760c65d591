// Socket addresses, options and messages.
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <algorithm>
#include <bit>
#include <cstddef>

#include "syscall-table/trace/printers.h"

namespace coracle::trace {

namespace {

void put_unix(Call& call, const sockaddr_un& address, size_t length) {
    call.line.put(", sun_path=");
    const char* path = address.sun_path;
    const size_t size = length - offsetof(sockaddr_un, sun_path);
    if (size != 0 && path[0] == '\0') {  // an abstract name
        call.line.put('@');
        call.line.put_quoted(path + 1, size - 1, false);
    } else {
        call.line.put_quoted(path, static_cast<size_t>(std::find(path, path + size, '\0') - path),
                             false);
    }
}

void put_inet(Call& call, const sockaddr_in& address) {
    Line& line = call.line;
    line.put(", sin_port=htons(");
    line.put_unsigned(ntohs(address.sin_port));
    line.put("), sin_addr=inet_addr(\"");
    const auto* bytes = reinterpret_cast<const uint8_t*>(&address.sin_addr);
    for (unsigned i = 0; i < 4; ++i) {
        if (i != 0) line.put('.');
        line.put_unsigned(bytes[i]);
    }
    line.put("\")");
}

// RFC 5952: the longest run of two or more zero groups becomes `::`.
void put_inet6_text(Line& line, const in6_addr& address) {
    uint16_t groups[8];
    for (unsigned i = 0; i < 8; ++i) {
        groups[i] = static_cast<uint16_t>(address.s6_addr[2 * i] << 8 | address.s6_addr[2 * i + 1]);
    }
    unsigned run_start = 8, run_length = 1;
    for (unsigned i = 0; i < 8; ++i) {
        unsigned length = 0;
        while (i + length < 8 && groups[i + length] == 0) ++length;
        if (length > run_length) {
            run_start = i;
            run_length = length;
        }
    }
    for (unsigned i = 0; i < 8; ++i) {
        if (i == run_start) {
            line.put("::");
            i += run_length - 1;
            continue;
        }
        if (i != 0 && i != run_start + run_length) line.put(':');
        char digits[4];
        unsigned count = 0;
        unsigned value = groups[i];
        do {
            digits[count++] = "0123456789abcdef"[value % 16];
            value /= 16;
        } while (value != 0);
        while (count != 0) line.put(digits[--count]);
    }
}

void put_inet6(Call& call, const sockaddr_in6& address) {
    Line& line = call.line;
    line.put(", sin6_port=htons(");
    line.put_unsigned(ntohs(address.sin6_port));
    line.put("), sin6_flowinfo=htonl(");
    line.put_unsigned(ntohl(address.sin6_flowinfo));
    line.put("), inet_pton(AF_INET6, \"");
    put_inet6_text(line, address.sin6_addr);
    line.put("\", &sin6_addr), sin6_scope_id=");
    line.put_unsigned(address.sin6_scope_id);
}

void put_netlink(Call& call, const sockaddr_nl& address) {
    call.line.put(", nl_pid=");
    call.line.put_unsigned(address.nl_pid);
    call.line.put(", nl_groups=");
    constexpr unsigned kDigits = 8;
    call.line.put(address.nl_groups == 0 ? "00000000" : "0x");
    for (unsigned i = kDigits; address.nl_groups != 0 && i-- > 0;) {
        call.line.put("0123456789abcdef"[address.nl_groups >> 4 * i & 0xf]);
    }
}

}  // namespace

void print_sockaddr(Call& call, uint64_t address, uint64_t length) {
    union {
        sockaddr any;
        sockaddr_un unix_address;
        sockaddr_in inet;
        sockaddr_in6 inet6;
        sockaddr_nl netlink;
        char bytes[128];
    } socket = {.bytes = {}};
    length = std::min<uint64_t>(length, sizeof(socket));
    if (address == 0 || length < sizeof(socket.any.sa_family) ||
        call.memory.read(&socket, address, length) != length) {
        call.line.put_pointer(address);
        return;
    }
    call.line.put("{sa_family=");
    put_one_of(call.line, socket.any.sa_family, tables::address_families);
    if (socket.any.sa_family == AF_UNIX && length > offsetof(sockaddr_un, sun_path)) {
        put_unix(call, socket.unix_address, std::min(length, sizeof(sockaddr_un)));
    } else if (socket.any.sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
        put_inet(call, socket.inet);
    } else if (socket.any.sa_family == AF_INET6 &&
               length >= offsetof(sockaddr_in6, sin6_scope_id)) {
        put_inet6(call, socket.inet6);
    } else if (socket.any.sa_family == AF_NETLINK && length >= sizeof(sockaddr_nl)) {
        put_netlink(call, socket.netlink);
    } else if (length > sizeof(socket.any.sa_family)) {
        call.line.put(", sa_data=");
        call.line.put_quoted(socket.any.sa_data, length - sizeof(socket.any.sa_family), false);
    }
    call.line.put('}');
}

void print_sockopt(Call& call, uint64_t address, uint64_t length) {
    int value = 0;
    if (length == sizeof(value) && call.read(value, address)) {
        call.line.put('[');
        call.line.put_decimal(value);
        call.line.put(']');
    } else {
        print_bytes(call, address, length);
    }
}

void print_length_in_out(Call& call, uint64_t address, uint64_t) {
    int length = 0;
    if (!call.read(length, address)) {
        call.line.put_pointer(address);
        return;
    }
    call.line.put('[');
    if (call.length_before != length && !call.failed()) {
        call.line.put_decimal(call.length_before);
        call.line.put(" => ");
    }
    call.line.put_decimal(length);
    call.line.put(']');
}

void print_msghdr(Call& call, const struct msghdr& message) {
    Line& line = call.line;
    if (call.failed()) {
        line.put("{msg_namelen=");
        line.put_unsigned(message.msg_namelen);
        line.put('}');
        return;
    }
    line.put("{msg_name=");
    print_sockaddr(call, reinterpret_cast<uint64_t>(message.msg_name), message.msg_namelen);
    line.put(", msg_namelen=");
    line.put_unsigned(message.msg_namelen);
    line.put(", msg_iov=");
    const auto vectors = reinterpret_cast<uint64_t>(message.msg_iov);
    if (call.returned) {
        print_read_vectors(call, vectors, message.msg_iovlen);
    } else {
        structures<struct iovec, print_iovec>(call, vectors, message.msg_iovlen, true, nullptr);
    }
    line.put(", msg_iovlen=");
    line.put_unsigned(message.msg_iovlen);
    if (message.msg_controllen != 0) {
        line.put(", msg_control=");
        line.put_pointer(reinterpret_cast<uint64_t>(message.msg_control));
    }
    line.put(", msg_controllen=");
    line.put_unsigned(message.msg_controllen);
    line.put(", msg_flags=");
    put_flags(line, static_cast<uint32_t>(message.msg_flags), tables::msg_flags);
    line.put('}');
}

}  // namespace coracle::trace
