// Scripted segments, in the manner of packetdrill: one stack, a clock that the test moves, and a
// peer that says exactly what it is told to. Sequence numbers are relative to both ends' initial
// ones.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>

#include "libposix/net/tests/tcp_world.h"

namespace coracle::net::tcp {

// A segment that the stack sent, or NONE.
struct Sent {
    bool is_none = true;
    uint8_t flags = 0;
    uint32_t sequence = 0;         // relative to our initial one (SYN: 0)
    uint32_t acknowledgement = 0;  // relative to the peer's
    uint32_t length = 0;
    uint32_t window = 0;  // not scaled
    uint16_t urgent_pointer = 0;
    uint8_t traffic_class = 0;
    Options options;
    std::string payload;
    std::string cookie;  // of Fast Open
};
std::ostream& operator<<(std::ostream& out, const Sent& sent);

struct Injected {
    uint8_t flags = kAck;
    uint32_t sequence = 1;
    uint32_t acknowledgement = 1;
    std::string payload{};
    uint16_t window = 65535;
    bool no_timestamp = false;
    uint32_t timestamp = 0;  // 0: the script's
    uint32_t timestamp_echo = 0;
    std::vector<std::pair<uint32_t, uint32_t>> sack{};  // relative to our initial sequence number
    uint16_t urgent_pointer = 0;
    uint8_t traffic_class = 0;
    uint16_t maximum_segment = 0;
    int window_scale = -1;
    bool sack_permitted = false;
    std::optional<std::string> cookie{};  // of Fast Open; empty: asked for
};

class Script : public testing::Test, public Environment {
  protected:
    Script();
    ~Script() override;

    PathProperties path(const FlowKey&, const IpChoices&, PathCache&) override {
        return properties;
    }
    void output(BufferPtr packet, const FlowKey& flow, const IpChoices& choices,
                PathCache*) override;
    void arm_timer(uint64_t deadline_ns) override { timer_ns = deadline_ns; }
    uint64_t random() override { return next_random += 0x9e3779b97f4a7c15; }

    void inject(const Injected& segment);
    // The next segment that was sent; NONE if there is none.
    Sent next();
    void expect_none() {
        Sent sent = next();
        EXPECT_TRUE(sent.is_none) << sent;
    }
    // Lets time pass, and timers run.
    void advance(uint64_t ns);

    void listen(uint32_t backlog = 8);
    // A passive connection, established and accepted. `options`: without timestamps if false.
    void accept_connection(bool timestamps = true, bool sack = true);
    // An active one.
    RefPtr<Connection> connect(FastOpen fast_open = FastOpen::kNo);
    void connect_connection();
    void send(const std::string& text, uint8_t flags = 0);
    std::string read();

    static constexpr uint32_t kPeerInitial = 1'000'000;
    WireSettings unused_;
    uint64_t next_random = 1;
    uint64_t time_ns = 100 * kSecond;
    uint64_t timer_ns = kNever;
    PathProperties properties;
    Stack stack;
    FlowKey flow{{IpAddress::v4(192, 0, 2, 1), 80, 0}, {IpAddress::v4(198, 51, 100, 7), 5000, 0}};
    Sequence our_initial;
    uint32_t peer_timestamp = 5000;
    bool with_timestamps = true;
    uint32_t last_timestamp = 0;  // of what the stack sent
    std::deque<Sent> sent_;
    RefPtr<Listener> listener;
    RefPtr<Connection> connection;
    struct : Observer {
        uint32_t events = 0;
        void on_tcp_event(uint32_t more) override { events |= more; }
    } observer;
};

}  // namespace coracle::net::tcp
