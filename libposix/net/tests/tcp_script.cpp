#include "libposix/net/tests/tcp_script.h"

namespace coracle::net::tcp {

std::ostream& operator<<(std::ostream& out, const Sent& sent) {
    if (sent.is_none) return out << "nothing";
    constexpr const char* kNames = "FSRPAUEC";
    for (int i = 0; i < 8; i++) {
        if (sent.flags >> i & 1) out << kNames[i];
    }
    return out << " seq " << sent.sequence << " len " << sent.length << " ack "
               << sent.acknowledgement << " win " << sent.window << " sack "
               << int{sent.options.sack_count};
}

Script::Script() : stack(*this) {
    stack.set_now(time_ns);
}

Script::~Script() {
    if (connection) {
        connection->observer = nullptr;
        connection = nullptr;
    }
    if (listener) {
        stack.stop_listening(*listener);
        listener = nullptr;
    }
}

void Script::output(BufferPtr packet, const FlowKey& to, const IpChoices& choices, PathCache*) {
    for (const WirePacket& piece : cut_packet(std::move(packet), to, choices.traffic_class)) {
        BufferPtr buffer = Buffer::allocate(piece.bytes.size());
        memcpy(buffer->append(piece.bytes.size()), piece.bytes.data(), piece.bytes.size());
        Segment segment;
        ASSERT_EQ(parse_segment(std::move(buffer), piece.from, piece.to, segment),
                  ParseResult::kGood);
        if (segment.has(kSyn)) our_initial = segment.sequence;
        Sent sent;
        sent.is_none = false;
        sent.flags = segment.flags;
        sent.sequence = static_cast<uint32_t>(segment.sequence - our_initial);
        sent.acknowledgement =
            segment.has(kAck)
                ? static_cast<uint32_t>(segment.acknowledgement - Sequence(kPeerInitial))
                : 0;
        sent.length = segment.length;
        sent.window = segment.window;
        sent.urgent_pointer = segment.urgent_pointer;
        sent.traffic_class = choices.traffic_class;
        sent.options = segment.options;
        if (segment.options.fast_open_size > kFastOpenBase) {
            sent.cookie.assign(reinterpret_cast<char*>(segment.options.fast_open_cookie),
                               segment.options.fast_open_size - kFastOpenBase);
        }
        sent.payload.resize(segment.length);
        if (segment.data) segment.data->copy_out(0, sent.payload.data(), segment.length);
        if (segment.options.has_timestamp) last_timestamp = segment.options.timestamp;
        sent_.push_back(sent);
    }
}

void Script::inject(const Injected& in) {
    Options options;
    options.maximum_segment_size = in.maximum_segment;
    options.has_window_scale = in.window_scale >= 0;
    options.window_scale = static_cast<uint8_t>(std::max(in.window_scale, 0));
    options.sack_permitted = in.sack_permitted;
    if (with_timestamps && !in.no_timestamp) {
        options.has_timestamp = true;
        options.timestamp = in.timestamp ? in.timestamp : peer_timestamp;
        options.timestamp_echo = in.timestamp_echo ? in.timestamp_echo
                                 : in.flags & kAck ? last_timestamp
                                                   : 0;
    }
    if (in.cookie) {
        options.fast_open_size = static_cast<uint8_t>(kFastOpenBase + in.cookie->size());
        memcpy(options.fast_open_cookie, in.cookie->data(), in.cookie->size());
    }
    for (auto [start, end] : in.sack) {
        options.sack[options.sack_count++] = {our_initial + start, our_initial + end};
    }
    HeaderFields fields{flow.remote.port,
                        flow.local.port,
                        Sequence(kPeerInitial) + in.sequence,
                        in.flags & kAck ? our_initial + in.acknowledgement : Sequence(),
                        in.flags,
                        in.window,
                        in.urgent_pointer};
    size_t header = kHeaderSize + options_size(options);
    BufferPtr packet = Buffer::allocate(header + in.payload.size());
    write_header(packet->append(header), fields, options);
    memcpy(packet->append(in.payload.size()), in.payload.data(), in.payload.size());
    FlowKey reversed{flow.remote, flow.local};
    set_checksum(*packet, reversed, packet->length(), false);
    stack.set_now(time_ns);
    stack.input(std::move(packet),
                {flow.remote.address, flow.local.address, 1, in.traffic_class, false});
}

Sent Script::next() {
    if (sent_.empty()) return Sent();
    Sent first = sent_.front();
    sent_.pop_front();
    return first;
}

void Script::advance(uint64_t ns) {
    uint64_t until = time_ns + ns;
    while (timer_ns <= until) {
        time_ns = std::max(time_ns, timer_ns);
        timer_ns = kNever;
        stack.set_now(time_ns);
        stack.run_timers();
    }
    time_ns = until;
    peer_timestamp += static_cast<uint32_t>(ns / kMillisecond);
    stack.set_now(time_ns);
}

void Script::listen(uint32_t backlog) {
    ConnectionOptions options;
    options.no_delay = true;
    listener = stack.listen(flow.local, options, backlog).release_value();
}

void Script::accept_connection(bool timestamps, bool sack) {
    with_timestamps = timestamps;
    if (!listener) listen();
    inject({.flags = kSyn,
            .sequence = 0,
            .maximum_segment = 1460,
            .window_scale = 7,
            .sack_permitted = sack});
    Sent answer = next();
    ASSERT_EQ(answer.flags, kSyn | kAck) << answer;
    ASSERT_EQ(answer.acknowledgement, 1u);
    advance(20 * kMillisecond);
    inject({.window = 1000});
    connection = listener->accept();
    ASSERT_TRUE(connection);
    connection->observer = &observer;
    ASSERT_EQ(connection->state, State::kEstablished);
    expect_none();
}

RefPtr<Connection> Script::connect(FastOpen fast_open) {
    ConnectionOptions options;
    options.no_delay = true;
    stack.set_now(time_ns);
    return stack.connect(flow, options, &observer, fast_open).release_value();
}

void Script::connect_connection() {
    connection = connect();
    ASSERT_EQ(next().flags, kSyn);
    advance(20 * kMillisecond);
    inject({.flags = kSyn | kAck,
            .sequence = 0,
            .window = 65535,
            .maximum_segment = 1460,
            .window_scale = 7,
            .sack_permitted = true});
    Sent ack = next();
    ASSERT_EQ(ack.flags, kAck) << ack;
    ASSERT_EQ(connection->state, State::kEstablished);
}

void Script::send(const std::string& text, uint8_t flags) {
    stack.set_now(time_ns);
    auto result = connection->send(make_data(text), flags);
    EXPECT_TRUE(result.ok()) << result.error_code();
}

std::string Script::read() {
    stack.set_now(time_ns);
    std::string text;
    while (BufferPtr data = connection->take_received()) {
        text.append(reinterpret_cast<char*>(data->data()), data->length());
    }
    connection->note_read(static_cast<uint32_t>(text.size()));
    return text;
}

}  // namespace coracle::net::tcp
