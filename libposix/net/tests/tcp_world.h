// A world for TCP tests: stacks with a clock of their own, joined by a wire that loses, repeats,
// delays, reorders, corrupts and limits. Everything follows from the seed.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

constexpr uint64_t kMicrosecond = 1000;

// A packet on the wire: the TCP header and its payload, in one piece.
struct WirePacket {
    IpAddress from, to;
    uint8_t traffic_class = 0;
    std::string bytes;
};

struct WireSettings {
    uint32_t mtu = 1500;
    uint64_t delay_ns = kMillisecond;   // one way
    uint64_t bytes_per_second = 0;      // 0: no limit
    uint64_t queue_bytes = 256 * 1024;  // behind the limit; what does not fit is lost
    double loss = 0, duplication = 0, corruption = 0, reordering = 0;
    uint64_t reordering_ns = 2 * kMillisecond;  // how much later a reordered packet comes
    uint64_t ecn_threshold_bytes = 0;           // mark above it; 0: never
    uint64_t bunch_ns = 0;  // packets arrive in bunches, at the multiples of this time; 0: singly
};

class World;

class Host final : public Environment {
  public:
    Host(World& world, const IpAddress& address);
    PathProperties path(const FlowKey&, const IpChoices&, PathCache&) override {
        return properties;
    }
    void output(BufferPtr packet, const FlowKey& flow, const IpChoices& choices,
                PathCache*) override;
    void arm_timer(uint64_t deadline_ns) override { timer_ns = deadline_ns; }
    uint64_t random() override;
    void deliver(const WirePacket& packet);

    World& world;
    IpAddress address;
    PathProperties properties;
    uint64_t timer_ns = kNever;
    Stack stack;
};

class World {
  public:
    explicit World(uint64_t seed, const WireSettings& settings = {});
    ~World();

    // What happens next, up to a time; false: nothing more happens.
    bool step(uint64_t until_ns);
    void run_for(uint64_t ns);
    // Until `done` holds; false: not within the time.
    bool run_until(const std::function<bool()>& done, uint64_t limit_ns);
    void send(WirePacket packet);
    void at(uint64_t time_ns, std::function<void()> what) {
        events_.emplace(time_ns, std::move(what));
    }

    uint64_t now_ns = kSecond;
    std::mt19937_64 random;
    WireSettings wire;
    Host client, server;
    // If set, sees each packet before the wire does; true: it is swallowed.
    std::function<bool(const WirePacket&)> tap;
    uint64_t packets_lost = 0, packets_sent = 0;

  private:
    std::multimap<uint64_t, std::function<void()>> events_;
    uint64_t busy_until_ns_[2] = {};
};

// Cuts what TCP handed down as a device would, and completes its checksum.
std::vector<WirePacket> cut_packet(BufferPtr packet, const FlowKey& flow, uint8_t traffic_class);

// One end of a connection: sends a pattern of bytes, and checks that it receives one.
class Application final : public Observer {
  public:
    explicit Application(Host& host) : host(host) {}
    ~Application() { detach(); }
    void on_tcp_event(uint32_t events) override { seen_events |= events; }
    void attach(RefPtr<Connection> to) {
        connection = std::move(to);
        connection->observer = this;
    }
    void detach() {
        if (connection && connection->observer == this) connection->observer = nullptr;
    }
    // Sends and reads what it can.
    void work();
    void send_text(const std::string& text, uint8_t flags = 0);
    std::string read_text();

    Host& host;
    RefPtr<Connection> connection;
    uint32_t seen_events = 0;
    uint64_t to_send = 0, sent = 0;  // bytes of the pattern
    uint64_t received = 0;
    size_t write_size = 64 * 1024;
    bool close_when_sent = false;
    bool saw_end = false;
    bool mismatch = false;
    uint64_t read_limit = UINT64_MAX;  // reads no more than this in all
};

uint8_t pattern_byte(uint64_t offset);
BufferPtr make_data(const std::string& text);

// A connected pair over the world's wire.
struct Pair {
    World& world;
    RefPtr<Listener> listener;
    Application client, server;
    explicit Pair(World& world, const ConnectionOptions& client_options = {},
                  const ConnectionOptions& server_options = {}, uint16_t port = 80);
    ~Pair();
    void work() {
        client.work();
        server.work();
    }
    bool run_until(const std::function<bool()>& done, uint64_t limit_ns);
    bool is_connected() const { return client.connection && server.connection; }
};

}  // namespace coracle::net::tcp
