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

void put_credentials(Line& line, const ucred& credentials) {
    line.put("{pid=");
    line.put_decimal(credentials.pid);
    line.put(", uid=");
    line.put_unsigned(credentials.uid);
    line.put(", gid=");
    line.put_unsigned(credentials.gid);
    line.put('}');
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
    linger time;
    ucred credentials;
    const auto option = static_cast<int>(call.arguments[2]);
    const bool is_generic = static_cast<int>(call.arguments[1]) == SOL_SOCKET;
    if (is_generic && option == SO_LINGER && length == sizeof(time) && call.read(time, address)) {
        call.line.put("{l_onoff=");
        call.line.put_decimal(time.l_onoff);
        call.line.put(", l_linger=");
        call.line.put_decimal(time.l_linger);
        call.line.put('}');
        return;
    }
    if (is_generic && option == SO_PEERCRED && length == sizeof(credentials) &&
        call.read(credentials, address)) {
        put_credentials(call.line, credentials);
        return;
    }
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

namespace {

void put_control_data(Call& call, const cmsghdr& head, uint64_t address) {
    const uint64_t size = head.cmsg_len - CMSG_LEN(0);
    ucred credentials;
    if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_RIGHTS) {
        for_each_element<int>(call, address, size / sizeof(int), true,
                              [&](int fd) { call.line.put_decimal(fd); });
    } else if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_CREDENTIALS &&
               size == sizeof(credentials) && call.read(credentials, address)) {
        put_credentials(call.line, credentials);
    } else {
        print_bytes(call, address, size);
    }
}

void put_control(Call& call, uint64_t address, uint64_t size) {
    Line& line = call.line;
    cmsghdr head;
    if (size < sizeof(head) || !call.read(head, address)) {
        line.put_pointer(address);
        return;
    }
    line.put('[');
    for (uint64_t at = 0; at + sizeof(head) <= size && call.read(head, address + at);) {
        const uint64_t length = std::min<uint64_t>(head.cmsg_len, size - at);
        if (at != 0) line.put(", ");
        line.put("{cmsg_len=");
        line.put_unsigned(head.cmsg_len);
        line.put(", cmsg_level=");
        put_one_of(line, static_cast<uint32_t>(head.cmsg_level), tables::socket_levels);
        line.put(", cmsg_type=");
        if (head.cmsg_level == SOL_SOCKET) {
            put_one_of(line, static_cast<uint32_t>(head.cmsg_type), tables::control_types);
        } else {
            line.put_hex(static_cast<uint32_t>(head.cmsg_type));
        }
        if (length > CMSG_LEN(0)) {
            line.put(", cmsg_data=");
            head.cmsg_len = length;
            put_control_data(call, head, address + at + CMSG_LEN(0));
        }
        line.put('}');
        if (length < sizeof(head)) break;
        at += CMSG_ALIGN(length);
    }
    line.put(']');
}

// For sends and receives of one message, and for each of several.
void put_msghdr(Call& call, const struct msghdr& message, bool may_be_cut) {
    Line& line = call.line;
    if (call.failed() && may_be_cut) {
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
    if (call.returned && may_be_cut) {
        print_read_vectors(call, vectors, message.msg_iovlen);
    } else {
        structures<struct iovec, print_iovec>(call, vectors, message.msg_iovlen, true, nullptr);
    }
    line.put(", msg_iovlen=");
    line.put_unsigned(message.msg_iovlen);
    if (message.msg_controllen != 0) {
        line.put(", msg_control=");
        put_control(call, reinterpret_cast<uint64_t>(message.msg_control), message.msg_controllen);
    }
    line.put(", msg_controllen=");
    line.put_unsigned(message.msg_controllen);
    line.put(", msg_flags=");
    put_flags(line, static_cast<uint32_t>(message.msg_flags), tables::msg_flags);
    line.put('}');
}

}  // namespace

void print_msghdr(Call& call, const struct msghdr& message) {
    put_msghdr(call, message, true);
}

void print_mmsghdrs(Call& call, uint64_t address, uint64_t count) {
    if (call.failed() || !is_readable<struct mmsghdr>(call, address)) {
        if (call.failed()) call.line.put_pointer(address);
        return;
    }
    const uint64_t done = std::min(count, static_cast<uint64_t>(call.result));
    for_each_element<struct mmsghdr>(call, address, done, true, [&](struct mmsghdr each) {
        call.line.put("{msg_hdr=");
        // A received message fills no more of its vectors than it is long.
        put_msghdr(call, each.msg_hdr, false);
        call.line.put(", msg_len=");
        call.line.put_unsigned(each.msg_len);
        call.line.put('}');
    });
}

}  // namespace coracle::trace
