// io_uring with IORING_SETUP_SQPOLL: a thread of the kernel takes the requests.
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <fstream>
#include <thread>

#include "io_uring_support.h"
#include "proc_support.h"
#include "thread_waits.h"

namespace {

constexpr unsigned kForever = 3'600'000, kShort = 20;  // sq_thread_idle, in milliseconds

io_uring_params polled(unsigned idle_ms, unsigned flags = 0) {
    io_uring_params params = setup_parameters(IORING_SETUP_SQPOLL | flags);
    params.sq_thread_idle = idle_ms;
    return params;
}

io_uring_params attached(const Ring& to) {
    io_uring_params params = polled(kShort, IORING_SETUP_ATTACH_WQ);
    params.wq_fd = static_cast<unsigned>(to.fd());
    return params;
}

// The names in /proc/self/task of the kernel's polling threads.
std::vector<std::string> pollers() {
    std::vector<std::string> found;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::ifstream(task.path() / "comm") >> name;  // it may have gone
        if (name.starts_with("iou-sqp-")) found.push_back(task.path().filename());
    }
    return found;
}

// User and system time, in ticks.
unsigned long cpu_time(const std::string& task) {
    std::ifstream stat("/proc/self/task/" + task + "/stat");
    std::string word;
    for (int i = 1; i < 14; i++) stat >> word;
    unsigned long user = 0, system = 0;
    stat >> user >> system;
    return user + system;
}

class IoUringPollerTest : public IoUringTest {
  protected:
    IoUringPollerTest() : IoUringTest(polled(kForever)) {}
    // The thread starts asleep; from here on the one of `ring` polls.
    void SetUp() override {
        IoUringTest::SetUp();
        if (!ring.is_open()) return;
        ring.prepare(IORING_OP_NOP, -1, 1);
        EXPECT_EQ(run_waking(ring, 1), (Results{{1, 0}}));
    }

    static unsigned completions(Ring& in) {
        return in.word(in.params().cq_off.tail) - in.word(in.params().cq_off.head);
    }
    static bool sleeps(Ring& in) {
        return in.word(in.params().sq_off.flags) & IORING_SQ_NEED_WAKEUP;
    }
    // As a library does it: with a call where the thread sleeps.
    static Results run_waking(Ring& in, unsigned count) {
        in.publish();
        const unsigned wake = sleeps(in) ? IORING_ENTER_SQ_WAKEUP : 0;
        EXPECT_EQ(io_uring_enter(in.fd(), 0, 0, wake), 0);
        return run_by_memory(in, count);
    }
    // Without a call for the ring. The results by user_data.
    static Results run_by_memory(Ring& in, unsigned count) {
        in.publish();
        EXPECT_TRUE(eventually([&] { return completions(in) >= count; }));
        Results results;
        for (const io_uring_cqe& each : in.take()) results[each.user_data] = each.res;
        return results;
    }
};

TEST_F(IoUringPollerTest, Setup) {
    EXPECT_TRUE(ring.params().features & IORING_FEAT_SQPOLL_NONFIXED);
    EXPECT_TRUE(ring.params().flags & IORING_SETUP_SQPOLL);
    for (unsigned flag : {IORING_SETUP_COOP_TASKRUN, IORING_SETUP_TASKRUN_FLAG,
                          IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER}) {
        io_uring_params params = polled(kShort, flag);
        EXPECT_ERRNO(io_uring_setup(8, &params), EINVAL);
    }
    io_uring_params alone = setup_parameters(IORING_SETUP_SQ_AFF);
    EXPECT_ERRNO(io_uring_setup(8, &alone), EINVAL);
    for (unsigned cpu : {100'000u, UINT32_MAX}) {
        io_uring_params params = polled(kShort, IORING_SETUP_SQ_AFF);
        params.sq_thread_cpu = cpu;
        EXPECT_ERRNO(io_uring_setup(8, &params), EINVAL);
    }
}

TEST_F(IoUringPollerTest, ThreadIsOneOfTheProcess) {
    ASSERT_TRUE(eventually([] { return pollers().size() == 1; }));
    const std::string task = pollers()[0];
    EXPECT_EQ(::read_file("/proc/self/task/" + task + "/comm"),
              "iou-sqp-" + std::to_string(gettid()) + "\n");
    EXPECT_NE(task, std::to_string(getpid()));
    // While it polls, Linux may say -1 instead.
    Ring lazy(8, polled(kShort));
    ASSERT_TRUE(eventually([] { return pollers().size() == 2; }));
    ASSERT_TRUE(eventually([&] { return sleeps(lazy); }));
    const auto info = lines_of("/proc/self/fdinfo/" + std::to_string(lazy.fd()));
    const std::string prefix = "SqThread:\t";
    const auto line = std::find_if(info.begin(), info.end(),
                                   [&](auto& each) { return each.starts_with(prefix); });
    ASSERT_NE(line, info.end());
    const auto all = pollers();
    const auto found = std::find(all.begin(), all.end(), line->substr(prefix.size()));
    ASSERT_NE(found, all.end());
    EXPECT_NE(*found, task);
}

TEST_F(IoUringPollerTest, RequestsAreTakenWithoutACall) {
    for (int round = 0; round < 20; round++) {
        for (uint64_t i = 1; i <= 3; i++) ring.prepare(IORING_OP_NOP, -1, i);
        EXPECT_EQ(run_by_memory(ring, 3), (Results{{1, 0}, {2, 0}, {3, 0}}));
    }
    EXPECT_FALSE(sleeps(ring));
}

// Nothing that the program does lets the thread run on the one CPU but its time being over.
TEST_F(IoUringPollerTest, RequestsAreTakenFromABusyProgram) {
    for (int round = 0; round < 20; round++) {
        ring.prepare(IORING_OP_NOP, -1, 1);
        ring.publish();
        while (completions(ring) == 0) {
        }
        EXPECT_EQ(ring.take().at(0).res, 0);
    }
}

TEST_F(IoUringPollerTest, EnterSubmitsNothing) {
    EXPECT_EQ(io_uring_enter(ring.fd(), 5, 0, 0), 5);
    EXPECT_EQ(io_uring_enter(ring.fd(), 0, 0, IORING_ENTER_SQ_WAKEUP), 0);
    EXPECT_EQ(completions(ring), 0u);
    ring.prepare(IORING_OP_NOP, -1, 1);
    EXPECT_EQ(ring.run_one(), 0);
    char text[] = "data";
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer(fds[1]);
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 100, 0);
    EXPECT_EQ(ring.submit(), 1);
    std::thread late([&] {
        usleep(20'000);
        EXPECT_EQ(write(writer, text, 4), 4);
    });
    EXPECT_EQ(ring.wait(1), 0);
    EXPECT_EQ(ring.take().at(0).res, 4);
    late.join();
}

TEST_F(IoUringPollerTest, SleepsAfterItsIdleTimeUntilWoken) {
    Ring lazy(8, polled(kShort));
    lazy.prepare(IORING_OP_NOP, -1, 1);
    EXPECT_EQ(run_waking(lazy, 1), (Results{{1, 0}}));
    for (int round = 0; round < 3; round++) {
        ASSERT_TRUE(eventually([&] { return sleeps(lazy); }));
        lazy.prepare(IORING_OP_NOP, -1, 1);
        lazy.publish();
        EXPECT_EQ(io_uring_enter(lazy.fd(), 1, 1, IORING_ENTER_SQ_WAKEUP | IORING_ENTER_GETEVENTS),
                  1);
        ASSERT_TRUE(eventually([&] { return completions(lazy) == 1; }));
        EXPECT_EQ(lazy.take().at(0).res, 0);
    }
}

TEST_F(IoUringPollerTest, UsesNoCpuWhileItSleeps) {
    ring.reset();
    ASSERT_TRUE(eventually([] { return pollers().empty(); }));
    Ring lazy(8, polled(kShort));
    ASSERT_TRUE(eventually([] { return pollers().size() == 1; }));
    ASSERT_TRUE(eventually([&] { return sleeps(lazy); }));
    usleep(50'000);
    const std::string task = pollers().at(0);
    const unsigned long before = cpu_time(task);
    usleep(500'000);
    EXPECT_LE(cpu_time(task) - before, 2u);
    EXPECT_TRUE(sleeps(lazy));
}

// What a waiting request's file does wakes the thread, and then it polls again for its time.
TEST_F(IoUringPollerTest, EventsWakeIt) {
    Ring lazy(8, polled(kShort));
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer(fds[1]);
    lazy.prepare(IORING_OP_READ, reader, 1, buffer_, 100, 0);
    lazy.publish();
    EXPECT_EQ(io_uring_enter(lazy.fd(), 0, 0, IORING_ENTER_SQ_WAKEUP), 0);
    ASSERT_TRUE(eventually([&] { return sleeps(lazy); }));
    EXPECT_EQ(poll_now(lazy.fd(), POLLIN), 0);
    EXPECT_EQ(write(writer, "late", 4), 4);
    pollfd wanted = {lazy.fd(), POLLIN, 0};
    EXPECT_EQ(poll(&wanted, 1, 20'000), 1);
    EXPECT_EQ(wanted.revents & POLLIN, POLLIN);
    EXPECT_EQ(lazy.take().at(0).res, 4);
}

TEST_F(IoUringPollerTest, WaitsForRoom) {
    for (int round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < 8; i++) ring.prepare(IORING_OP_NOP, -1, i);
        ring.publish();
        EXPECT_EQ(io_uring_enter(ring.fd(), 8, 0, IORING_ENTER_SQ_WAIT), 8);
        EXPECT_TRUE(eventually([&] { return completions(ring) == 8; }));
        EXPECT_EQ(ring.take().size(), 8u);
    }
}

TEST_F(IoUringPollerTest, FilesAreTheProgramsOwn) {
    write_file("file", "contents");
    ring.prepare(IORING_OP_OPENAT, AT_FDCWD, 1, "file").open_flags = O_RDWR;
    const int fd = run_by_memory(ring, 1)[1];
    ASSERT_GE(fd, 0);
    EXPECT_EQ(read(fd, buffer_, 100), 8);
    ring.prepare(IORING_OP_WRITE, fd, 1, "CON", 3, 0).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_READ, fd, 2, buffer_, 100, 0).flags = IOSQE_IO_HARDLINK;
    ring.prepare(IORING_OP_CLOSE, fd, 3);
    EXPECT_EQ(run_by_memory(ring, 3), (Results{{1, 3}, {2, 8}, {3, 0}}));
    EXPECT_EQ(std::string(buffer_, 8), "CONtents");
    EXPECT_ERRNO(fcntl(fd, F_GETFD), EBADF);
    ring.prepare(IORING_OP_READ, fd, 1, buffer_, 100, 0);
    EXPECT_EQ(run_by_memory(ring, 1), (Results{{1, -EBADF}}));
    Descriptor again(open("file", O_RDONLY));
    ring.prepare(IORING_OP_READ, again, 1, bad_pointer(), 100, 0);
    EXPECT_EQ(run_by_memory(ring, 1), (Results{{1, -EFAULT}}));
}

TEST_F(IoUringPollerTest, TimesEnd) {
    __kernel_timespec soon = {.tv_sec = 0, .tv_nsec = 10'000'000};
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, &soon, 1);
    EXPECT_EQ(run_by_memory(ring, 1), (Results{{1, -ETIME}}));
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer(fds[1]);
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 100, 0).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_LINK_TIMEOUT, -1, 2, &soon, 1);
    EXPECT_EQ(run_by_memory(ring, 2), (Results{{1, -ECANCELED}, {2, -ETIME}}));
}

TEST_F(IoUringPollerTest, EventDescriptorsAreTold) {
    Descriptor event(eventfd(0, EFD_CLOEXEC));
    const int number = event;
    ASSERT_OK(io_uring_register(ring.fd(), IORING_REGISTER_EVENTFD, &number, 1));
    ring.prepare(IORING_OP_NOP, -1, 1);
    ring.publish();
    uint64_t count = 0;
    EXPECT_EQ(read(event, &count, sizeof(count)), 8);
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(ring.take().size(), 1u);
}

TEST_F(IoUringPollerTest, DisabledRingsAreLeftAlone) {
    Ring disabled(8, polled(kForever, IORING_SETUP_R_DISABLED));
    ASSERT_TRUE(disabled.is_open());
    disabled.prepare(IORING_OP_NOP, -1, 1);
    disabled.publish();
    EXPECT_ERRNO(io_uring_enter(disabled.fd(), 1, 0, 0), EBADFD);
    usleep(20'000);
    EXPECT_EQ(completions(disabled), 0u);
    ASSERT_OK(io_uring_register(disabled.fd(), IORING_REGISTER_ENABLE_RINGS, nullptr, 0));
    EXPECT_EQ(run_waking(disabled, 1), (Results{{1, 0}}));
}

TEST_F(IoUringPollerTest, RingsShareAThread) {
    Ring plain;
    io_uring_params params = polled(kShort, IORING_SETUP_ATTACH_WQ);
    params.wq_fd = 999;
    EXPECT_ERRNO(io_uring_setup(8, &params), ENXIO);
    Descriptor file(open("/dev/null", O_RDWR));
    for (const int wrong : {int{file}, plain.fd()}) {
        params = polled(kShort, IORING_SETUP_ATTACH_WQ);
        params.wq_fd = static_cast<unsigned>(wrong);
        EXPECT_ERRNO(io_uring_setup(8, &params), EINVAL);
    }
    // Without polling there is nothing that we could see shared.
    params = setup_parameters(IORING_SETUP_ATTACH_WQ);
    params.wq_fd = 999;
    EXPECT_ERRNO(io_uring_setup(8, &params), ENXIO);
    params.wq_fd = static_cast<unsigned>(int{file});
    EXPECT_ERRNO(io_uring_setup(8, &params), EINVAL);
    params.wq_fd = static_cast<unsigned>(plain.fd());
    Descriptor sharer(io_uring_setup(8, &params));
    EXPECT_GE(sharer, 0);

    Ring second(8, attached(ring)), third(8, attached(second));
    ASSERT_TRUE(second.is_open() && third.is_open());
    EXPECT_TRUE(eventually([] { return pollers().size() == 1; }));
    for (Ring* each : {&ring, &second, &third}) {
        for (uint64_t i = 1; i <= 8; i++) each->prepare(IORING_OP_NOP, -1, i);
        EXPECT_EQ(run_waking(*each, 8).size(), 8u);
    }
    ring.reset();
    second.prepare(IORING_OP_NOP, -1, 1);
    second.publish();
    EXPECT_EQ(io_uring_enter(second.fd(), 1, 0, IORING_ENTER_SQ_WAKEUP), 1);
    EXPECT_TRUE(eventually([&] { return completions(second) == 1; }));
    second.reset();
    third.reset();
    EXPECT_TRUE(eventually([] { return pollers().empty(); }));
}

TEST_F(IoUringPollerTest, ThreadEndsWithItsRing) {
    for (int round = 0; round < 10; round++) {
        Ring brief(8, polled(round % 2 ? kForever : 1));
        ASSERT_TRUE(brief.is_open());
        brief.prepare(IORING_OP_NOP, -1, 1);
        if (round % 3) brief.publish();
    }
    EXPECT_TRUE(eventually([] { return pollers().size() == 1; }));
    ring.reset();
    EXPECT_TRUE(eventually([] { return pollers().empty(); }));
}

TEST_F(IoUringPollerTest, RunsWhereItIsTold) {
    io_uring_params params = polled(kForever, IORING_SETUP_SQ_AFF);
    params.sq_thread_cpu = 0;
    ring.reset();
    ASSERT_TRUE(eventually([] { return pollers().empty(); }));
    Ring bound(8, params);
    ASSERT_TRUE(bound.is_open());
    bound.prepare(IORING_OP_NOP, -1, 1);
    EXPECT_EQ(run_waking(bound, 1), (Results{{1, 0}}));
    cpu_set_t before, set;
    ASSERT_OK(sched_getaffinity(std::stoi(pollers().at(0)), sizeof(set), &set));
    EXPECT_EQ(CPU_COUNT(&set), 1);
    EXPECT_TRUE(CPU_ISSET(0, &set));
    // The program on the same one.
    ASSERT_OK(sched_getaffinity(0, sizeof(before), &before));
    ASSERT_OK(sched_setaffinity(0, sizeof(set), &set));
    for (int round = 0; round < 20; round++) {
        bound.prepare(IORING_OP_NOP, -1, 1);
        bound.publish();
        while (completions(bound) == 0) {}
        EXPECT_EQ(bound.take().at(0).res, 0);
    }
    ASSERT_OK(sched_setaffinity(0, sizeof(before), &before));
}

TEST_F(IoUringPollerTest, TakesNoSignals) {
    ASSERT_TRUE(eventually([] { return pollers().size() == 1; }));
    sigset_t one, pending;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &one, nullptr);
    EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
    usleep(20'000);
    sigpending(&pending);
    EXPECT_TRUE(sigismember(&pending, SIGUSR1));
    const timespec now = {};
    EXPECT_EQ(sigtimedwait(&one, nullptr, &now), SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &one, nullptr);
    EXPECT_EQ(syscall(SYS_tgkill, getpid(), std::stoi(pollers().at(0)), SIGUSR1), 0);
    ring.prepare(IORING_OP_NOP, -1, 1);
    EXPECT_EQ(run_by_memory(ring, 1), (Results{{1, 0}}));
}

// Threads that prepare requests, and threads of the kernel that take them, all at once.
TEST_F(IoUringPollerTest, ManyRingsAtOnce) {
    std::vector<std::jthread> threads;
    for (unsigned number = 0; number < 4; number++) {
        threads.emplace_back([idle = number % 2 ? kForever : 1] {
            Ring own(8, polled(idle));
            ASSERT_TRUE(own.is_open());
            unsigned done = 0;
            for (unsigned sent = 0; sent < 400; sent += 4) {
                for (uint64_t i = 0; i < 4; i++) own.prepare(IORING_OP_NOP, -1, i);
                own.publish();
                const unsigned wake = sleeps(own) ? IORING_ENTER_SQ_WAKEUP : 0;
                ASSERT_GE(io_uring_enter(own.fd(), 0, 4, IORING_ENTER_GETEVENTS | wake), 0);
                done += static_cast<unsigned>(own.take().size());
            }
            EXPECT_EQ(done, 400u);
        });
    }
}

// The program ends while the thread is at work: no other test sees this ring.
TEST_F(IoUringPollerTest, OutlivesNoProgram) {
    Ring* left = new Ring(8, polled(kForever));
    left->prepare(IORING_OP_NOP, -1, 1);
    EXPECT_EQ(run_waking(*left, 1), (Results{{1, 0}}));
}

}  // namespace
