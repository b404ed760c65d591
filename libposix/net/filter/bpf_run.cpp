// The interpreter.
#include <net/ethernet.h>
#include <netinet/in.h>

#include "kernel-min/lib/random.h"
#include "libposix/net/address.h"
#include "libposix/net/filter/bpf_program.h"
#ifndef CORACLE_HOST_TEST
#include "kernel-min/sched/cpu.h"
#endif

namespace coracle::net {

namespace {

constexpr uint32_t kAncillary = static_cast<uint32_t>(SKF_AD_OFF);

uint32_t cpu_number() {
#ifdef CORACLE_HOST_TEST
    return 0;
#else
    return current_cpu()->id;
#endif
}

// Where the payload behind the transport's header begins, from byte 0; what is not known has none.
uint32_t payload_offset(const BpfPacket& packet) {
    if (!packet.has_network) return 0;
    const auto network = static_cast<uint32_t>(SKF_NET_OFF);
    auto byte = [&](uint32_t at) {
        uint8_t value = 0;
        packet.load(static_cast<int32_t>(network + at), &value, 1);
        return value;
    };
    uint32_t transport = 0;
    uint8_t protocol = 0;
    if (packet.protocol == ETHERTYPE_IP) {
        transport = byte(0) % 16 * 4u;
        protocol = byte(9);
        if ((byte(6) & 0x1f) || byte(7)) protocol = 0;  // no first fragment
    } else if (packet.protocol == ETHERTYPE_IPV6) {
        transport = 40;
        protocol = byte(6);
    } else {
        return 0;
    }
    uint32_t header = 0;
    switch (protocol) {
        case IPPROTO_TCP:
            header = byte(transport + 12) / 16 * 4u;
            break;
        case IPPROTO_UDP:
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6:
            header = 8;
            break;
    }
    return static_cast<uint32_t>(packet.network - packet.start) + transport + header;
}

// The attribute of type `type` (struct nlattr) from offset `at`; 0 if there is none.
uint32_t find_attribute(const BpfPacket& packet, uint32_t at, uint32_t end, uint16_t type) {
    while (at < end && end - at >= 4) {
        uint16_t head[2];  // length, type
        if (!packet.load(static_cast<int32_t>(at), head, sizeof(head))) return 0;
        if (head[0] < 4 || head[0] > end - at) return 0;
        constexpr uint16_t kTypeMask = 0x3fff;
        if ((head[1] & kTypeMask) == type) return at;
        at += (head[0] + 3u) & ~3u;
    }
    return 0;
}

uint32_t find_nested_attribute(const BpfPacket& packet, uint32_t at, uint16_t type) {
    uint16_t length;
    if (at > packet.length() || !packet.load(static_cast<int32_t>(at), &length, sizeof(length)) ||
        length < 4 || length > packet.length() - at) {
        return 0;
    }
    return find_attribute(packet, at + 4, at + length, type);
}

// False: the packet is to be dropped.
bool load_ancillary(const BpfPacket& packet, uint32_t which, uint32_t& a, uint32_t x) {
    switch (which) {
        case SKF_AD_PROTOCOL:
            a = packet.protocol;
            return true;
        case SKF_AD_PKTTYPE:
            a = packet.packet_type;
            return true;
        case SKF_AD_IFINDEX:
            a = packet.interface_index;
            return a != 0;
        case SKF_AD_NLATTR:
            a = find_attribute(packet, a, packet.length(), static_cast<uint16_t>(x));
            return true;
        case SKF_AD_NLATTR_NEST:
            a = find_nested_attribute(packet, a, static_cast<uint16_t>(x));
            return true;
        case SKF_AD_MARK:
            a = packet.mark;
            return true;
        case SKF_AD_HATYPE:
            a = packet.hardware_type;
            return packet.interface_index != 0;
        case SKF_AD_CPU:
            a = cpu_number();
            return true;
        case SKF_AD_ALU_XOR_X:
            a ^= x;
            return true;
        case SKF_AD_PAY_OFFSET:
            a = payload_offset(packet);
            return true;
        case SKF_AD_RANDOM:
            a = static_cast<uint32_t>(random_u64());
            return true;
        default:
            // Queues, hashes and VLAN tags that a device took off: there are none.
            a = 0;
            return true;
    }
}

bool load_packet(const BpfPacket& packet, uint16_t code, uint32_t offset, uint32_t& value) {
    uint8_t bytes[4];
    const uint32_t size = BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
    if (!packet.load(static_cast<int32_t>(offset), bytes, size)) return false;
    value = size == 4 ? read_be32(bytes) : size == 2 ? read_be16(bytes) : bytes[0];
    return true;
}

bool compute(uint16_t operation, uint32_t& a, uint32_t operand) {
    switch (operation) {
        case BPF_ADD:
            a += operand;
            return true;
        case BPF_SUB:
            a -= operand;
            return true;
        case BPF_MUL:
            a *= operand;
            return true;
        case BPF_DIV:
            if (operand) a /= operand;
            return operand != 0;
        case BPF_MOD:
            if (operand) a %= operand;
            return operand != 0;
        case BPF_AND:
            a &= operand;
            return true;
        case BPF_OR:
            a |= operand;
            return true;
        case BPF_XOR:
            a ^= operand;
            return true;
        case BPF_LSH:
            a <<= operand & 31;
            return true;
        case BPF_RSH:
            a >>= operand & 31;
            return true;
        default:  // BPF_NEG
            a = -a;
            return true;
    }
}

bool compare(uint16_t operation, uint32_t a, uint32_t operand) {
    switch (operation) {
        case BPF_JEQ:
            return a == operand;
        case BPF_JGT:
            return a > operand;
        case BPF_JGE:
            return a >= operand;
        default:  // BPF_JSET
            return (a & operand) != 0;
    }
}

}  // namespace

bool BpfPacket::load(int32_t offset, void* to, uint32_t size) const {
    int64_t at = int64_t{offset} + start;
    if (offset < 0) {
        if (offset >= SKF_NET_OFF) {
            if (!has_network) return false;
            at = int64_t{offset} - SKF_NET_OFF + network;
        } else if (offset >= SKF_LL_OFF) {
            if (!has_link) return false;
            at = int64_t{offset} - SKF_LL_OFF + link;
        } else {
            return false;
        }
    }
    if (at >= 0) return chain.copy_out(static_cast<size_t>(at), to, size);
    // Headers that were taken off lie in front of the first buffer's data.
    if (-at > static_cast<int64_t>(chain.headroom())) return false;
    if (at + size > static_cast<int64_t>(chain.length())) return false;
    memcpy(to, chain.data() + at, size);
    return true;
}

uint32_t BpfProgram::run(const BpfPacket& packet) const {
    uint32_t a = 0, x = 0, scratch[BPF_MEMWORDS];
    for (const sock_filter* at = code_.get();; at++) {
        const uint32_t k = at->k;
        switch (BPF_CLASS(at->code)) {
            case BPF_RET:
                return BPF_RVAL(at->code) == BPF_A ? a : k;
            case BPF_LD:
            case BPF_LDX: {
                uint32_t& target = BPF_CLASS(at->code) == BPF_LD ? a : x;
                switch (BPF_MODE(at->code)) {
                    case BPF_IMM:
                        target = k;
                        break;
                    case BPF_MEM:
                        target = scratch[k];
                        break;
                    case BPF_LEN:
                        target = packet.length();
                        break;
                    case BPF_MSH:
                        if (!load_packet(packet, BPF_B, k, x)) return 0;
                        x = x % 16 * 4;
                        break;
                    case BPF_ABS:
                        if (k >= kAncillary ? !load_ancillary(packet, k - kAncillary, a, x)
                                            : !load_packet(packet, at->code, k, a)) {
                            return 0;
                        }
                        break;
                    default:  // BPF_IND
                        if (!load_packet(packet, at->code, x + k, a)) return 0;
                }
                break;
            }
            case BPF_ST:
                scratch[k] = a;
                break;
            case BPF_STX:
                scratch[k] = x;
                break;
            case BPF_ALU:
                if (!compute(BPF_OP(at->code), a, BPF_SRC(at->code) == BPF_X ? x : k)) return 0;
                break;
            case BPF_JMP:
                if (BPF_OP(at->code) == BPF_JA) {
                    at += k;
                } else {
                    const uint32_t operand = BPF_SRC(at->code) == BPF_X ? x : k;
                    at += compare(BPF_OP(at->code), a, operand) ? at->jt : at->jf;
                }
                break;
            default:  // BPF_MISC
                if (BPF_MISCOP(at->code) == BPF_TAX) {
                    x = a;
                } else {
                    a = x;
                }
        }
    }
}

}  // namespace coracle::net
