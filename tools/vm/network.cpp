#include "tools/vm/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <random>

#include "tools/support/error.h"
#include "tools/support/unique_fd.h"

namespace coracle {
namespace {

// QEMU's user network (its manual, "Using the user mode network stack").
constexpr char kUserAddress[] = "10.0.2.15/24", kUserGateway[] = "10.0.2.2";

[[noreturn]] void reject(const std::string& message) {
    throw CommandError(kExitOwnFailure, message);
}

bool parse_port(std::string_view text, uint16_t& port) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port != 0;
}

// AF_INET, AF_INET6 or 0.
int address_family(const std::string& text) {
    unsigned char bytes[16];
    for (int family : {AF_INET, AF_INET6}) {
        if (inet_pton(family, text.c_str(), bytes) == 1) return family;
    }
    return 0;
}

void check_port_is_free(const PublishedPort& port) {
    UniqueFd fd(socket(AF_INET, (port.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port.host);
    inet_pton(AF_INET, port.address.c_str(), &address.sin_addr);
    int one = 1;
    if (!port.udp) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd.get(), generic, sizeof(address)) == 0) return;
    const char* advice = errno == EADDRINUSE      ? "; choose another port of the host"
                         : errno == EADDRNOTAVAIL ? "; that address is not this machine's"
                         : errno == EACCES        ? "; ports below 1024 need root"
                                                  : "";
    reject(
        fmt::format("-p: port {} of {}: {}{}", port.host, port.address, strerror(errno), advice));
}

// What the kernel says of a tap (IFF_*); 0 if it says nothing.
unsigned tap_flags(const std::string& name) {
    std::ifstream file("/sys/class/net/" + name + "/tun_flags");
    unsigned flags = 0;
    file >> std::hex >> flags;
    return file ? flags : 0;
}

void check_tap(const std::string& name, bool has_queues) {
    if (if_nametoindex(name.c_str()) == 0) {
        reject(
            fmt::format("--net tap={0}: there is no such interface; make it, as root: ip tuntap "
                        "add {0} mode tap user $USER && ip link set {0} up",
                        name));
    }
    UniqueFd fd(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    if (fd.get() < 0) {
        reject(
            fmt::format("--net tap={}: /dev/net/tun: {}; run it as root", name, strerror(errno)));
    }
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (has_queues) request.ifr_flags |= IFF_MULTI_QUEUE;
    strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    if (ioctl(fd.get(), TUNSETIFF, &request) == 0) return;
    const char* advice = errno == EPERM    ? "; run it as root, or give the tap to this user"
                         : errno == EBUSY  ? "; another program uses it"
                         : errno == EINVAL ? "; it is not a tap"
                                           : "";
    reject(fmt::format("--net tap={}: {}{}", name, strerror(errno), advice));
}

}  // namespace

PublishedPort PublishedPort::parse(const std::string& text) {
    PublishedPort port;
    std::string_view rest = text;
    if (size_t slash = rest.find('/'); slash != rest.npos) {
        std::string_view protocol = rest.substr(slash + 1);
        port.udp = protocol == "udp";
        if (!port.udp && protocol != "tcp") reject(fmt::format("-p {}: tcp or udp", text));
        rest = rest.substr(0, slash);
    }
    size_t colon = rest.rfind(':');
    bool good = parse_port(rest.substr(colon == rest.npos ? 0 : colon + 1), port.guest);
    if (colon == rest.npos) {
        port.host = port.guest;
    } else {
        rest = rest.substr(0, colon);
        colon = rest.rfind(':');
        good = good && parse_port(rest.substr(colon == rest.npos ? 0 : colon + 1), port.host);
        if (colon != rest.npos) port.address = rest.substr(0, colon);
    }
    if (!good)
        reject(fmt::format("-p {}: give [ADDRESS:]HOST:GUEST[/udp], ports 1 to 65535", text));
    if (address_family(port.address) != AF_INET) {
        reject(fmt::format("-p {}: {} is not an IPv4 address", text, port.address));
    }
    return port;
}

void NetworkSettings::parse_kind(const std::string& text) {
    if (text == "user") {
        kind = Kind::kUser;
    } else if (text == "none") {
        kind = Kind::kNone;
    } else if (text.starts_with("tap=") && text.size() > 4 && text.size() < 4 + IFNAMSIZ &&
               text.find_first_of(",/ ") == text.npos) {
        kind = Kind::kTap;
        tap = text.substr(4);
    } else {
        reject(fmt::format("--net {}: user, tap=NAME or none", text));
    }
}

void NetworkSettings::choose_queues(unsigned cpus) {
    if (kind != Kind::kTap || !(tap_flags(tap) & IFF_MULTI_QUEUE)) return;
    if (!capture_file.empty()) {
        reject(
            fmt::format("--pcap: QEMU captures no packets at {}, a tap with several queues", tap));
    }
    queues = std::max(cpus, 2u);
}

std::vector<std::string> NetworkSettings::qemu_arguments(bool microvm) const {
    if (kind == Kind::kNone) return {};
    std::string backend;
    if (kind == Kind::kTap) {
        backend = fmt::format("tap,id=n0,ifname={},script=no,downscript=no", tap);
        // QEMU would write its own header of offloads before each frame, which readers of the file
        // do not expect.
        if (!capture_file.empty()) backend += ",vnet_hdr=off";
        if (queues > 1) backend += fmt::format(",queues={},vhost=off", queues);
    } else {
        backend = "user,id=n0";
        for (const PublishedPort& port : ports) {
            backend += fmt::format(",hostfwd={}:{}:{}-:{}", port.udp ? "udp" : "tcp", port.address,
                                   port.host, port.guest);
        }
    }
    std::vector<std::string> arguments = {"-netdev", backend, "-device"};
    arguments.push_back(microvm ? "virtio-net-device,netdev=n0"
                                : "virtio-net-pci,netdev=n0,disable-legacy=on,romfile=");
    if (queues > 1) arguments.back() += ",mq=on";
    if (!mac.empty()) arguments.back() += ",mac=" + mac;
    if (!capture_file.empty()) {
        std::string escaped;
        for (char c : capture_file) escaped.append(c == ',' ? 2 : 1, c);
        arguments.push_back("-object");
        arguments.push_back("filter-dump,id=d0,netdev=n0,file=" + escaped);
    }
    return arguments;
}

std::vector<std::pair<std::string, std::string>> NetworkSettings::boot_configuration() const {
    std::vector<std::pair<std::string, std::string>> pairs;
    bool user = kind == Kind::kUser;
    bool has_ipv4 = false;
    for (const std::string& address : addresses) {
        pairs.emplace_back("ip", address);
        has_ipv4 = has_ipv4 || address.find(':') == address.npos;
    }
    if (user && !has_ipv4) pairs.emplace_back("ip", kUserAddress);
    if (!gateway.empty()) {
        pairs.emplace_back("gateway", gateway);
    } else if (user) {
        pairs.emplace_back("gateway", kUserGateway);
    }
    if (kind == Kind::kTap && !has_ipv4) pairs.emplace_back("dhcp", "1");
    return pairs;
}

void NetworkSettings::check_host() const {
    if (kind == Kind::kTap) check_tap(tap, queues > 1);
    for (const PublishedPort& port : ports) check_port_is_free(port);
}

std::string random_mac() {
    std::random_device random;
    uint32_t bits = random();
    return fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", bits & 0xff, bits >> 8 & 0xff,
                       bits >> 16 & 0xff);
}

void check_mac(const std::string& text) {
    unsigned bytes[6];
    char more;
    int count = sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", &bytes[0], &bytes[1], &bytes[2],
                       &bytes[3], &bytes[4], &bytes[5], &more);
    if (count != 6 || text.size() != 17) {
        reject(fmt::format("--mac {}: give six bytes such as 52:54:00:12:34:56", text));
    }
    if (bytes[0] & 1) reject(fmt::format("--mac {}: that is a group's address", text));
}

void check_interface_address(const std::string& text) {
    size_t slash = text.find('/');
    int family = address_family(text.substr(0, slash));
    unsigned prefix = 0;
    const char* end = text.data() + text.size();
    bool good = family != 0 && slash != text.npos;
    if (good) {
        auto [last, error] = std::from_chars(text.data() + slash + 1, end, prefix);
        good = error == std::errc() && last == end && prefix <= (family == AF_INET ? 32u : 128u);
    }
    if (!good) reject(fmt::format("--ip {}: give ADDRESS/PREFIX, such as 192.168.0.5/24", text));
}

void check_address(const std::string& option, const std::string& text) {
    if (address_family(text) == 0) reject(fmt::format("{} {}: is not an address", option, text));
}

}  // namespace coracle
