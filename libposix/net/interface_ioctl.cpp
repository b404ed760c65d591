#include "libposix/net/interface_ioctl.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>

#include <algorithm>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/net/interface.h"
#include "libposix/net/network.h"
#include "libposix/net/prefix.h"
#include "libposix/net/route.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

void put_address(sockaddr& to, const IpAddress& address) {
    sockaddr_in value{};
    value.sin_family = AF_INET;
    memcpy(&value.sin_addr, address.v4_bytes(), 4);
    memcpy(&to, &value, sizeof(value));
}

const InterfaceAddress* first_ipv4(const Interface& interface) {
    for (const InterfaceAddress& address : interface.addresses()) {
        if (address.address.is_v4()) return &address;
    }
    return nullptr;
}

// One entry for each interface with an IPv4 address.
Result<long> list_interfaces(uint64_t argument) {
    auto list = TRY(UserIn<ifconf>(argument).read());
    UserOut<ifreq> to(reinterpret_cast<uint64_t>(list.ifc_req));
    size_t room = list.ifc_len < 0 ? 0 : static_cast<size_t>(list.ifc_len) / sizeof(ifreq);
    size_t count = 0;
    for (const Interface* interface : interfaces()) {
        for (const InterfaceAddress& address : interface->addresses()) {
            if (!address.address.is_v4()) continue;
            if (to) {
                if (count == room) break;
                ifreq entry{};
                interface->name().copy(entry.ifr_name, IFNAMSIZ - 1);
                put_address(entry.ifr_addr, address.address);
                TRY(to.write(entry, count));
            }
            count++;
        }
    }
    list.ifc_len = static_cast<int>(count * sizeof(ifreq));
    TRY(UserOut<ifconf>(argument).write(list));
    return 0;
}

Result<void> answer(uint32_t command, const Interface& interface, ifreq& request) {
    const InterfaceAddress* address = first_ipv4(interface);
    switch (command) {
        case SIOCGIFFLAGS:
            request.ifr_flags = static_cast<short>(interface.flags);
            return {};
        case SIOCGIFMETRIC:
            request.ifr_metric = 0;
            return {};
        case SIOCGIFMTU:
            request.ifr_mtu = static_cast<int>(interface.mtu);
            return {};
        case SIOCGIFHWADDR:
            request.ifr_hwaddr = {};
            request.ifr_hwaddr.sa_family = interface.hardware_type();
            memcpy(request.ifr_hwaddr.sa_data, interface.mac.bytes, 6);
            return {};
        case SIOCGIFTXQLEN:
            request.ifr_qlen = 1000;
            return {};
        case SIOCGIFMAP:
            memset(&request.ifr_map, 0, sizeof(request.ifr_map));
            return {};
        case SIOCGIFINDEX:
            request.ifr_ifindex = static_cast<int>(interface.index());
            return {};
    }
    if (!address) return Error(EADDRNOTAVAIL);
    switch (command) {
        case SIOCGIFADDR:
        case SIOCGIFDSTADDR:
            put_address(request.ifr_addr, address->address);
            return {};
        case SIOCGIFBRDADDR:
            put_address(request.ifr_addr,
                        address->broadcast.is_v4() ? address->broadcast : IpAddress::any_v4());
            return {};
        case SIOCGIFNETMASK: {
            uint32_t mask =
                address->prefix_length ? ~uint32_t{0} << (32 - address->prefix_length) : 0;
            put_address(request.ifr_addr, IpAddress::v4(mask));
            return {};
        }
    }
    return Error(ENOTTY);
}

// SIOCETHTOOL: what the device takes off our hands, and whether it has a link.
Result<long> answer_ethtool(const Interface& interface, const ifreq& request) {
    UserInOut<ethtool_value> argument(reinterpret_cast<uint64_t>(request.ifr_data));
    ethtool_value value{};
    value.cmd = TRY(UserIn<uint32_t>(argument.address()).read());
    switch (value.cmd) {
        case ETHTOOL_GLINK:
            value.data = (interface.flags & IFF_RUNNING) != 0;
            break;
        case ETHTOOL_GTXCSUM:
        case ETHTOOL_GSG:
            value.data = interface.offloads.checksum;
            break;
        case ETHTOOL_GTSO:
            value.data = interface.offloads.tso_v4;
            break;
        case ETHTOOL_GGSO:
        case ETHTOOL_GGRO:
            value.data = 1;
            break;
        case ETHTOOL_GFLAGS:
            break;
        default:
            return Error(EOPNOTSUPP);
    }
    TRY(argument.write(value));
    return 0;
}

bool is_change(uint32_t command) {
    switch (command) {
        case SIOCADDRT:
        case SIOCDELRT:
        case SIOCSIFFLAGS:
        case SIOCSIFADDR:
        case SIOCSIFDSTADDR:
        case SIOCSIFBRDADDR:
        case SIOCSIFNETMASK:
        case SIOCSIFMETRIC:
        case SIOCSIFNAME:
        case SIOCSIFHWADDR:
        case SIOCADDMULTI:
        case SIOCDELMULTI:
        case SIOCSIFTXQLEN:
        case SIOCSIFMAP:
        case SIOCDARP:
        case SIOCSARP:
            return true;
        default:
            return false;
    }
}

}  // namespace

Result<long> interface_ioctl(uint32_t command, uint64_t argument) {
    start_network();
    if (is_change(command)) return Error(EPERM);
    bool may_administer = current_credentials().has_capability(kCapNetAdmin);
    if (command == SIOCSIFMTU && !may_administer) return Error(EPERM);
    if (command == SIOCGIFCONF) return list_interfaces(argument);
    bool is_known =
        (command >= SIOCGIFNAME && command <= SIOCSIFMAP) || command == SIOCETHTOOL;
    if (!is_known) return Error(ENOTTY);
    auto request = TRY(UserIn<ifreq>(argument).read());
    if (command == SIOCGIFNAME) {
        Interface* interface = find_interface(static_cast<uint32_t>(request.ifr_ifindex));
        if (!interface) return Error(ENODEV);
        memset(request.ifr_name, 0, IFNAMSIZ);
        interface->name().copy(request.ifr_name, IFNAMSIZ - 1);
    } else {
        request.ifr_name[IFNAMSIZ - 1] = '\0';
        std::string_view name(request.ifr_name);
        // "eth0:1" is an alias of eth0's.
        Interface* interface = find_interface(name.substr(0, name.find(':')));
        if (!interface) return Error(ENODEV);
        if (command == SIOCSIFMTU) {
            TRY(interface->set_mtu(request.ifr_mtu));
            routes_changed();
            return 0;
        }
        if (command == SIOCETHTOOL) return answer_ethtool(*interface, request);
        TRY(answer(command, *interface, request));
    }
    TRY(UserOut<ifreq>(argument).write(request));
    return 0;
}

}  // namespace coracle::net
