// poll, select, epoll and futex.
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

#include <algorithm>

#include "syscall-table/abi.h"
#include "syscall-table/trace/printers.h"

namespace coracle::trace {

namespace {

constexpr unsigned kPoll = 7, kEpollCtl = 233, kPpoll = 271;

// select's first argument, kept to what a set can hold.
uint64_t clamp_descriptors(uint64_t raw) {
    constexpr int kMaxDescriptors = 1024;  // FD_SETSIZE
    return static_cast<uint64_t>(std::clamp(static_cast<int>(raw), 0, kMaxDescriptors));
}

void put_left_time(Call& call) {
    // select's and ppoll's timeout comes back as the time that was left.
    const uint64_t address = call.number == kPpoll ? call.arguments[2] : call.arguments[4];
    struct timespec left;
    if (!call.read(left, address)) return;
    constexpr unsigned kSelect = 23;
    call.line.put(", left {tv_sec=");
    call.line.put_decimal(left.tv_sec);
    call.line.put(call.number == kSelect ? ", tv_usec=" : ", tv_nsec=");
    call.line.put_decimal(left.tv_nsec);
    call.line.put('}');
}

}  // namespace

void print_pollfds(Call& call, uint64_t address, uint64_t count) {
    if (count != 0 && !is_readable<struct pollfd>(call, address)) return;
    for_each_element<struct pollfd>(call, address, count, true, [&](const struct pollfd& entry) {
        call.line.put("{fd=");
        call.line.put_decimal(entry.fd);
        if (entry.fd >= 0) {
            call.line.put(", events=");
            put_flags(call.line, static_cast<uint16_t>(entry.events), tables::poll_events);
        }
        call.line.put('}');
    });
}

void print_poll_count(Call& call, int64_t value) {
    Line& line = call.line;
    line.put_decimal(value);
    if (value == 0) {
        line.put(" (Timeout)");
        return;
    }
    line.put(" ([");
    bool first = true;
    const uint64_t count = static_cast<uint32_t>(call.arguments[1]);
    for (uint64_t i = 0, printed = 0; i < count; ++i) {
        struct pollfd entry;
        if (!call.read(entry, call.arguments[0] + i * sizeof(entry))) break;
        if (entry.revents == 0) continue;
        if (!first) line.put(", ");
        first = false;
        if (printed++ == kMaxArrayLength) {
            line.put("...");
            break;
        }
        line.put("{fd=");
        line.put_decimal(entry.fd);
        line.put(", revents=");
        put_flags(line, static_cast<uint16_t>(entry.revents), tables::poll_events);
        line.put('}');
    }
    line.put(']');
    if (call.number != kPoll) put_left_time(call);
    line.put(')');
}

void print_fd_set(Call& call, uint64_t address, uint64_t descriptors) {
    descriptors = clamp_descriptors(descriptors);
    if (descriptors != 0 && !is_readable<uint8_t>(call, address)) return;
    call.line.put('[');
    bool first = true;
    uint64_t word = 0;
    for (uint64_t fd = 0; fd < descriptors; ++fd) {
        if (fd % 64 == 0 && !call.read(word, address + fd / 8)) break;
        if (!(word >> fd % 64 & 1)) continue;
        if (!first) call.line.put(' ');
        first = false;
        call.line.put_unsigned(fd);
    }
    call.line.put(']');
}

void print_select_count(Call& call, int64_t value) {
    Line& line = call.line;
    line.put_decimal(value);
    if (value == 0) {
        line.put(" (Timeout)");
        return;
    }
    static constexpr const char* kNames[] = {"in ", "out ", "except "};
    line.put(" (");
    bool first = true;
    for (unsigned set = 0; set < 3; ++set) {
        const uint64_t address = call.arguments[1 + set];
        const uint64_t descriptors = clamp_descriptors(call.arguments[0]);
        uint64_t any = 0, word = 0;
        for (uint64_t fd = 0; fd < descriptors && call.read(word, address + fd / 8); fd += 64) {
            any |= word;
        }
        if (any == 0) continue;
        if (!first) line.put(", ");
        first = false;
        line.put(kNames[set]);
        print_fd_set(call, address, descriptors);
    }
    put_left_time(call);
    line.put(')');
}

void print_epoll_event(Call& call, const struct epoll_event& event) {
    if (call.number == kEpollCtl && call.arguments[1] == EPOLL_CTL_DEL) {
        call.line.put_pointer(call.arguments[3]);  // not looked at
        return;
    }
    call.line.put("{events=");
    put_flags(call.line, event.events, tables::epoll_events);
    call.line.put(", data={u32=");
    call.line.put_unsigned(event.data.u32);
    call.line.put(", u64=");
    call.line.put_unsigned(event.data.u64);
    call.line.put("}}");
}

void print_futex_operation(Call& call, int64_t value) {
    const auto operation = static_cast<uint32_t>(value);
    const auto command = operation & static_cast<uint32_t>(FUTEX_CMD_MASK);
    const char* name = tables::futex_commands.find(command);
    if (!name) {
        call.line.put_hex(operation);
        call.line.put(" /* FUTEX_??? */");
        return;
    }
    call.line.put(name);
    if (operation & FUTEX_PRIVATE_FLAG) call.line.put("_PRIVATE");
    if (operation & FUTEX_CLOCK_REALTIME) call.line.put("|FUTEX_CLOCK_REALTIME");
}

void print_futex_timeout(Call& call, int64_t value) {
    const auto address = static_cast<uint64_t>(value);
    switch (static_cast<int>(call.arguments[1]) & FUTEX_CMD_MASK) {
        case FUTEX_REQUEUE:
        case FUTEX_CMP_REQUEUE:
        case FUTEX_CMP_REQUEUE_PI:
        case FUTEX_WAKE_OP:
            call.line.put_unsigned(static_cast<uint32_t>(address));  // a second count of waiters
            return;
        default:
            break;
    }
    struct timespec timeout;
    if (!call.read(timeout, address)) {
        call.line.put_pointer(address);
        return;
    }
    print_timespec(call, timeout);
}

void print_futex_word2(Call& call, int64_t value) {
    print_pointer(call, value);
}

void print_futex_value3(Call& call, int64_t value) {
    const auto value3 = static_cast<uint32_t>(value);
    switch (static_cast<int>(call.arguments[1]) & FUTEX_CMD_MASK) {
        case FUTEX_WAIT_BITSET:
        case FUTEX_WAKE_BITSET:
            if (value3 == FUTEX_BITSET_MATCH_ANY) {
                call.line.put("FUTEX_BITSET_MATCH_ANY");
                break;
            }
            call.line.put_hex(value3);
            break;
        case FUTEX_CMP_REQUEUE:
        case FUTEX_CMP_REQUEUE_PI:
            call.line.put_unsigned(value3);
            break;
        default:
            call.line.put_hex(value3);
    }
}

}  // namespace coracle::trace
