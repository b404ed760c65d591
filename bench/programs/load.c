// Loads a server at a port of 127.0.0.1 and checks its answers. Runs on the host.
// Usage: load [OPTION...] PROTOCOL PORT REQUESTS
//   -c N     connections that are busy, with one request each (default 1)
//   -i N     further ones that are idle
//   -p N     requests sent together on each
//   -r       a new connection for each request
//   -l FILE  the live counters of instruction_counter.c
// Prints "LOAD REQUESTS SECONDS MEDIAN P99 LOST LOWER UPPER REPEATS": nanoseconds, datagrams that
// were sent again, and instructions of the guest in all. A quarter more is asked beforehand,
// unmeasured.
//
// Connections are opened one after the other, each proven by a request: QEMU's user network loses
// bursts of them and then stands still for seconds.
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMaxPipeline = 64, kPatienceMs = 5000, kDatagramPatienceMs = 500 };

struct Connection {
    int fd;
    int awaited;  // answers
    long sent_ns, number;
    size_t filled;
    char input[kMaxPipeline * kMaxAnswer + 1];
};

struct Phase {
    const struct Protocol* protocol;
    long requests, sent, answered, lost;
    long* latencies;
};

static struct sockaddr_in server = {.sin_family = AF_INET};
static int busy_count = 1, pipeline = 1, reconnects, poller;
static struct Connection* connections;
static volatile const uint64_t* counters;
static pid_t qemu = 0;

static long now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000l + time.tv_nsec;
}

static double qemu_seconds(void) {
    clockid_t clock;
    struct timespec time = {0};
    if (qemu && (clock_getcpuclockid(qemu, &clock) || clock_gettime(clock, &time))) return 0;
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void fail(const char* what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void open_connection(struct Connection* connection, const struct Protocol* protocol) {
    const int one = 1;
    connection->fd = socket(AF_INET, protocol->is_datagram ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (connection->fd < 0) fail("socket");
    if (connect(connection->fd, (struct sockaddr*)&server, sizeof(server))) fail("connect");
    if (!protocol->is_datagram) {
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    connection->awaited = 0;
    connection->filled = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event)) fail("epoll_ctl");
}

static void transmit(struct Connection* connection, const struct Protocol* protocol, int count) {
    char requests[kMaxPipeline * kMaxRequest];
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        length += protocol->request(requests + length, connection->number + i);
    }
    if (write(connection->fd, requests, length) != (ssize_t)length) fail("write");
}

static void send_requests(struct Connection* connection, struct Phase* phase) {
    const long left = phase->requests - phase->sent;
    const int count = left < pipeline ? left : pipeline;
    if (count == 0) return;
    connection->sent_ns = now_ns();
    if (connection->fd < 0) open_connection(connection, phase->protocol);
    connection->number = phase->sent;
    connection->awaited = count;
    phase->sent += count;
    transmit(connection, phase->protocol, count);
}

// Takes complete answers out of the input.
static void take_answers(struct Connection* connection, struct Phase* phase) {
    size_t taken = 0;
    while (connection->awaited > 0) {
        connection->input[connection->filled] = 0;
        const long length =
            phase->protocol->answer(connection->input + taken, connection->filled - taken);
        if (length < 0) {
            fprintf(stderr, "load: wrong answer: %.200s\n", connection->input + taken);
            exit(1);
        }
        if (length == 0) break;
        taken += length;
        connection->awaited--;
        phase->latencies[phase->answered++] = now_ns() - connection->sent_ns;
    }
    connection->filled -= taken;
    memmove(connection->input, connection->input + taken, connection->filled);
    if (connection->awaited == 0 && connection->filled > 0) {
        fprintf(stderr, "load: more than was asked for\n");
        exit(1);
    }
}

static void receive(struct Connection* connection, struct Phase* phase) {
    const ssize_t got = read(connection->fd, connection->input + connection->filled,
                             sizeof(connection->input) - 1 - connection->filled);
    if (got < 0) fail("read");
    connection->filled += got;
    // An answer to a datagram that had been given up.
    if (phase->protocol->is_datagram && connection->awaited == 0) connection->filled = 0;
    const int was_waiting = connection->awaited > 0;
    take_answers(connection, phase);
    if (got == 0 && (connection->awaited > 0 || !reconnects)) {
        errno = ECONNRESET;
        fail("answer");
    }
    if (!was_waiting || connection->awaited > 0) return;
    if (reconnects) {
        close(connection->fd);
        connection->fd = -1;
    }
    send_requests(connection, phase);
}

static void send_lost_again(struct Phase* phase, int count) {
    for (int i = 0; i < count; i++) {
        if (connections[i].awaited == 0) continue;
        transmit(&connections[i], phase->protocol, connections[i].awaited);
        phase->lost++;
    }
}

// All requests of a phase, over the first `count` connections.
static void run(struct Phase* phase, int count) {
    for (int i = 0; i < count; i++) send_requests(&connections[i], phase);
    const int is_datagram = phase->protocol->is_datagram;
    while (phase->answered < phase->requests) {
        struct epoll_event events[64];
        const int ready =
            epoll_wait(poller, events, 64, is_datagram ? kDatagramPatienceMs : kPatienceMs);
        if (ready == 0 && is_datagram && phase->lost < 10) {
            send_lost_again(phase, count);
        } else if (ready <= 0) {
            errno = ETIMEDOUT;
            fail("answer");
        }
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr, phase);
    }
}

static struct Phase make_phase(const struct Protocol* protocol, long requests) {
    struct Phase phase = {.protocol = protocol, .requests = requests};
    phase.latencies = calloc(requests, sizeof(long));
    if (!phase.latencies) fail("memory");
    return phase;
}

static void run_unmeasured(const struct Protocol* protocol, long requests, int count) {
    struct Phase phase = make_phase(protocol, requests);
    run(&phase, count);
    free(phase.latencies);
}

static void open_all(const struct Protocol* protocol, int count) {
    connections = calloc(count, sizeof(*connections));
    poller = epoll_create1(0);
    if (!connections || poller < 0) fail("memory");
    for (int i = 0; i < count; i++) connections[i].fd = -1;
    if (reconnects) return;
    // Nothing is there to be asked for yet.
    const struct Protocol* first =
        protocol->preparation ? find_protocol(protocol->preparation) : protocol;
    for (int i = 0; i < count; i++) {
        struct Phase proof = make_phase(first, 1);
        open_connection(&connections[i], first);
        send_requests(&connections[i], &proof);
        run(&proof, 0);
        free(proof.latencies);
    }
}

static void map_counters(const char* path) {
    const int fd = open(path, O_RDONLY);
    if (fd < 0) fail(path);
    counters = mmap(NULL, 3 * sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (counters == MAP_FAILED) fail(path);
    close(fd);
}

static int compare(const void* a, const void* b) {
    const long x = *(const long*)a, y = *(const long*)b;
    return (x > y) - (x < y);
}

static void measure(const struct Protocol* protocol, long requests) {
    struct Phase phase = make_phase(protocol, requests);
    uint64_t counts[3] = {0};
    for (int i = 0; i < 3 && counters; i++) counts[i] = counters[i];
    const double cpu_start = qemu_seconds();
    const long start = now_ns();
    run(&phase, busy_count);
    const double seconds = (now_ns() - start) * 1e-9;
    const double cpu_seconds = qemu_seconds() - cpu_start;
    for (int i = 0; i < 3 && counters; i++) counts[i] = counters[i] - counts[i];
    qsort(phase.latencies, requests, sizeof(long), compare);
    printf("LOAD %ld %.6f %ld %ld %ld %.6f %lu %lu %lu\n", requests, seconds,
           phase.latencies[requests / 2], phase.latencies[requests * 99 / 100], phase.lost,
           cpu_seconds, counts[0], counts[1], counts[2]);
}

int main(int argc, char** argv) {
    int idle_count = 0;
    for (int option; (option = getopt(argc, argv, "c:i:p:rl:q:")) != -1;) {
        switch (option) {
            case 'c':
                busy_count = atoi(optarg);
                break;
            case 'i':
                idle_count = atoi(optarg);
                break;
            case 'p':
                pipeline = atoi(optarg);
                break;
            case 'r':
                reconnects = 1;
                break;
            case 'l':
                map_counters(optarg);
                break;
            case 'q':
                qemu = atoi(optarg);
                break;
            default:
                return 2;
        }
    }
    const struct Protocol* protocol = argc - optind == 3 ? find_protocol(argv[optind]) : NULL;
    const long requests = protocol ? atol(argv[optind + 2]) : 0;
    if (requests < 1 || busy_count < 1 || pipeline < 1 || pipeline > kMaxPipeline) {
        fprintf(stderr, "usage: load [OPTION...] PROTOCOL PORT REQUESTS\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    server.sin_port = htons(atoi(argv[optind + 1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_all(protocol, busy_count + idle_count);
    if (protocol->preparation) run_unmeasured(find_protocol(protocol->preparation), kKeys, 1);
    run_unmeasured(protocol, requests / 4 + 1, busy_count);
    measure(protocol, requests);
    return 0;
}
