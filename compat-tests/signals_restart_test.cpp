// man 7 signal, "Interruption of system calls": which call goes on after a handler with SA_RESTART,
// which fails with EINTR. Each is made by libc's syscall() and by an instruction of the program.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "threads_support.h"

namespace {

long by_libc(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
    const long result = syscall(number, a, b, c, d, e, f);
    return result == -1 ? -errno : result;
}

// Not inlined: one site, which the second call finds rewritten.
__attribute__((noinline)) long by_instruction(long number, long a = 0, long b = 0, long c = 0,
                                              long d = 0, long e = 0, long f = 0) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result = number;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

using Call = long (*)(long, long, long, long, long, long, long);

int fds[2];
uint32_t word;
int descriptor;
sigset_t set;

enum class AfterRestart { kGoesOn, kEintr };

struct Case {
    const char* name;
    AfterRestart after_restart;
    std::function<void()> prepare;
    std::function<long(Call)> block;
    std::function<void()> release;  // lets a call that goes on end
};

void make_pipe() { ASSERT_EQ(0, pipe(fds)); }
void make_sockets() { ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds)); }
void nothing() {}
long address(const void* pointer) { return reinterpret_cast<long>(pointer); }
char byte;
pollfd polled;
timespec far = {100, 0};
itimerspec far_value = {{0, 0}, {100, 0}};

void fill_pipe() {
    make_pipe();
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    char bytes[4096] = {};
    while (write(fds[1], bytes, sizeof(bytes)) > 0) {}
    fcntl(fds[1], F_SETFL, 0);
}
void drain_pipe() {
    char bytes[65536];
    ASSERT_GT(read(fds[0], bytes, sizeof(bytes)), 0);
}
void send_byte() { ASSERT_EQ(1, write(fds[1], "x", 1)); }
void wake_word() {
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

char lock_name[64];
struct flock whole = {};
void lock_file() {
    snprintf(lock_name, sizeof(lock_name), "/tmp/restart.%d", getpid());
    descriptor = open(lock_name, O_CREAT | O_RDWR, 0600);
    fds[0] = open(lock_name, O_RDWR);
    ASSERT_GE(fds[0], 0);
    whole.l_type = F_WRLCK;
    ASSERT_EQ(0, fcntl(descriptor, F_OFD_SETLK, &whole));
}
void unlock_file() {
    struct flock unlock = {};
    unlock.l_type = F_UNLCK;
    fcntl(descriptor, F_OFD_SETLK, &unlock);
}

const Case kCases[] = {
    {"read of a pipe", AfterRestart::kGoesOn, make_pipe,
     [](Call call) { return call(SYS_read, fds[0], address(&byte), 1, 0, 0, 0); }, send_byte},
    {"write to a pipe", AfterRestart::kGoesOn, fill_pipe,
     [](Call call) { return call(SYS_write, fds[1], address(&byte), 1, 0, 0, 0); }, drain_pipe},
    {"read of an eventfd", AfterRestart::kGoesOn,
     [] { descriptor = eventfd(0, 0); },
     [](Call call) {
         static uint64_t value;
         return call(SYS_read, descriptor, address(&value), 8, 0, 0, 0);
     },
     [] {
         const uint64_t one = 1;
         ASSERT_EQ(8, write(descriptor, &one, 8));
     }},
    {"recvfrom", AfterRestart::kGoesOn, make_sockets,
     [](Call call) { return call(SYS_recvfrom, fds[0], address(&byte), 1, 0, 0, 0); }, send_byte},
    {"recvfrom with SO_RCVTIMEO", AfterRestart::kEintr,
     [] {
         make_sockets();
         const timeval time = {100, 0};
         setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
     },
     [](Call call) { return call(SYS_recvfrom, fds[0], address(&byte), 1, 0, 0, 0); }, send_byte},
    {"futex wait", AfterRestart::kGoesOn, [] { word = 0; },
     [](Call call) {
         const long result = call(SYS_futex, address(&word), FUTEX_WAIT, 0, 0, 0, 0);
         return result == -EAGAIN ? 0 : result;  // the restart found the word changed
     },
     wake_word},
    {"futex wait with a time", AfterRestart::kEintr, [] { word = 0; },
     [](Call call) {
         return call(SYS_futex, address(&word), FUTEX_WAIT, 0, address(&far), 0, 0);
     },
     wake_word},
    {"F_OFD_SETLKW", AfterRestart::kGoesOn, lock_file,
     [](Call call) { return call(SYS_fcntl, fds[0], F_OFD_SETLKW, address(&whole), 0, 0, 0); },
     unlock_file},
    {"poll", AfterRestart::kEintr,
     [] {
         make_pipe();
         polled = {fds[0], POLLIN, 0};
     },
     [](Call call) { return call(SYS_poll, address(&polled), 1, -1, 0, 0, 0); }, send_byte},
    {"poll with a time", AfterRestart::kEintr,
     [] {
         make_pipe();
         polled = {fds[0], POLLIN, 0};
     },
     [](Call call) { return call(SYS_poll, address(&polled), 1, 100'000, 0, 0, 0); }, send_byte},
    {"ppoll", AfterRestart::kEintr,
     [] {
         make_pipe();
         polled = {fds[0], POLLIN, 0};
     },
     [](Call call) { return call(SYS_ppoll, address(&polled), 1, address(&far), 0, 8, 0); },
     send_byte},
    {"select", AfterRestart::kEintr, make_pipe,
     [](Call call) {
         static fd_set read_set;
         FD_ZERO(&read_set);
         FD_SET(fds[0], &read_set);
         return call(SYS_select, fds[0] + 1, address(&read_set), 0, 0, 0, 0);
     },
     send_byte},
    {"pselect6", AfterRestart::kEintr, make_pipe,
     [](Call call) {
         static fd_set read_set;
         FD_ZERO(&read_set);
         FD_SET(fds[0], &read_set);
         return call(SYS_pselect6, fds[0] + 1, address(&read_set), 0, 0, 0, 0);
     },
     send_byte},
    {"epoll_wait", AfterRestart::kEintr, [] { descriptor = epoll_create1(0); },
     [](Call call) {
         static epoll_event event;
         return call(SYS_epoll_wait, descriptor, address(&event), 1, -1, 0, 0);
     },
     nothing},
    {"nanosleep", AfterRestart::kEintr, nothing,
     [](Call call) { return call(SYS_nanosleep, address(&far), 0, 0, 0, 0, 0); }, nothing},
    {"clock_nanosleep to a moment", AfterRestart::kEintr, nothing,
     [](Call call) {
         static timespec moment;
         clock_gettime(CLOCK_MONOTONIC, &moment);
         moment.tv_sec += 100;
         return call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, address(&moment), 0, 0,
                     0);
     },
     nothing},
    {"clock_nanosleep on the wall clock", AfterRestart::kEintr, nothing,
     [](Call call) {
         static timespec moment;
         clock_gettime(CLOCK_REALTIME, &moment);
         moment.tv_sec += 100;
         return call(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, address(&moment), 0, 0, 0);
     },
     nothing},
    {"pause", AfterRestart::kEintr, nothing,
     [](Call call) { return call(SYS_pause, 0, 0, 0, 0, 0, 0); }, nothing},
    {"rt_sigsuspend", AfterRestart::kEintr, [] { sigemptyset(&set); },
     [](Call call) { return call(SYS_rt_sigsuspend, address(&set), 8, 0, 0, 0, 0); }, nothing},
    {"rt_sigtimedwait", AfterRestart::kEintr,
     [] {
         sigemptyset(&set);
         sigaddset(&set, SIGUSR2);
     },
     [](Call call) { return call(SYS_rt_sigtimedwait, address(&set), 0, address(&far), 8, 0, 0); },
     nothing},
    {"read of a timerfd", AfterRestart::kGoesOn,
     [] {
         descriptor = static_cast<int>(syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0));
         syscall(SYS_timerfd_settime, descriptor, 0, &far_value, nullptr);
     },
     [](Call call) {
         static uint64_t value;
         return call(SYS_read, descriptor, address(&value), 8, 0, 0, 0);
     },
     [] {
         const itimerspec soon = {{0, 0}, {0, 1}};
         syscall(SYS_timerfd_settime, descriptor, 0, &soon, nullptr);
     }},
};

std::atomic<int> handled;
void count(int) { handled++; }

long run(const Case& test, Call call, int flags) {
    struct sigaction action = {};
    action.sa_handler = count;
    action.sa_flags = flags;
    sigaction(SIGUSR1, &action, nullptr);
    for (int fd = 3; fd < 40; fd++) close(fd);
    test.prepare();
    handled = 0;
    std::atomic<bool> is_over{false};
    std::atomic<pid_t> tid{0};
    long result = 0;
    std::thread blocked([&] {
        tid = gettid();
        result = test.block(call);
        is_over = true;
    });
    const auto is_asleep_or_over = [&] { return is_over || (tid != 0 && sleeps(tid)); };
    EXPECT_TRUE(at_last(is_asleep_or_over));
    for (int round = 1; round <= 3 && !is_over; round++) {
        pthread_kill(blocked.native_handle(), SIGUSR1);
        EXPECT_TRUE(eventually([&] { return handled == round; }));
        EXPECT_TRUE(at_last(is_asleep_or_over));
    }
    if (!is_over) test.release();
    blocked.join();
    signal(SIGUSR1, SIG_DFL);
    return result;
}

class SignalsRestart : public ::testing::TestWithParam<size_t> {
  protected:
    const Case& test() { return kCases[GetParam()]; }
    void TearDown() override {
        if (lock_name[0]) unlink(lock_name);
    }
};

TEST_P(SignalsRestart, WithoutRestartItIsEintr) {
    EXPECT_EQ(-EINTR, run(test(), by_libc, 0)) << test().name;
    EXPECT_EQ(1, handled) << test().name;
}

TEST_P(SignalsRestart, WithRestart) {
    for (Call call : {Call(by_libc), Call(by_instruction)}) {
        const long result = run(test(), call, SA_RESTART);
        if (test().after_restart == AfterRestart::kEintr) {
            EXPECT_EQ(-EINTR, result) << test().name;
            EXPECT_EQ(1, handled) << test().name;
        } else {
            EXPECT_GE(result, 0) << test().name << ": " << strerror(static_cast<int>(-result));
            EXPECT_EQ(3, handled) << test().name;
        }
    }
}

TEST_P(SignalsRestart, ByAnInstruction) {
    EXPECT_EQ(-EINTR, run(test(), by_instruction, 0)) << test().name;
}

INSTANTIATE_TEST_SUITE_P(Calls, SignalsRestart,
                         ::testing::Range(size_t{0}, sizeof(kCases) / sizeof(kCases[0])),
                         [](const auto& info) {
                             std::string name = kCases[info.param].name;
                             for (char& c : name) {
                                 if (!isalnum(c)) c = '_';
                             }
                             return name;
                         });

}  // namespace
