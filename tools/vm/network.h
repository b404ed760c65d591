// The virtual machine's network: what stands behind its card, and which of its ports the host
// offers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coracle {

// A port of the host that leads to one of the guest (--publish).
struct PublishedPort {
    std::string address = "127.0.0.1";  // Of the host.
    uint16_t host = 0, guest = 0;
    bool udp = false;

    // [ADDR:]HOST:GUEST[/tcp|/udp], or PORT[/udp] for the same one on both sides. Throws
    // CommandError (125) for what makes no sense.
    static PublishedPort parse(const std::string& text);
};

struct NetworkSettings {
    enum class Kind { kUser, kTap, kNone };
    Kind kind = Kind::kNone;
    std::string tap;      // Interface, of kTap.
    unsigned queues = 1;  // Pairs of queues of the card.
    std::string mac;
    std::string capture_file;  // pcap; empty: none.
    std::vector<PublishedPort> ports;
    // ADDRESS/PREFIX. Empty: what QEMU's user network gives, and DHCP at a tap.
    std::vector<std::string> addresses;
    std::string gateway;
    std::vector<std::string> name_servers;

    // "user", "tap=NAME" or "none".
    void parse_kind(const std::string& text);

    // A tap with several queues (IFF_MULTI_QUEUE) gets one for each processor; QEMU has to use it
    // as such, so at least two. Throws CommandError (125) where QEMU has no way to do what is
    // asked.
    void choose_queues(unsigned cpus);

    // Arguments of QEMU: the backend, the card and the capture. `microvm`: the card is on MMIO.
    std::vector<std::string> qemu_arguments(bool microvm) const;

    // "key", "value" pairs for the kernel's configuration.
    std::vector<std::pair<std::string, std::string>> boot_configuration() const;

    // Tries what QEMU will have to do: bind the ports, open the tap. Throws CommandError (125) with
    // what to do about it.
    void check_host() const;
};

// "52:54:00:" and three random bytes.
std::string random_mac();
// Throws CommandError (125) unless it is six bytes of a single station.
void check_mac(const std::string& text);
// ADDRESS/PREFIX of either family.
void check_interface_address(const std::string& text);
void check_address(const std::string& option, const std::string& text);

}  // namespace coracle
