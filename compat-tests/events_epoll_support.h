// What the events_epoll_* tests share.
#pragma once

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <vector>

#include "events_support.h"

class Epoll : public FilesTest {
  protected:
    ~Epoll() override {
        close(epoll_);
        for (int fd : opened_) close(fd);
    }
    int keep(int fd) {
        EXPECT_GE(fd, 0) << strerror(errno);
        opened_.push_back(fd);
        return fd;
    }
    int event_file(unsigned count = 0) { return keep(eventfd(count, EFD_NONBLOCK)); }
    int control(int operation, int fd, uint32_t events, int epoll = -1) {
        epoll_event event = {events, {.u64 = data_of(fd)}};
        return epoll_ctl(epoll < 0 ? epoll_ : epoll, operation, fd, &event);
    }
    int add(int fd, uint32_t events, int epoll = -1) {
        return control(EPOLL_CTL_ADD, fd, events, epoll);
    }
    int modify(int fd, uint32_t events) { return control(EPOLL_CTL_MOD, fd, events); }
    static uint64_t data_of(int fd) { return 0xabcd000000000000 | static_cast<uint64_t>(fd); }

    // What is ready now: the descriptors, in order.
    std::vector<int> ready(int maximum = 64, int epoll = -1) {
        std::vector<epoll_event> events(static_cast<size_t>(maximum));
        int count = epoll_wait(epoll < 0 ? epoll_ : epoll, events.data(), maximum, 0);
        EXPECT_GE(count, 0) << strerror(errno);
        std::vector<int> fds;
        for (int i = 0; i < count; i++) {
            fds.push_back(static_cast<int>(events[static_cast<size_t>(i)].data.u64 & 0xffff));
        }
        return fds;
    }
    // The events of the one that is ready; 0 if none is.
    uint32_t events_now() {
        epoll_event event = {};
        int count = epoll_wait(epoll_, &event, 1, 0);
        return count == 1 ? event.events : 0;
    }
    static void put(int fd) {
        uint64_t one = 1;
        EXPECT_EQ(write(fd, &one, 8), 8);
    }
    static void drain(int fd) {
        uint64_t count;
        EXPECT_EQ(read(fd, &count, 8), 8);
    }
    using Fds = std::vector<int>;

    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    std::vector<int> opened_;
};
