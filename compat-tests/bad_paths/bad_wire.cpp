// Joins two tap interfaces by a wire that loses, repeats, delays, reorders and limits frames, as
// netem(8) would; for kernels without netem. Whatever chance decides follows from the seed.
//     bad_wire NAMESPACE/TAP NAMESPACE/TAP [loss=SHARE] [duplicate=SHARE] [reorder=SHARE]
//         [reorder_ms=MS] [delay_ms=MS] [mbit=RATE] [queue_kib=KIB] [seed=NUMBER]
// The delay is of one way; the rate and its queue are each direction's own. Only IP packets are
// harmed. Prints "ready" when both ends are open, and counts when SIGTERM comes.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr double kNanoseconds = 1e9;

[[noreturn]] void give_up(const std::string& what) {
    perror(("bad_wire: " + what).c_str());
    exit(1);
}

double now_ns() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * kNanoseconds + static_cast<double>(time.tv_nsec);
}

int open_tap(const std::string& end) {
    size_t slash = end.find('/');
    if (slash == std::string::npos) {
        errno = EINVAL;
        give_up(end);
    }
    int space = open(("/run/netns/" + end.substr(0, slash)).c_str(), O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) < 0) give_up(end);
    close(space);
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ifreq request = {};
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    strncpy(request.ifr_name, end.c_str() + slash + 1, IFNAMSIZ - 1);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0) give_up(end);
    return tap;
}

struct Settings {
    std::map<std::string, double> values;
    double operator[](const std::string& name) const {
        auto found = values.find(name);
        return found == values.end() ? 0 : found->second;
    }
};

struct Frame {
    double due_ns;
    uint64_t number;  // frames that are due at the same time keep their order
    std::string bytes;
    bool operator<(const Frame& other) const {
        return due_ns != other.due_ns ? due_ns > other.due_ns : number > other.number;
    }
};

// One way of the wire.
class Direction {
  public:
    Direction(int from, int to, const Settings& settings, uint64_t seed)
        : from_(from), to_(to), settings_(settings), random_(seed) {}

    void take_frames() {
        char bytes[65536];
        for (int i = 0; i < 64; i++) {
            ssize_t size = read(from_, bytes, sizeof bytes);
            if (size <= 0) return;
            take({bytes, static_cast<size_t>(size)}, now_ns());
        }
    }
    void deliver(double now) {
        while (!frames_.empty() && frames_.top().due_ns <= now) {
            const std::string& bytes = frames_.top().bytes;
            // A full tap drops, as any queue does.
            full += write(to_, bytes.data(), bytes.size()) < 0;
            frames_.pop();
        }
    }
    double next_ns() const { return frames_.empty() ? 1e300 : frames_.top().due_ns; }

    uint64_t taken = 0, lost = 0, overflowed = 0, full = 0;

  private:
    bool chance(const char* name) {
        return settings_[name] > 0 &&
               std::uniform_real_distribution<>(0, 1)(random_) < settings_[name];
    }
    void take(std::string bytes, double now) {
        taken++;
        bool is_ip = bytes.size() > 14 && (bytes.compare(12, 2, std::string("\x08\0", 2)) == 0 ||
                                           bytes.compare(12, 2, "\x86\xdd") == 0);
        if (is_ip && chance("loss")) {
            lost++;
            return;
        }
        double due = now;
        if (double rate = settings_["mbit"] * 125'000) {
            double start = std::max(now, free_at_ns_);
            if ((start - now) / kNanoseconds * rate > settings_["queue_kib"] * 1024) {
                overflowed++;
                return;
            }
            due = free_at_ns_ = start + static_cast<double>(bytes.size()) * kNanoseconds / rate;
        }
        due += settings_["delay_ms"] * 1e6;
        if (is_ip && chance("reorder")) {
            due += std::uniform_real_distribution<>(0, settings_["reorder_ms"] * 1e6)(random_);
        }
        if (is_ip && chance("duplicate")) frames_.push({due, number_++, bytes});
        frames_.push({due, number_++, std::move(bytes)});
    }

    int from_, to_;
    const Settings& settings_;
    std::mt19937_64 random_;
    std::priority_queue<Frame> frames_;
    uint64_t number_ = 0;
    double free_at_ns_ = 0;
};

volatile sig_atomic_t is_over = 0;

}  // namespace

int main(int count, char** arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: bad_wire NAMESPACE/TAP NAMESPACE/TAP [NAME=VALUE...]\n");
        return 2;
    }
    Settings settings{{{"seed", 1}, {"reorder_ms", 2}, {"queue_kib", 256}}};
    for (int i = 3; i < count; i++) {
        std::string text = arguments[i];
        size_t equals = text.find('=');
        if (equals == std::string::npos) give_up(text);
        settings.values[text.substr(0, equals)] = atof(text.c_str() + equals + 1);
    }
    int taps[2] = {open_tap(arguments[1]), open_tap(arguments[2])};
    auto seed = static_cast<uint64_t>(settings["seed"]);
    Direction ways[2] = {{taps[0], taps[1], settings, 2 * seed},
                         {taps[1], taps[0], settings, 2 * seed + 1}};
    signal(SIGTERM, [](int) { is_over = 1; });
    printf("ready\n");
    fflush(stdout);
    while (!is_over) {
        double wait = std::min(ways[0].next_ns(), ways[1].next_ns()) - now_ns();
        wait = std::clamp(wait, 0.0, 0.1 * kNanoseconds);
        timespec timeout = {0, static_cast<long>(wait)};
        pollfd ends[2] = {{taps[0], POLLIN, 0}, {taps[1], POLLIN, 0}};
        ppoll(ends, 2, &timeout, nullptr);
        for (int i = 0; i < 2; i++) {
            if (ends[i].revents) ways[i].take_frames();
        }
        for (Direction& way : ways) way.deliver(now_ns());
    }
    for (const Direction& way : ways) {
        printf("%lu frames, %lu lost, %lu over the queue, %lu over the tap's\n", way.taken,
               way.lost, way.overflowed, way.full);
    }
}
