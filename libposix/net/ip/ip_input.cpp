#include "libposix/net/ip/ip_input.h"

#include <algorithm>

#include "libposix/net/counters.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"

namespace coracle::net {

namespace {

Protocol protocols[256];
RawInput raw_input;
RawError raw_error;

}  // namespace

void register_protocol(uint8_t number, const Protocol& protocol) {
    protocols[number] = protocol;
}

const Protocol* find_protocol(uint8_t number) {
    return protocols[number].input ? &protocols[number] : nullptr;
}

void set_raw_input(RawInput input, RawError error) {
    raw_input = input;
    raw_error = error;
}

void report_raw_error(const IcmpError& error) {
    if (raw_error) raw_error(error);
}

void deliver_packet(BufferPtr packet, const IpInput& how) {
    IpCounters& counted = ip_counters(how.destination.is_v4());
    bool taken = raw_input && raw_input(*packet, how);
    const Protocol& protocol = protocols[how.protocol];
    if (protocol.input) {
        counted.in_delivers++;
        protocol.input(std::move(packet), how);
    } else if (taken) {
        counted.in_delivers++;
    } else {
        counted.in_unknown_protocols++;
        send_unreachable(std::move(packet), how, Unreachable::kProtocol);
    }
}

bool is_for_us(const IpAddress& destination, const Interface& interface, bool* is_group) {
    *is_group = false;
    if (destination.is_multicast()) {
        *is_group = true;
        return interface.is_member(destination) || interface.is_loopback();
    }
    if (destination.is_limited_broadcast() || interface.is_broadcast(destination)) {
        *is_group = true;
        return true;
    }
    return is_local_address(destination);
}

bool make_contiguous(BufferPtr& packet, size_t size) {
    if (packet->length() >= size) return true;
    if (packet->chain_length() < size || size > kFrameBufferCapacity - kPacketHeadroom)
        return false;
    BufferPtr front = Buffer::allocate(kPacketHeadroom + size, kPacketHeadroom);
    if (!front) return false;
    packet->copy_out(0, front->append(size), size);
    front->info = packet->info;
    // What was copied leaves the rest of the chain.
    BufferPtr rest = std::move(packet);
    size_t left = size;
    while (rest && left >= rest->length()) {
        left -= rest->length();
        rest = rest->take_next();
    }
    if (rest) {
        rest->pull(left);
        front->set_next(std::move(rest));
    }
    packet = std::move(front);
    return true;
}

bool trim_packet(Buffer& packet, size_t length) {
    Buffer* buffer = &packet;
    while (length > buffer->length()) {
        length -= buffer->length();
        if (!buffer->next()) return false;
        buffer = buffer->next();
    }
    buffer->truncate(length);
    buffer->take_next();
    return true;
}

}  // namespace coracle::net
