// The text, URG and FIN of a segment (RFC 9293, 3.10.7.4, sixth to eighth step): the receive queue,
// what comes out of order, and when it is acknowledged.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

namespace {
// Payloads up to this are joined in one block: those of an MTU of 576 bytes would fill a quarter.
constexpr uint32_t kCopyLimit = 544;

// Copies the bytes behind those of `tail`, if they are few and have room in its block. What that
// costs in held memory is added to `memory`.
bool join(Buffer& tail, const Buffer& data, uint32_t& memory) {
    uint32_t length = data.length();
    if (length > kCopyLimit || tail.tailroom() < length || tail.is_shared()) return false;
    size_t before = tail.held_memory();
    memcpy(tail.append(length), data.data(), length);
    memory += static_cast<uint32_t>(tail.held_memory() - before);
    return true;
}

// Drops `size` bytes at the front of the chain.
BufferPtr drop_front(BufferPtr data, uint32_t size) {
    while (data && size >= data->length()) {
        size -= data->length();
        data = data->take_next();
    }
    if (data) data->pull(size);
    return data;
}

void keep_front(Buffer& data, uint32_t size) {
    for (Buffer* piece = &data; piece; piece = piece->next()) {
        if (size <= piece->length()) {
            piece->truncate(size);
            piece->take_next().reset();
            return;
        }
        size -= piece->length();
    }
}
}  // namespace

void Connection::note_data_received(const Segment& segment) {
    data_segments_in += segment.packets;
    uint32_t size = segment.packets > 1 ? segment.length / segment.packets : segment.length;
    if (size >= peer_segment_estimate) {
        peer_segment_estimate = std::min(size, stack.advertised_segment(*this) + 0u);
    } else if (segment.has(kPsh) && size > kDefaultSegment) {
        peer_segment_estimate = size;
    }
    uint64_t gap = now() - last_data_received_ns;
    if (gap <= kDelayedAckMinimum / 2) {
        ack_timeout_ns = ack_timeout_ns / 2 + kDelayedAckMinimum / 2;
    } else if (gap < ack_timeout_ns) {
        ack_timeout_ns = std::min(ack_timeout_ns / 2 + gap, rtt.base_timeout_ns());
    } else if (gap > rtt.base_timeout_ns()) {
        // It paused: its window may have shrunk, which early acknowledgements open.
        quick_acks = std::max<uint8_t>(quick_acks, 2);
    }
    last_data_received_ns = now();
    if (segment.congestion_experienced && ecn_on) {
        ecn_echo = true;
        ack_now = true;
    }
    if (segment.has(kCwr)) ecn_echo = segment.congestion_experienced;
}

void Connection::queue_in_order(BufferPtr data, uint32_t length) {
    bytes_received += length;
    if (urgent_state == UrgentState::kAnnounced) pull_urgent(receive_next, *data);
    receive_next += length;
    if (receive_shut) return;  // read by nobody: as if it had been
    receive_bytes += length;
    while (data) {
        BufferPtr rest = data->take_next();
        Buffer* tail = receive_queue.last();
        if (tail && join(*tail, *data, receive_memory)) {
            stack.counters().TCPRcvCoalesce++;
        } else if (data->length()) {
            receive_memory += static_cast<uint32_t>(data->held_memory());
            receive_queue.push_back(std::move(data));
        }
        data = std::move(rest);
    }
}

void Connection::handle_data(Segment& segment) {
    bool fin = segment.has(kFin);
    Sequence start = segment.sequence;
    Sequence end = segment.sequence + segment.length;
    if (state == State::kCloseWait || state == State::kLastAck || state == State::kClosing ||
        fin_received) {
        // Behind the peer's FIN there is nothing; a FIN again asks for its acknowledgement.
        ack_pending = ack_now = true;
        return;
    }
    if (segment.length) note_data_received(segment);
    if (segment.length && end <= receive_next && !(fin && end == receive_next)) {
        set_duplicate_sack(start, end);
        stack.counters().TCPDSACKOldSent++;
        ack_pending = ack_now = true;
        enter_quick_ack_mode();
        return;
    }
    if (start < receive_next) {
        uint32_t known = distance(start, receive_next);
        if (segment.length) set_duplicate_sack(start, receive_next);
        segment.data = drop_front(std::move(segment.data), known);
        segment.length -= std::min(known, segment.length);
        segment.sequence = start = receive_next;
        ack_now = true;
    }
    // What does not fit in the window that was told is cut off.
    uint32_t window = distance(receive_next, window_sent_at + receive_window);
    uint32_t offset = distance(receive_next, start);
    if (segment.length && offset + segment.length > window) {
        uint32_t fits = window > offset ? window - offset : 0;
        fin = false;
        ack_pending = ack_now = true;
        if (fits == 0) {
            stack.counters().TCPZeroWindowDrop++;
            return;
        }
        keep_front(*segment.data, fits);
        segment.length = fits;
        segment.flags &= static_cast<uint8_t>(~kFin);
    }
    if (segment.length &&
        !make_receive_room(static_cast<uint32_t>(segment.data->chain_held_memory()),
                           start == receive_next)) {
        stack.counters().TCPRcvQDrop++;
        ack_pending = ack_now = true;
        return;
    }
    ack_pending = true;
    if (start != receive_next) {
        queue_out_of_order(segment);
        return;
    }
    uint32_t before = receive_bytes;
    if (segment.length) {
        if (receive_window == 0) ack_now = true;
        queue_in_order(std::move(segment.data), segment.length);
    }
    if (out_of_order.first() && !fin) {
        drain_out_of_order();
        // A hole was filled (RFC 5681, 4.2).
        ack_now = true;
    }
    if (fin && !fin_received) handle_fin();
    if (receive_bytes != before || fin_received) notify(kEventReadable);
}

void Connection::handle_fin() {
    receive_next += 1;
    fin_received = true;
    ack_pending = ack_now = true;
    prune_out_of_order(0);
    switch (state) {
        case State::kSynReceived:
        case State::kEstablished:
            set_state(State::kCloseWait);
            break;
        case State::kFinWait1:
            // Our FIN is not acknowledged yet, or handle_acknowledged_state() had seen it.
            set_state(State::kClosing);
            send_ack();
            break;
        case State::kFinWait2:
            send_ack();
            enter_time_wait();
            break;
        default:
            break;
    }
    notify(send_shut ? kEventReadable | kEventHangUp : kEventReadable);
}

// Room for data of the window that was told, which is by payload: its memory may be more than was
// thought, and then the limit grows. What was acknowledged selectively is let go for data in order
// alone, when nothing else helps (RFC 2018, 8).
bool Connection::make_receive_room(uint32_t needed, bool in_order) {
    // When all memory for buffers is used up, one segment at a time keeps the connection going.
    auto fits = [&](uint32_t limit) {
        return receive_memory + needed <= limit && (!buffers_are_exhausted() || !receive_memory);
    };
    if (fits(receive_limit)) return true;
    if (!receive_limit_fixed && !buffers_are_short()) {
        uint32_t most = stack.settings.receive_memory.maximum;
        receive_limit = std::max(receive_limit, std::min(receive_memory + needed, most));
    }
    if (fits(2 * receive_limit)) return true;
    stack.counters().PruneCalled++;
    if (in_order && !out_of_order.is_empty()) {
        stack.counters().OfoPruned++;
        bool nothing = buffers_are_exhausted() || needed > 2 * receive_limit;
        prune_out_of_order(nothing ? 0 : 2 * receive_limit - needed);
    }
    // One segment at least must fit, whatever the block that it lies in.
    if (!receive_memory || fits(2 * receive_limit)) return true;
    stack.counters().RcvPruned++;
    return false;
}

// Lets go of the last segments that came out of order, for a hole closes from below, until so much
// memory is in use.
void Connection::prune_out_of_order(uint32_t target) {
    for (Buffer* data = out_of_order.first(); data; data = BufferQueue::after(data)) {
        receive_memory -= static_cast<uint32_t>(data->chain_held_memory());
    }
    sack_block_count = 0;
    Buffer* last = nullptr;
    while (Buffer* data = last ? BufferQueue::after(last) : out_of_order.first()) {
        auto size = static_cast<uint32_t>(data->chain_held_memory());
        if (target < receive_memory || size > target - receive_memory) break;
        receive_memory += size;
        add_sack_block(received_info(*data).sequence, received_info(*data).end());
        last = data;
    }
    while (last ? BufferQueue::after(last) : out_of_order.first()) out_of_order.remove_after(last);
}

void Connection::queue_out_of_order(Segment& segment) {
    Sequence start = segment.sequence;
    Sequence end = start + segment.length;
    ack_now = true;
    bool fin = segment.has(kFin);
    stack.counters().TCPOFOQueue++;
    // Its place: behind `before`. New data mostly goes to the end.
    Buffer* before = nullptr;
    Buffer* last = out_of_order.last();
    if (last && received_info(*last).end() <= start) {
        before = last;
    } else {
        for (Buffer* data = out_of_order.first(); data; data = BufferQueue::after(data)) {
            if (received_info(*data).sequence > start) break;
            before = data;
        }
    }
    if (before && received_info(*before).end() > start) {
        Sequence known_end = received_info(*before).end();
        // A FIN in the midst of data is a lie.
        if (end < known_end || (end == known_end && (!fin || received_info(*before).fin))) {
            stack.counters().TCPOFOMerge++;
            stack.counters().TCPDSACKOfoSent++;
            if (segment.length) set_duplicate_sack(start, end);
            return;
        }
        set_duplicate_sack(start, earlier(known_end, end));
        uint32_t known = std::min(distance(start, known_end), segment.length);
        segment.data = drop_front(std::move(segment.data), known);
        segment.length -= known;
        start = start + known;
    }
    // What it covers of those behind it.
    for (;;) {
        Buffer* next = before ? BufferQueue::after(before) : out_of_order.first();
        if (!next || received_info(*next).sequence >= end) break;
        ReceivedData& info = received_info(*next);
        if (info.end() > end) {
            uint32_t keep = distance(start, info.sequence);
            set_duplicate_sack(info.sequence, end);
            if (keep == 0) return;
            if (segment.length > keep) keep_front(*segment.data, keep);
            segment.length = std::min(segment.length, keep);
            fin = false;
            break;
        }
        set_duplicate_sack(info.sequence, info.end());
        fin |= info.fin;
        BufferPtr covered = out_of_order.remove_after(before);
        receive_memory -= static_cast<uint32_t>(covered->chain_held_memory());
    }
    if (segment.length) add_sack_block(start, start + segment.length);
    if (before && received_info(*before).end() == start && !received_info(*before).fin && !fin &&
        !segment.data->next() && join(*before->last(), *segment.data, receive_memory)) {
        received_info(*before).length += segment.length;
        return;
    }
    if (!segment.data) segment.data = Buffer::allocate(0);  // a FIN alone
    if (!segment.data) return;
    received_info(*segment.data) = {start, segment.length, fin};
    receive_memory += static_cast<uint32_t>(segment.data->chain_held_memory());
    out_of_order.insert_after(before, std::move(segment.data));
}

void Connection::drain_out_of_order() {
    while (Buffer* first = out_of_order.first()) {
        ReceivedData info = received_info(*first);
        if (info.sequence > receive_next) break;
        BufferPtr data = out_of_order.pop_front();
        receive_memory -= static_cast<uint32_t>(data->chain_held_memory());
        bool new_fin = info.fin;
        if (info.end() > receive_next) {
            uint32_t known = distance(info.sequence, receive_next);
            if (known) data = drop_front(std::move(data), known);
            queue_in_order(std::move(data), info.length - known);
        } else if (info.end() < receive_next) {
            new_fin = false;
        }
        if (new_fin) {
            clean_sack_blocks();
            return handle_fin();
        }
    }
    clean_sack_blocks();
}

// RFC 2018, 4: the block with the newest segment comes first.
void Connection::add_sack_block(Sequence start, Sequence end) {
    if (!sack_on) return;
    SackBlock merged{start, end};
    uint8_t kept = 0;
    SackBlock others[kMaxSackBlocks];
    for (uint8_t i = 0; i < sack_block_count; i++) {
        const SackBlock& block = sack_blocks[i];
        if (block.start <= merged.end && merged.start <= block.end) {
            merged.start = earlier(merged.start, block.start);
            merged.end = later(merged.end, block.end);
        } else {
            others[kept++] = block;
        }
    }
    sack_blocks[0] = merged;
    sack_block_count = 1;
    for (uint8_t i = 0; i < kept && sack_block_count < kMaxSackBlocks; i++) {
        sack_blocks[sack_block_count++] = others[i];
    }
}

void Connection::clean_sack_blocks() {
    if (out_of_order.is_empty()) {
        sack_block_count = 0;
        return;
    }
    uint8_t kept = 0;
    for (uint8_t i = 0; i < sack_block_count; i++) {
        if (sack_blocks[i].end > receive_next) sack_blocks[kept++] = sack_blocks[i];
    }
    sack_block_count = kept;
}

// RFC 2883.
void Connection::set_duplicate_sack(Sequence start, Sequence end) {
    if (!sack_on) return;
    duplicate_sack_pending = true;
    duplicate_sack = {start, end};
}

// The peer sends again what has arrived: acknowledgements were lost, or come late.
void Connection::enter_quick_ack_mode() {
    uint32_t of_window = receive_window / (2 * peer_segment_estimate);
    quick_acks =
        std::max(quick_acks, static_cast<uint8_t>(std::clamp(of_window, 2u, kMaxQuickAcks)));
    ping_pong = false;
    ack_timeout_ns = kDelayedAckMinimum;
}

// When to acknowledge (RFC 9293, 3.8.6.3; RFC 5681, 4.2): every second full segment, or after a
// time in which the application's answer may carry it.
void Connection::schedule_ack() {
    if (!ack_pending && !ack_now) return;
    if (!in_table) return;
    uint32_t waiting = distance(window_sent_at, receive_next);
    bool two_segments = waiting > peer_segment_estimate;
    if (ack_now || two_segments || (quick_acks && !ping_pong)) {
        ack_pending = true;
        return send_ack();
    }
    uint64_t delay = std::min(ack_timeout_ns, kDelayedAckMaximum);
    if (rtt.has_sample()) {
        delay = std::min(delay, std::max(rtt.smoothed_ns(), kDelayedAckMinimum));
    }
    if (ack_deadline_ns == kNever) update_timer(ack_deadline_ns, now() + delay);
}

}  // namespace coracle::net::tcp
