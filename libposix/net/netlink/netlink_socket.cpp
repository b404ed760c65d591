#include "libposix/net/netlink/netlink_socket.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "libposix/net/network.h"
#include "libposix/net/route.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

constexpr size_t kMaxRequest = 16 * 1024;
NetlinkSocket* sockets;

Result<RefPtr<Socket>> create(Socket::Kind kind, uint32_t flags) {
    if (kind.type != SOCK_RAW && kind.type != SOCK_DGRAM) return Error(ESOCKTNOSUPPORT);
    if (kind.protocol < 0 || kind.protocol >= MAX_LINKS) return Error(EPROTONOSUPPORT);
    if (kind.protocol != NETLINK_ROUTE) return Error(EPROTONOSUPPORT);
    start_network();
    SocketPlace place = TRY(make_socket_place());
    return RefPtr<Socket>(TRY(make_ref<NetlinkSocket>(std::move(place), flags, kind)));
}

// Types come in fours: NEW, DEL, GET, SET (linux/rtnetlink.h).
bool is_question(uint16_t type) {
    return type >= RTM_BASE && type % 4 == 2;
}

// The attribute of this type behind a message's fixed part; null: none.
const uint8_t* find_attribute(const uint8_t* from, size_t size, uint16_t type, size_t wanted) {
    while (size >= sizeof(nlattr)) {
        nlattr header;
        memcpy(&header, from, sizeof(header));
        if (header.nla_len < sizeof(nlattr) || header.nla_len > size) return nullptr;
        if ((header.nla_type & NLA_TYPE_MASK) == type) {
            return header.nla_len >= sizeof(nlattr) + wanted ? from + sizeof(nlattr) : nullptr;
        }
        size_t step = std::min<size_t>(NLA_ALIGN(header.nla_len), size);
        from += step;
        size -= step;
    }
    return nullptr;
}

}  // namespace

void register_netlink() {
    register_socket_family({.family = AF_NETLINK, .create = create});
}

NetlinkSocket::NetlinkSocket(SocketPlace place, uint32_t flags, Kind kind)
    : Socket(std::move(place.path), std::move(place.inode), flags, kind), next_(sockets) {
    sockets = this;
}

NetlinkSocket::~NetlinkSocket() {
    NetlinkSocket** link = &sockets;
    while (*link != this) link = &(*link)->next_;
    *link = next_;
}

Result<void> NetlinkSocket::bind(const SocketAddress& address) {
    if (address.length < sizeof(sockaddr_nl)) return Error(EINVAL);
    const auto& wanted = address.as<sockaddr_nl>();
    if (wanted.nl_family != AF_NETLINK) return Error(EINVAL);
    if (port_ != 0 && wanted.nl_pid != port_ && wanted.nl_pid != 0) return Error(EINVAL);
    groups_ = wanted.nl_groups;
    if (wanted.nl_pid == 0 || port_ != 0) return bind_if_needed();
    for (const NetlinkSocket* other = sockets; other; other = other->next_) {
        if (other->port_ == wanted.nl_pid) return Error(EADDRINUSE);
    }
    port_ = wanted.nl_pid;
    return {};
}

// The process's id, or a number of the kernel's own if another socket has that.
Result<void> NetlinkSocket::bind_if_needed() {
    if (port_ != 0) return {};
    uint32_t wanted = current_process()->pid;
    for (uint32_t attempt = 0;; attempt++) {
        bool is_taken = false;
        for (const NetlinkSocket* other = sockets; other; other = other->next_) {
            is_taken = is_taken || other->port_ == wanted;
        }
        if (!is_taken) break;
        wanted = static_cast<uint32_t>(-4096 - static_cast<int>(attempt));
    }
    port_ = wanted;
    return {};
}

Result<void> NetlinkSocket::connect(const SocketAddress& address, bool) {
    if (address.length < sizeof(sockaddr_nl) || address.family() != AF_NETLINK) {
        return Error(EINVAL);
    }
    peer_port_ = address.as<sockaddr_nl>().nl_pid;
    return bind_if_needed();
}

Result<void> NetlinkSocket::local_address(SocketAddress& to) {
    to.length = sizeof(sockaddr_nl);
    to.as<sockaddr_nl>() = {AF_NETLINK, 0, port_, groups_};
    return {};
}

Result<void> NetlinkSocket::peer_address(SocketAddress& to) {
    to.length = sizeof(sockaddr_nl);
    to.as<sockaddr_nl>() = {AF_NETLINK, 0, peer_port_, 0};
    return {};
}

uint32_t NetlinkSocket::poll_events() {
    return POLLOUT | POLLWRNORM | POLLWRBAND |
           (answers_.is_empty() ? 0 : uint32_t{POLLIN | POLLRDNORM});
}

Result<size_t> NetlinkSocket::bytes_to_receive() {
    return answers_.is_empty() ? size_t{0} : answers_.first()->chain_length();
}

Result<void> NetlinkSocket::set_option(int level, int option, UserIn<char> value, unsigned length) {
    if (level != SOL_NETLINK) return Error(ENOPROTOOPT);
    // A short value is 0, as on Linux.
    const int number = length < sizeof(int) ? 0 : TRY(read_option(value, length));
    switch (option) {
        case NETLINK_ADD_MEMBERSHIP:
        case NETLINK_DROP_MEMBERSHIP: {
            // Nothing ever changes without the host, so groups have nothing to say.
            if (number < 1 || number > 32) return Error(EINVAL);
            uint32_t bit = 1u << (number - 1);
            groups_ = option == NETLINK_ADD_MEMBERSHIP ? groups_ | bit : groups_ & ~bit;
            return {};
        }
        case NETLINK_PKTINFO:
        case NETLINK_BROADCAST_ERROR:
        case NETLINK_NO_ENOBUFS:
        case NETLINK_CAP_ACK:
        case NETLINK_EXT_ACK:
        case NETLINK_GET_STRICT_CHK: {
            uint32_t bit = 1u << option;
            options_on_ = number ? options_on_ | bit : options_on_ & ~bit;
            return {};
        }
        default:
            return Error(ENOPROTOOPT);
    }
}

Result<void> NetlinkSocket::get_option(int level, int option, const OptionWriter& to) {
    if (level != SOL_NETLINK) return Error(ENOPROTOOPT);
    switch (option) {
        case NETLINK_PKTINFO:
        case NETLINK_BROADCAST_ERROR:
        case NETLINK_NO_ENOBUFS:
        case NETLINK_CAP_ACK:
        case NETLINK_EXT_ACK:
        case NETLINK_GET_STRICT_CHK:
            break;
        default:
            return Error(ENOPROTOOPT);
    }
    return to.put_value(static_cast<int>(options_on_ >> option & 1));
}

BufferPtr NetlinkSocket::make_answer() {
    return Buffer::allocate(MessageWriter::kCapacity);
}

void NetlinkSocket::queue(BufferPtr answer) {
    if (options.filter) [[unlikely]] {
        const uint32_t kept = options.filter->run({.chain = *answer});
        if (kept == 0) return;
        if (kept < answer->length()) answer->truncate(kept);
    }
    answers_.push_back(std::move(answer));
}

void NetlinkSocket::put_error(int error, const uint8_t* request, size_t size) {
    BufferPtr answer = make_answer();
    if (!answer) return;
    nlmsghdr about;
    memcpy(&about, request, sizeof(about));
    struct {
        int error;
        nlmsghdr about;
    } body{-error, about};
    MessageWriter writer(*answer);
    bool is_capped = error == 0 || options_on_ >> NETLINK_CAP_ACK & 1;
    writer.begin(NLMSG_ERROR, is_capped ? NLM_F_CAPPED : 0, about.nlmsg_seq, port_, body);
    if (!is_capped) {
        size_t more = std::min(size - sizeof(nlmsghdr), answer->tailroom());
        memcpy(answer->append(more), request + sizeof(nlmsghdr), more);
    }
    writer.end();
    queue(std::move(answer));
}

void NetlinkSocket::answer_dump(const DumpRequest& request,
                                bool (*write)(MessageWriter&, const DumpRequest&, size_t)) {
    size_t number = 0;
    bool more = true;
    while (more) {
        BufferPtr answer = make_answer();
        if (!answer) return;
        MessageWriter writer(*answer);
        while (more && writer.has_room(kLargestEntry)) {
            more = write(writer, request, number);
            if (more) number++;
        }
        if (!more) {
            writer.begin(NLMSG_DONE, NLM_F_MULTI, request.sequence, request.port, int{0});
            writer.end();
        }
        queue(std::move(answer));
    }
}

// A question about one thing.
Result<void> NetlinkSocket::answer_one(uint16_t type, const DumpRequest& request,
                                       const uint8_t* message, size_t size) {
    BufferPtr answer = make_answer();
    if (!answer) return Error(ENOBUFS);
    MessageWriter writer(*answer);
    const uint8_t* body = message + sizeof(nlmsghdr);
    size_t body_size = size - sizeof(nlmsghdr);
    if (type == RTM_GETLINK) {
        ifinfomsg link;
        if (body_size < sizeof(link)) return Error(EINVAL);
        memcpy(&link, body, sizeof(link));
        Interface* interface = find_interface(static_cast<uint32_t>(link.ifi_index));
        const uint8_t* name =
            find_attribute(body + sizeof(link), body_size - sizeof(link), IFLA_IFNAME, 1);
        if (!interface && name) {
            const char* text = reinterpret_cast<const char*>(name);
            size_t limit = std::min<size_t>(IFNAMSIZ, static_cast<size_t>(message + size - name));
            interface = find_interface({text, strnlen(text, limit)});
        }
        if (!interface) return Error(ENODEV);
        write_link(writer, request, interface->index() - 1);
    } else if (type == RTM_GETROUTE) {
        rtmsg route;
        if (body_size < sizeof(route)) return Error(EINVAL);
        memcpy(&route, body, sizeof(route));
        size_t length = route.rtm_family == AF_INET ? 4 : 16;
        const uint8_t* bytes =
            find_attribute(body + sizeof(route), body_size - sizeof(route), RTA_DST, length);
        if (!bytes || (route.rtm_family != AF_INET && route.rtm_family != AF_INET6)) {
            return Error(EINVAL);
        }
        IpAddress to =
            length == 4 ? IpAddress::from_v4_bytes(bytes) : IpAddress::from_v6_bytes(bytes);
        Route found = TRY(find_route(to, {}, 0));
        write_found_route(writer, request, to, found);
    } else {
        return Error(EOPNOTSUPP);
    }
    queue(std::move(answer));
    return {};
}

void NetlinkSocket::answer(const uint8_t* message, size_t size) {
    nlmsghdr header;
    memcpy(&header, message, sizeof(header));
    uint16_t type = header.nlmsg_type;
    if (type < NLMSG_MIN_TYPE || !(header.nlmsg_flags & NLM_F_REQUEST)) {
        if (header.nlmsg_flags & NLM_F_ACK) put_error(0, message, size);
        return;
    }
    uint8_t family = size > sizeof(nlmsghdr) ? message[sizeof(nlmsghdr)] : uint8_t{AF_UNSPEC};
    bool is_dump = (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    DumpRequest request{header.nlmsg_seq, port_, family,
                        is_dump ? uint16_t{NLM_F_MULTI} : uint16_t{0}};
    int error = 0;
    if (!is_question(type)) {
        error = type > RTM_MAX ? EOPNOTSUPP : EPERM;
    } else if (!is_dump) {
        error = answer_one(type, request, message, size).error_code();
    } else if (type == RTM_GETLINK) {
        return answer_dump(request, write_link);
    } else if (type == RTM_GETADDR) {
        return answer_dump(request, write_address);
    } else if (type == RTM_GETROUTE) {
        return answer_dump(request, write_route);
    } else if (type == RTM_GETNEIGH) {
        return answer_dump(request, write_neighbor);
    } else {
        error = EOPNOTSUPP;
    }
    if (error != 0 || header.nlmsg_flags & NLM_F_ACK) put_error(error, message, size);
}

Result<size_t> NetlinkSocket::send(SendMessage& message) {
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
    uint32_t to = peer_port_;
    if (message.to) {
        if (message.to->length < sizeof(sockaddr_nl) || message.to->family() != AF_NETLINK) {
            return Error(EINVAL);
        }
        to = message.to->as<sockaddr_nl>().nl_pid;
    }
    TRY(bind_if_needed());
    // Programs talk to the kernel here, not to each other.
    if (to != 0) return Error(ECONNREFUSED);
    size_t size = message.data.size();
    if (size > kMaxRequest) return Error(EMSGSIZE);
    std::unique_ptr<uint8_t[]> bytes(new (std::nothrow) uint8_t[size + 1]);
    if (!bytes) return Error(ENOBUFS);
    if (message.data.copy_in(bytes.get(), size) != size) return Error(EFAULT);
    for (size_t at = 0; at + sizeof(nlmsghdr) <= size;) {
        uint32_t length;
        memcpy(&length, &bytes[at], sizeof(length));
        if (length < sizeof(nlmsghdr) || length > size - at) break;
        answer(&bytes[at], length);
        at += NLMSG_ALIGN(length);
    }
    if (!answers_.is_empty()) changed_.wake_all(POLLIN | POLLRDNORM);
    return size;
}

Result<size_t> NetlinkSocket::receive(ReceiveMessage& message) {
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
    SocketWait wait = wait_to_receive(message.flags);
    if (answers_.is_empty()) {
        TRY(wait.until(changed_, [&] { return !answers_.is_empty(); }));
    }
    Buffer& first = *answers_.first();
    size_t length = first.length();
    size_t part = std::min(length, message.data.size());
    BufferPtr kept;
    if (!(message.flags & MSG_PEEK)) {
        kept = answers_.pop_front();
    } else if (part > 0 && !(kept = first.share(0, length))) {
        return Error(ENOMEM);
    }
    if (part > 0 && message.data.copy_out(kept->data(), part) != part) return Error(EFAULT);
    if (part < length) message.result_flags |= MSG_TRUNC;
    if (message.from) {
        message.from->length = sizeof(sockaddr_nl);
        message.from->as<sockaddr_nl>() = {AF_NETLINK, 0, 0, 0};
    }
    if (message.control && options_on_ >> NETLINK_PKTINFO & 1) {
        nl_pktinfo info{0};
        message.put_control(SOL_NETLINK, NETLINK_PKTINFO, &info, sizeof(info));
    }
    return message.flags & MSG_TRUNC ? length : part;
}

}  // namespace coracle::net
