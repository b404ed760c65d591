#include "libposix/net/tcp/stack.h"

#include "kernel-min/memory/heap.h"

namespace coracle::net::tcp {

Stack::Stack(Environment& below) : environment(below), secret_{{below.random(), below.random()}} {
    (void)parts_.allocate();
}

// Ends without a word to the peers: of a test's stack.
Stack::~Stack() {
    stop_listening();
    for (;;) {
        Flow* any = nullptr;
        flows_.for_each([&](Flow& flow) { any = &flow; });
        if (!any) break;
        if (any->kind == FlowKind::kConnection) {
            RefPtr<Connection> connection(static_cast<Connection*>(any));
            connection->observer = nullptr;
            connection->leave_table();
        } else if (any->kind == FlowKind::kTimeWait) {
            remove_time_wait(*static_cast<TimeWait*>(any));
        }
    }
}

void Stack::stop_listening() {
    for (Listener* first : listeners_) {
        while (Listener* listener = first) {
            first = listener->next_of_port;
            stop_listening(*listener);
        }
    }
}

void Stack::close_all() {
    stop_listening();
    for (;;) {
        // Closing may change the table.
        RefPtr<Connection> open[64];
        size_t count = 0;
        flows_.for_each([&](Flow& flow) {
            if (flow.kind != FlowKind::kConnection || count == std::size(open)) return;
            auto& connection = static_cast<Connection&>(flow);
            if (!connection.is_orphan) open[count++] = RefPtr<Connection>(&connection);
        });
        if (count == 0) return;
        for (size_t i = 0; i < count; i++) open[i]->close(open[i]->options.resets_on_close);
    }
}

uint64_t Stack::undelivered() const {
    uint64_t sum = 0;
    flows_.for_each([&](const Flow& flow) {
        if (flow.kind != FlowKind::kConnection) return;
        const auto& connection = static_cast<const Connection&>(flow);
        if (connection.is_orphan) sum += connection.unacknowledged_bytes();
    });
    return sum;
}

void Stack::input(BufferPtr packet, const Arrival& arrival) {
    Segment segment;
    Counters& counted = counters();
    ParseResult result = parse_segment(std::move(packet), arrival.from, arrival.to, segment);
    if (result != ParseResult::kGood) [[unlikely]] {
        counted.InSegs++;
        counted.InErrs++;
        counted.InCsumErrors += result == ParseResult::kBadChecksum;
        return;
    }
    counted.InSegs += segment.packets;
    // TCP is between two hosts (RFC 1122, 4.2.3.10).
    if (arrival.is_broadcast || arrival.to.is_multicast() || arrival.from.is_any()) return;
    segment.flow.local.scope = segment.flow.remote.scope = arrival.interface_index;
    segment.congestion_experienced = (arrival.traffic_class & 3) == 3;
    dispatch(segment);
}

void Stack::dispatch(Segment& segment) {
    uint64_t flow_hash = hash(segment.flow);
    Flow* flow = flows_.find(segment.flow, flow_hash);
    Sequence initial_sequence;
    bool has_initial_sequence = false;
    if (flow && flow->kind == FlowKind::kConnection) [[likely]] {
        RefPtr<Connection> connection(static_cast<Connection*>(flow));
        return connection->input(segment);
    }
    if (flow && flow->kind == FlowKind::kHalfOpen) {
        auto& half_open = *static_cast<HalfOpen*>(flow);
        RefPtr<Listener> listener(half_open.listener);
        return listener->input_half_open(half_open, segment);
    }
    if (flow) {
        auto& rest = *static_cast<TimeWait*>(flow);
        if (!rest.input(*this, segment, initial_sequence)) return;
        if (!find_listener(segment.flow, flow_hash, nullptr)) return answer_with_reset(segment);
        remove_time_wait(rest);
        has_initial_sequence = true;
    }
    RefPtr<Listener> listener(find_listener(segment.flow, flow_hash, segment.data.get()));
    if (!listener) return answer_with_reset(segment);
    // First: RST is ignored. Second: ACK. Third: SYN.
    if (segment.has(kRst)) return;
    if (segment.has(kAck)) {
        if (!listener->input_cookie(segment)) answer_with_reset(segment);
        return;
    }
    if (segment.has(kSyn) && !segment.has(kFin)) {
        listener->input_syn(segment, has_initial_sequence ? &initial_sequence : nullptr);
    }
}

const ConnectionOptions* Stack::find_options(const FlowKey& flow) const {
    const uint64_t flow_hash = hash(flow);
    const Flow* known = flows_.find(flow, flow_hash);
    if (known && known->kind == FlowKind::kConnection) {
        return &static_cast<const Connection*>(known)->options;
    }
    if (known && known->kind == FlowKind::kHalfOpen) {
        return &static_cast<const HalfOpen*>(known)->listener->options;
    }
    const Listener* listener = known ? nullptr : find_listener(flow, flow_hash, nullptr);
    return listener ? &listener->options : nullptr;
}

// By their program; listeners lie with the latest first, and are numbered from the first that came.
Listener* Stack::choose_sharer(Listener& best, const Buffer* payload) const {
    uint32_t count = 0;
    auto for_each_sharer = [&](auto visit) {
        for (Listener* listener = listeners_[best.local.port % kPortBuckets]; listener;
             listener = listener->next_of_port) {
            if (listener->shares_with(best)) visit(*listener);
        }
    };
    for_each_sharer([&](Listener&) { count++; });
    BufferPtr nothing = payload ? nullptr : Buffer::allocate(0);
    if (!payload && !nothing) return &best;
    uint32_t index = best.reuseport_program->run({.chain = payload ? *payload : *nothing});
    if (index >= count) return &best;
    Listener* chosen = &best;
    index = count - index;
    for_each_sharer([&](Listener& listener) {
        if (--index == 0) chosen = &listener;
    });
    return chosen;
}

// The latest of those that shared the port with a listener takes its place among them.
void Stack::take_place(const Listener& left, Listener*& place) {
    Listener** link = &listeners_[left.local.port % kPortBuckets];
    while (link != &place && *link && !(*link)->shares_with(left)) link = &(*link)->next_of_port;
    if (link == &place || !*link) return;
    Listener* latest = *link;
    // The place may be the link behind the latest itself.
    if (&place == &latest->next_of_port) return;
    *link = latest->next_of_port;
    latest->next_of_port = place;
    place = latest;
}

void Stack::share_port(Listener& listener, const RefPtr<BpfProgram>& program) {
    listener.reuses_port = true;
    listener.reuseport_program = program;
    for (Listener* other = listeners_[listener.local.port % kPortBuckets]; other;
         other = other->next_of_port) {
        if (other != &listener && other->shares_with(listener)) {
            listener.reuseport_program = other->reuseport_program;
            return;
        }
    }
}

void Stack::set_reuseport_program(Listener& listener, const RefPtr<BpfProgram>& program) {
    for (Listener* other = listeners_[listener.local.port % kPortBuckets]; other;
         other = other->next_of_port) {
        if (other->shares_with(listener)) other->reuseport_program = program;
    }
}

Listener* Stack::find_listener(const FlowKey& flow, uint64_t flow_hash,
                               const Buffer* payload) const {
    Listener* best = nullptr;
    int best_score = -1;
    uint32_t alike = 0;
    for (Listener* listener = listeners_[flow.local.port % kPortBuckets]; listener;
         listener = listener->next_of_port) {
        if (listener->local.port != flow.local.port) continue;
        int score = listener->match(flow);
        if (score < 0 || score < best_score) continue;
        if (score > best_score) {
            best = listener;
            best_score = score;
            alike = 1;
        } else if (listener->reuses_port) {
            // Each of `alike` gets an equal part of the flows.
            alike++;
            uint64_t part = mix_words(flow_hash + alike, 0x9e3779b97f4a7c15) & 0xffffffff;
            if (part * alike >> 32 == 0) best = listener;
        }
    }
    return alike > 1 && best->reuseport_program ? choose_sharer(*best, payload) : best;
}

Result<RefPtr<Listener>> Stack::listen(const Endpoint& local, const ConnectionOptions& options,
                                       uint32_t backlog) {
    RefPtr<Listener> listener = TRY(make_ref<Listener>(*this, local, options, backlog));
    if (!listener->has_memory()) return Error(ENOMEM);
    Listener*& bucket = listeners_[local.port % kPortBuckets];
    listener->next_of_port = bucket;
    bucket = RefPtr<Listener>(listener).leak_ref();
    return listener;
}

void Stack::stop_listening(Listener& listener) {
    Listener** link = &listeners_[listener.local.port % kPortBuckets];
    while (*link && *link != &listener) link = &(*link)->next_of_port;
    if (!*link) return;
    RefPtr<Listener> last = adopt_ref(&listener);
    *link = listener.next_of_port;
    if (listener.reuseport_program) take_place(listener, *link);
    listener.observer = nullptr;
    listener.close();
}

bool Stack::connection_established(Connection& connection) {
    if (!connection.fast_open.queue) {
        return !connection.listener || connection.listener->enqueue(connection);
    }
    connection.leave_fast_open_queue();  // it is in the accept queue since its SYN
    return true;
}

bool Stack::is_flow_free(const FlowKey& flow) const {
    Flow* other = flows_.find(flow, hash(flow));
    if (!other) return true;
    return other->kind == FlowKind::kTimeWait &&
           static_cast<TimeWait*>(other)->may_be_reused(*this);
}

Result<RefPtr<Connection>> Stack::connect(const FlowKey& flow, const ConnectionOptions& options,
                                          Observer* observer, FastOpen fast_open) {
    RefPtr<Connection> connection = TRY(make_ref<Connection>(*this, flow, options));
    const Sequence* initial_sequence = nullptr;
    Sequence next;
    if (Flow* other = flows_.find(flow, connection->hash)) {
        if (!is_flow_free(flow)) return Error(EADDRNOTAVAIL);
        auto& rest = *static_cast<TimeWait*>(other);
        next = rest.next_initial_sequence();
        initial_sequence = &next;
        counters().TWRecycled++;
        remove_time_wait(rest);
    }
    if (!insert_flow(*connection)) return Error(ENOMEM);
    connection->self = connection;
    connection->observer = observer;
    connection->begin_active_open(initial_sequence, fast_open);
    return connection;
}

void Stack::remove_flow(Flow& flow) {
    flows_.remove(flow);
    parts_.of(flow.timer_cpu).timers.cancel(flow);
}

void Stack::set_flow_timer(Flow& flow, uint64_t deadline_ns) {
    const size_t cpu = cpu_index();
    CpuPart& part = parts_.of(cpu);
    if (flow.timer_cpu != cpu) {
        parts_.of(flow.timer_cpu).timers.cancel(flow);
        flow.timer_cpu = static_cast<uint16_t>(cpu);
    }
    arm(part, part.timers.set(flow, deadline_ns));
}

void Stack::arm(CpuPart& part, uint64_t next) {
    if (next >= part.armed_ns) return;  // a timer that fires too early does no harm
    part.armed_ns = next;
    environment.arm_timer(next);
}

void Stack::take_over_timers() {
    for (size_t cpu = 0; cpu < parts_.size(); cpu++) {
        if (cpu == cpu_index()) continue;
        while (Flow* flow = parts_.of(cpu).timers.first()) set_flow_timer(*flow, flow->timer_ns);
    }
}

Counters Stack::total_counters() const {
    Counters total;
    parts_.for_each([&](const CpuPart& part) { add_counters(total, part.counters); });
    return total;
}

void Stack::run_timers() {
    CpuPart& part = parts_.current();
    part.armed_ns = kNever;
    while (Flow* flow = part.timers.take_due(part.now_ns)) {
        switch (flow->kind) {
            case FlowKind::kConnection: {
                RefPtr<Connection> connection(static_cast<Connection*>(flow));
                connection->timer_fired();
                break;
            }
            case FlowKind::kHalfOpen: {
                auto& half_open = *static_cast<HalfOpen*>(flow);
                half_open.listener->half_open_timer(half_open);
                break;
            }
            case FlowKind::kTimeWait:
                remove_time_wait(*static_cast<TimeWait*>(flow));
                break;
        }
    }
    arm(part, part.timers.next_deadline_ns());
}

void Stack::start_time_wait(Connection& connection) {
    TimeWait* rest = nullptr;
    if (time_wait_count_ < settings.max_time_wait) rest = new (std::nothrow) TimeWait(connection);
    connection.leave_table();
    if (!rest || !insert_flow(*rest)) {
        counters().TCPTimeWaitOverflow++;
        delete rest;
        return;
    }
    time_wait_count_++;
    counters().TW++;
    set_flow_timer(*rest, now_ns() + kTimeWaitTime);
}

void Stack::remove_time_wait(TimeWait& rest) {
    remove_flow(rest);
    time_wait_count_--;
    delete &rest;
}

Sequence Stack::initial_sequence(const FlowKey& flow) const {
    return Sequence(static_cast<uint32_t>(secret_hash_of_flow(secret_, flow, 0)) +
                    static_cast<uint32_t>(now_ns() >> 6));
}

uint16_t Stack::advertised_segment(const Connection& connection) const {
    uint16_t size = advertised_segment(connection.key, connection.path_mtu);
    uint16_t chosen = connection.options.maximum_segment;
    return chosen && chosen < size ? chosen : size;
}

uint16_t Stack::advertised_segment(const FlowKey& flow, uint32_t mtu) const {
    uint32_t headers = kHeaderSize + (flow.local.address.is_v4() ? 20 : 40);
    return static_cast<uint16_t>(std::clamp(mtu, headers + kMinimumSegment, 65535u) - headers);
}

void Stack::send_plain(const FlowKey& flow, const HeaderFields& fields, const Options& options) {
    BufferPtr packet = Buffer::allocate(kPacketHeadroom, kPacketHeadroom);
    if (!packet) return;
    size_t size = kHeaderSize + options_size(options);
    write_header(packet->push(size), fields, options);
    set_checksum(*packet, flow, static_cast<uint32_t>(size), false);
    counters().OutSegs++;
    IpChoices choices;
    choices.interface_index = flow.local.address.is_link_local() ? flow.local.scope : 0;
    environment.output(std::move(packet), flow, choices, nullptr);
}

// RFC 9293, 3.10.7.1.
void Stack::answer_with_reset(const Segment& segment) {
    if (segment.has(kRst)) return;
    HeaderFields fields{
        segment.flow.local.port, segment.flow.remote.port, Sequence(), Sequence(), kRst, 0};
    if (segment.has(kAck)) {
        fields.sequence = segment.acknowledgement;
    } else {
        fields.flags |= kAck;
        fields.acknowledgement = segment.end();
    }
    counters().OutRsts++;
    send_plain(segment.flow, fields, Options());
}

// RFC 5961, 7 and RFC 5961's side channel: a limit that nobody can measure. Each CPU has its share.
bool Stack::may_challenge() {
    CpuPart& part = parts_.current();
    uint64_t second = part.now_ns / kSecond;
    if (second != part.challenge_second) {
        part.challenge_second = second;
        const auto cpus = static_cast<uint32_t>(parts_.size());
        const uint32_t limit = (settings.challenge_ack_limit + cpus - 1) / cpus;
        uint32_t half = (limit + 1) / 2;
        part.challenges_left =
            half + static_cast<uint32_t>(environment.random() % std::max(half, 1u));
    }
    if (!part.challenges_left) {
        part.counters.TCPACKSkippedChallenge++;
        return false;
    }
    part.challenges_left--;
    return true;
}

void Stack::icmp_error(const FlowKey& flow, Sequence quoted, int error, bool is_fatal,
                       uint32_t mtu) {
    Flow* found = flows_.find(flow, hash(flow));
    if (!found || found->kind != FlowKind::kConnection) return;
    RefPtr<Connection> connection(static_cast<Connection*>(found));
    if (quoted < connection->send_unacknowledged || quoted > connection->send_next) {
        counters().OutOfWindowIcmps++;
        return;
    }
    if (error == EMSGSIZE) return connection->path_changed(mtu);
    connection->soft_error_arrived(error, is_fatal);
}

}  // namespace coracle::net::tcp
