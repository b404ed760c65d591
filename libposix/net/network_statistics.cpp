// What --stats prints at the end.
#include "kernel-min/devices/host_channel.h"
#include "libposix/fs/pseudo/text_buffer.h"
#include "libposix/net/counters.h"
#include "libposix/net/interface.h"
#include "libposix/net/network.h"
#include "libposix/net/receive_steering.h"

namespace coracle::net {

namespace {

struct Line {
    TextBuffer text;
    bool has_any = false;

    explicit Line(std::string_view title) { text.add(title); }
    void put(const char* name, uint64_t value) {
        if (value == 0) return;
        text.print(" %s %lu", name, value);
        has_any = true;
    }
    ~Line() {
        if (has_any) host_channel::report_line(text.text());
    }
};

void report_interface(const Interface& interface) {
    TextBuffer title;
    title.add(interface.name());
    title.add(":");
    Line line(title.text());
    const InterfaceStatistics s = interface.total_statistics();
    line.put("received", s.rx_packets);
    line.put("bytes", s.rx_bytes);
    line.put("sent", s.tx_packets);
    line.put("bytes", s.tx_bytes);
    line.put("interrupts", s.rx_interrupts);
    line.put("polls", s.rx_polls);
    line.put("kicks", s.tx_kicks);
    line.put("bad", s.rx_errors);
    line.put("dropped in", s.rx_dropped);
    line.put("dropped out", s.tx_dropped);
}

void report_queues(const Interface& interface) {
    for (size_t i = 0; i < interface.queue_count(); i++) {
        TextBuffer title;
        title.add(interface.name());
        title.print(" queue %lu:", i);
        Line line(title.text());
        const QueueStatistics queue = interface.queue_statistics(i);
        line.put("received", queue.rx_packets);
        line.put("sent", queue.tx_packets);
        line.put("interrupts", queue.rx_interrupts);
    }
}

void report_ip(const char* title, const IpCounters& c) {
    Line line(title);
    line.put("received", c.in_receives);
    line.put("delivered", c.in_delivers);
    line.put("sent", c.out_requests);
    line.put("bad headers", c.in_header_errors);
    line.put("not for us", c.in_address_errors);
    line.put("unknown protocols", c.in_unknown_protocols);
    line.put("truncated", c.in_truncated);
    line.put("fragments in", c.reassembly_required);
    line.put("joined", c.reassembly_ok);
    line.put("not joined", c.reassembly_failed);
    line.put("fragments out", c.fragments_created);
    line.put("no route", c.out_no_routes);
    line.put("discarded", c.in_discards + c.out_discards);
}

void report_udp(const char* title, const UdpCounters& c) {
    Line line(title);
    line.put("received", c.in_datagrams);
    line.put("sent", c.out_datagrams);
    line.put("nobody's", c.no_ports);
    line.put("bad checksums", c.checksum_errors);
    line.put("buffer full", c.receive_buffer_errors);
}

}  // namespace

void report_network_statistics() {
    for (const Interface* interface : interfaces()) {
        report_interface(*interface);
        report_queues(*interface);
    }
    const Counters counters = total_counters();
    report_ip("ipv4:", counters.ip4);
    report_ip("ipv6:", counters.ip6);
    report_udp("udp:", counters.udp4);
    report_udp("udp6:", counters.udp6);
    Line("gro:").put("joined segments", counters.gro_merged);
    const SteeringCounters steered = steering_counters();
    Line line("steering:");
    line.put("at home", steered.at_home);
    line.put("handed over", steered.handed_over);
    line.put("for the whole machine", steered.alone);
}

}  // namespace coracle::net
