// The send queue: segments in flight, then data that was never sent.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

namespace {
constexpr uint32_t kLargestSegment = 65535 - 40 - 60;  // what an IPv4 packet can hold

// Cuts the chain behind its first `at` bytes and gives the rest; null when out of memory, and then
// nothing has changed. Adds what that costs to `memory`. Precondition: the chain is longer.
BufferPtr cut_chain(Buffer& chain, uint32_t at, uint32_t& memory) {
    Buffer* piece = &chain;
    while (at >= piece->length() && piece->next()) {
        if (at == piece->length()) return piece->take_next();
        at -= piece->length();
        piece = piece->next();
    }
    BufferPtr rest = piece->share(at, piece->length() - at);
    if (!rest) return nullptr;
    memory += kBufferHeaderSize;
    if (piece->next()) rest->set_next(piece->take_next());
    piece->truncate(at);
    return rest;
}
}  // namespace

// Whole packets only, so that a stream has no small segment in its midst.
uint32_t Connection::segment_goal() const {
    uint32_t mss = current_segment_size();
    uint32_t most = std::max(
        std::min(largest_segment ? largest_segment : kLargestSegment, kLargestSegment), mss);
    return most - most % mss;
}

void Connection::start_unsent(BufferPtr data, uint32_t length, uint8_t flags) {
    Buffer* segment = data.get();
    send_info(*segment) = {write_sequence, length, 0, 1, flags, false, false, false, false};
    send_memory += static_cast<uint32_t>(data->chain_memory_size());
    send_queue.push_back(std::move(data));
    if (!unsent) unsent = segment;
    write_sequence = send_info(*segment).end();
}

void Connection::append_unsent(BufferPtr data, uint32_t length) {
    Buffer* tail = send_queue.last();
    uint32_t goal = segment_goal();
    uint32_t uncounted = 0;  // what is queued is counted below
    if (unsent && send_info(*tail).length < goal) {
        SendSegment& info = send_info(*tail);
        Buffer* piece = tail->last();
        uint32_t room = goal - info.length;
        if (!data->next() && length <= room && piece->tailroom() >= length && !piece->is_shared()) {
            memcpy(piece->append(length), data->data(), length);
            info.length += length;
            write_sequence += length;
            return;
        }
        BufferPtr rest;
        if (length > room) rest = cut_chain(*data, room, uncounted);
        uint32_t added = rest ? room : length;
        send_memory += static_cast<uint32_t>(data->chain_memory_size());
        piece->set_next(std::move(data));
        info.length += added;
        write_sequence += added;
        if (!rest) return;
        data = std::move(rest);
        length -= added;
    }
    while (length > goal) {
        BufferPtr rest = cut_chain(*data, goal, uncounted);
        if (!rest) break;  // larger than the goal: it will be split when it is sent
        start_unsent(std::move(data), goal, 0);
        data = std::move(rest);
        length -= goal;
    }
    start_unsent(std::move(data), length, 0);
}

bool Connection::split_segment(Buffer& segment, uint32_t length) {
    SendSegment& info = send_info(segment);
    BufferPtr rest = cut_chain(segment, length, send_memory);
    if (!rest) return false;
    Buffer* second = rest.get();
    SendSegment& second_info = send_info(*second);
    second_info = info;
    second_info.sequence = info.sequence + length;
    second_info.length = info.length - length;
    info.length = length;
    info.flags &= static_cast<uint8_t>(~(kFin | kPsh));
    bool in_flight = info.sequence < send_next;
    if (in_flight) {
        uint32_t total = info.packets;
        uint32_t mss = std::max(segment_size, 1u);
        uint32_t first = std::clamp((length + mss - 1) / mss, 1u, std::max(total - 1, 1u));
        info.packets = static_cast<uint16_t>(first);
        second_info.packets = static_cast<uint16_t>(total > first ? total - first : 0);
        if (second_info.packets == 0) set_packets(second_info, 1);
        if (&segment == last_sent) last_sent = second;
    }
    send_queue.insert_after(&segment, std::move(rest));
    return true;
}

// Precondition: the segment is in flight.
void Connection::set_packets(SendSegment& info, uint32_t packets) {
    uint32_t change = packets - info.packets;  // modulo 2^32
    info.packets = static_cast<uint16_t>(packets);
    packets_out += change;
    if (info.is_sacked) sacked_out += change;
    if (info.is_lost) lost_out += change;
    if (info.is_in_retransmission) retransmitted_out += change;
}

void Connection::purge_send_queue() {
    send_queue.clear();
    send_memory = 0;
    unsent = last_sent = sack_hint = lost_hint = nullptr;
    packets_out = sacked_out = lost_out = retransmitted_out = 0;
}

size_t Connection::send_space() const {
    uint32_t low_water =
        options.not_sent_low_water ? options.not_sent_low_water : stack.settings.not_sent_low_water;
    if (unsent_bytes() >= low_water) return 0;
    if (send_memory && buffers_are_exhausted()) return 0;
    return send_limit > send_memory ? send_limit - send_memory : 0;
}

bool Connection::is_writable() const {
    return send_space() > 0 && send_limit - send_memory >= send_memory / 2;
}

Result<void> Connection::send(BufferPtr data, uint8_t flags) {
    if (error_code) return Error(std::exchange(error_code, 0));
    if (send_shut) return Error(EPIPE);
    if (state != State::kEstablished && state != State::kCloseWait && !is_early()) {
        return Error(state == State::kClosed ? EPIPE : ENOTCONN);
    }
    auto length = static_cast<uint32_t>(data->next() ? data->chain_length() : data->length());
    if (length == 0) return {};
    // Nothing may be in front of the data of a chain: a segment starts with bytes.
    while (data->length() == 0) data = data->take_next();
    if (!packets_out) restart_after_idle();
    append_unsent(std::move(data), length);
    if (flags & kSendUrgent) {
        send_urgent = write_sequence;
        urgent_out = true;
    }
    Buffer* tail = send_queue.last();
    if (!(flags & kSendMore)) send_info(*tail).flags |= kPsh;
    push_pending(flags & kSendMore ? Push::kHold : Push::kByNagle);
    return {};
}

void Connection::shutdown_send() {
    if (send_shut) return;
    send_shut = true;
    switch (state) {
        case State::kEstablished:
            set_state(State::kFinWait1);
            break;
        case State::kCloseWait:
            set_state(State::kLastAck);
            break;
        default:
            return;  // in SYN-RECEIVED, the FIN waits for the handshake's end
    }
    // FIN goes with the last data, if that was not sent.
    Buffer* tail = send_queue.last();
    if (unsent) {
        send_info(*tail).flags |= kFin | kPsh;
        write_sequence += 1;
    } else {
        BufferPtr empty = Buffer::allocate(0, kPacketHeadroom);
        if (!empty) return fail(ENOMEM);
        start_unsent(std::move(empty), 0, kFin);
    }
    fin_queued = true;
    push_pending(Push::kAll);
}

}  // namespace coracle::net::tcp
