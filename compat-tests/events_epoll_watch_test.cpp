// What epoll files watch: which files, how many, each other; and how they forget.
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <set>

#include "events_epoll_support.h"

namespace {

using EpollWatch = Epoll;

TEST_F(EpollWatch, TheLastCloseRemoves) {
    int fd = eventfd(1, 0);
    int copy = dup(fd);
    ASSERT_OK(add(fd, EPOLLIN));
    close(fd);
    EXPECT_EQ(ready(), Fds{fd}) << "the copy keeps the file open";
    EXPECT_ERRNO(modify(copy, EPOLLIN), ENOENT);
    ASSERT_OK(add(copy, EPOLLIN));
    EXPECT_EQ(ready().size(), 2u);
    close(copy);
    EXPECT_EQ(ready(), Fds{});
    int again = event_file(1);
    EXPECT_EQ(again, fd);
    ASSERT_OK(add(again, EPOLLIN));
    EXPECT_EQ(ready(), Fds{again});
}

TEST_F(EpollWatch, TheSameNumberTwice) {
    int fd = eventfd(1, 0), copy = dup(fd), other = eventfd(1, 0);
    ASSERT_OK(add(fd, EPOLLIN));
    ASSERT_EQ(dup2(other, fd), fd);
    ASSERT_OK(add(fd, EPOLLIN));
    EXPECT_EQ(ready(), (Fds{fd, fd}));
    close(copy);
    EXPECT_EQ(ready(), Fds{fd});
    close(fd);
    EXPECT_EQ(ready(), Fds{fd});
    close(other);
    EXPECT_EQ(ready(), Fds{});
}

TEST_F(EpollWatch, EveryKindOfFileCanGo) {
    for (int round = 0; round < 3; round++) {
        int ends[2];
        ASSERT_OK(pipe(ends));
        int inner = epoll_create1(0);
        sigset_t set;
        sigemptyset(&set);
        int fds[] = {ends[0],
                     ends[1],
                     inner,
                     eventfd(1, 0),
                     timerfd_create(CLOCK_MONOTONIC, 0),
                     signalfd(-1, &set, 0)};
        for (int fd : fds) ASSERT_OK(add(fd, EPOLLIN | EPOLLOUT));
        EXPECT_EQ(ready().size(), 2u);
        for (int fd : fds) close(fd);
        EXPECT_EQ(ready(), Fds{});
    }
}

TEST_F(EpollWatch, EveryoneHasATurn) {
    std::vector<int> fds;
    for (int i = 0; i < 5; i++) fds.push_back(event_file(1));
    for (int fd : fds) ASSERT_OK(add(fd, EPOLLIN));
    EXPECT_EQ(ready(2), (Fds{fds[0], fds[1]}));
    EXPECT_EQ(ready(2), (Fds{fds[2], fds[3]}));
    EXPECT_EQ(ready(2), (Fds{fds[4], fds[0]}));
    EXPECT_EQ(ready(), (Fds{fds[1], fds[2], fds[3], fds[4], fds[0]}));
}

TEST_F(EpollWatch, ThousandsOfDescriptors) {
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    rlimit more = limit;
    more.rlim_cur = std::min<rlim_t>(limit.rlim_max, 12000);
    ASSERT_OK(setrlimit(RLIMIT_NOFILE, &more));
    const size_t count = std::min<size_t>(10000, more.rlim_cur - 100);
    for (size_t i = 0; i < count; i++) ASSERT_OK(add(event_file(), EPOLLIN));
    std::set<int> expected;
    for (size_t i = 0; i < count; i += 97) {
        put(opened_[i]);
        expected.insert(opened_[i]);
    }
    Fds found = ready(1000);
    EXPECT_EQ(std::set<int>(found.begin(), found.end()), expected);
    for (int fd : opened_) {
        if (!expected.count(fd)) put(fd);
    }
    EXPECT_EQ(ready(16384).size(), count);
    std::set<int> all;
    for (size_t i = 0; i < count; i += 100) {
        for (int fd : ready(100)) all.insert(fd);
    }
    EXPECT_GE(all.size(), count - 100);
    for (int fd : opened_) close(fd);
    opened_.clear();
    EXPECT_EQ(ready(), Fds{});
    setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_F(EpollWatch, Nested) {
    int inner = keep(epoll_create1(0)), fd = event_file();
    ASSERT_OK(add(fd, EPOLLIN, inner));
    ASSERT_OK(add(inner, EPOLLIN));
    EXPECT_EQ(poll_now(inner), 0);
    EXPECT_EQ(ready(), Fds{});
    put(fd);
    EXPECT_EQ(poll_now(inner, POLLIN | POLLRDNORM), POLLIN | POLLRDNORM);
    EXPECT_EQ(poll_now(epoll_, POLLIN), POLLIN);
    EXPECT_EQ(ready(), Fds{inner});
    EXPECT_EQ(ready(64, inner), Fds{fd});
    drain(fd);
    EXPECT_EQ(ready(), Fds{});
    EXPECT_EQ(poll_now(epoll_, POLLIN), 0);
}

TEST_F(EpollWatch, LoopsAreRefused) {
    int other = keep(epoll_create1(0)), third = keep(epoll_create1(0));
    ASSERT_OK(add(other, EPOLLIN));
    EXPECT_ERRNO(add(epoll_, EPOLLIN, other), ELOOP);
    ASSERT_OK(add(third, EPOLLIN, other));
    EXPECT_ERRNO(add(epoll_, EPOLLIN, third), ELOOP);
    EXPECT_ERRNO(add(other, EPOLLIN, third), ELOOP);
    ASSERT_OK(epoll_ctl(epoll_, EPOLL_CTL_DEL, other, nullptr));
    EXPECT_OK(add(epoll_, EPOLLIN, third));
}

TEST_F(EpollWatch, DepthIsLimited) {
    int fd = event_file(), below = epoll_;
    ASSERT_OK(add(fd, EPOLLIN));
    int levels = 1;
    for (; levels < 20; levels++) {
        int above = keep(epoll_create1(0));
        if (add(below, EPOLLIN, above) != 0) break;
        below = above;
    }
    EXPECT_TRUE(errno == ELOOP || errno == EINVAL) << errno;
    EXPECT_GE(levels, 4);
    EXPECT_LE(levels, 6);
    put(fd);
    EXPECT_EQ(poll_now(below, POLLIN), POLLIN);
}

TEST_F(EpollWatch, ExclusiveRules) {
    int fd = event_file(), inner = keep(epoll_create1(0));
    EXPECT_ERRNO(add(inner, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    EXPECT_ERRNO(add(fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    EXPECT_ERRNO(add(fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP), EINVAL);
    ASSERT_OK(add(fd, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE | EPOLLWAKEUP));
    EXPECT_ERRNO(modify(fd, EPOLLIN), EINVAL);
    EXPECT_ERRNO(modify(fd, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    put(fd);
    EXPECT_EQ(ready(), Fds{fd});
    EXPECT_OK(epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr));
}

TEST_F(EpollWatch, FlagsForSocketsAreHarmless) {
    int fd = event_file(1);
    ASSERT_OK(add(fd, EPOLLIN | EPOLLRDHUP | EPOLLWAKEUP | EPOLLPRI));
    EXPECT_EQ(events_now(), static_cast<uint32_t>(EPOLLIN));
}

TEST_F(EpollWatch, SelfRemovalWhileReady) {
    int fd = event_file(1), other = event_file(1);
    ASSERT_OK(add(fd, EPOLLIN));
    ASSERT_OK(add(other, EPOLLIN));
    ASSERT_OK(epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr));
    EXPECT_EQ(ready(), Fds{other});
    ASSERT_OK(modify(other, EPOLLPRI));
    EXPECT_EQ(ready(), Fds{});
}

TEST_F(EpollWatch, ClosingTheEpollForgetsAll) {
    int fd = event_file(1);
    ASSERT_OK(add(fd, EPOLLIN));
    close(epoll_);
    put(fd);
    epoll_ = epoll_create1(0);
    EXPECT_EQ(ready(), Fds{});
}

TEST_F(EpollWatch, ShowsWhatItWatches) {
    int fd = event_file();
    ASSERT_OK(add(fd, EPOLLIN | EPOLLET));
    char line[80];
    snprintf(line, sizeof(line), "tfd: %8d events: %8x data: %16llx  pos:0 ino:", fd, 0x80000019,
             static_cast<unsigned long long>(data_of(fd)));
    EXPECT_NE(info_of(epoll_).find(line), std::string::npos) << info_of(epoll_);
}

}  // namespace
