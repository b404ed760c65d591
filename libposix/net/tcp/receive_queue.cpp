// What the application reads, urgent data, and the tuning of the window by how fast it reads.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

BufferPtr Connection::take_received() {
    BufferPtr data = receive_queue.pop_front();
    if (data) {
        receive_memory -= static_cast<uint32_t>(data->held_memory());
        receive_bytes -= data->length();
    }
    return data;
}

void Connection::put_back(BufferPtr data) {
    receive_memory += static_cast<uint32_t>(data->held_memory());
    receive_bytes += data->length();
    receive_queue.push_front(std::move(data));
}

void Connection::note_read(uint32_t size) {
    if (!in_table) return;
    tune_receive_buffer();
    consider_window_update(size);
}

// Dynamic right-sizing: the window is twice what was read in a round trip.
void Connection::tune_receive_buffer() {
    if (!rtt.has_sample() || now() - tuning_round_ns < rtt.smoothed_ns()) return;
    Sequence copied = copied_sequence();
    uint32_t read = distance(tuning_copied, copied);
    tuning_round_ns = now();
    tuning_copied = copied;
    if (read <= tuning_bytes) return;
    if (stack.settings.auto_tune_receive && !receive_limit_fixed && !buffers_are_short()) {
        uint64_t window = 2ull * read + 16ull * peer_segment_estimate;
        if (read > tuning_bytes && tuning_bytes) {
            window += window * (read - tuning_bytes) / tuning_bytes * 2;
        }
        uint64_t limit = std::min<uint64_t>(2 * window, stack.settings.receive_memory.maximum);
        if (limit > receive_limit) {
            receive_limit = static_cast<uint32_t>(limit);
            window_clamp = std::max<uint32_t>(window_clamp, receive_limit / 2);
            if (options.window_clamp) window_clamp = std::min(window_clamp, options.window_clamp);
        }
    }
    tuning_bytes = read;
}

// RFC 6093: the pointer names the byte behind the urgent one, as BSD has it.
void Connection::handle_urgent(const Segment& segment) {
    if (!segment.has(kUrg)) return;
    if (segment.urgent_pointer == 0) return;
    Sequence at = segment.sequence + segment.urgent_pointer - 1;
    if (at < copied_sequence() || at < receive_next - receive_bytes) return;
    if (has_urgent() && at <= urgent_sequence) return;
    // Of two urgent bytes only the later one is urgent.
    urgent_state = UrgentState::kAnnounced;
    urgent_sequence = at;
    if (segment.length && at >= segment.sequence && at < segment.sequence + segment.length) {
        uint8_t byte;
        if (segment.data->copy_out(distance(segment.sequence, at), &byte, 1)) {
            urgent_byte = byte;
            urgent_state = UrgentState::kHere;
        }
    }
    notify(kEventUrgent | kEventUrgentAnnounced);
}

// Data that starts at `start` may hold the byte that was announced.
void Connection::pull_urgent(Sequence start, Buffer& data) {
    if (urgent_sequence < start) return;
    if (data.copy_out(distance(start, urgent_sequence), &urgent_byte, 1)) {
        urgent_state = UrgentState::kHere;
        notify(kEventUrgent);
    }
}

Result<uint8_t> Connection::read_urgent(bool peek) {
    if (options.urgent_inline || !has_urgent() || urgent_state == UrgentState::kRead) {
        return Error(EINVAL);
    }
    if (urgent_state == UrgentState::kAnnounced) return Error(EAGAIN);
    uint8_t byte = urgent_byte;
    if (!peek) urgent_state = UrgentState::kRead;
    return byte;
}

void Connection::urgent_passed() {
    urgent_state = UrgentState::kNone;
}

}  // namespace coracle::net::tcp
