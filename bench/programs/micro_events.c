// Event descriptors: eventfd, timerfd, epoll and poll.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "micro.h"

static int put(int fd) {
    const uint64_t one = 1;
    return write(fd, &one, sizeof(one)) == sizeof(one) ? 0 : errno;
}

static int take(int fd) {
    uint64_t value;
    return read(fd, &value, sizeof(value)) == sizeof(value) ? 0 : errno;
}

int eventfd_write_read(long count) {
    const int fd = eventfd(0, EFD_NONBLOCK);
    if (fd < 0) return errno;
    int error = 0;
    for (long i = 0; i < count && !error; i++) {
        error = put(fd);
        if (!error) error = take(fd);
    }
    close(fd);
    return error;
}

// One of many descriptors becomes ready, is found and is read, as in the loop of a server. The
// descriptors are made once.
static int epoll_fd = -1, watched[1000], watched_count;

static int watch(int descriptors) {
    const struct rlimit limit = {2048, 2048};
    setrlimit(RLIMIT_NOFILE, &limit);
    if (epoll_fd >= 0) close(epoll_fd);
    while (watched_count > 0) close(watched[--watched_count]);
    epoll_fd = epoll_create1(0);
    for (; watched_count < descriptors; watched_count++) {
        const int fd = eventfd(0, EFD_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) return errno;
        watched[watched_count] = fd;
    }
    return 0;
}

static int epoll_one_of(long count, int descriptors) {
    int error = watched_count == descriptors ? 0 : watch(descriptors);
    for (long i = 0; i < count && !error; i++) {
        struct epoll_event events[64];
        error = put(watched[i * 7 % descriptors]);
        if (error) break;
        if (epoll_wait(epoll_fd, events, 64, -1) != 1) return errno;
        error = take(events[0].data.fd);
    }
    return error;
}

int epoll_one_of_10(long count) {
    return epoll_one_of(count, 10);
}

int epoll_one_of_1000(long count) {
    return epoll_one_of(count, 1000);
}

int poll_one_of_10(long count) {
    int error = watched_count == 10 ? 0 : watch(10);
    struct pollfd polls[10];
    for (int i = 0; i < 10 && !error; i++) polls[i] = (struct pollfd){watched[i], POLLIN, 0};
    for (long i = 0; i < count && !error; i++) {
        const int fd = watched[i * 7 % 10];
        error = put(fd);
        if (error) break;
        if (poll(polls, 10, -1) != 1) return errno;
        error = take(fd);
    }
    return error;
}

int timerfd_set(long count) {
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (fd < 0) return errno;
    const struct itimerspec later = {.it_value = {.tv_sec = 1000}};
    int error = 0;
    for (long i = 0; i < count && !error; i++) {
        if (timerfd_settime(fd, 0, &later, NULL)) error = errno;
    }
    close(fd);
    return error;
}

static int ping = -1, pong = -1;

static void* answer(void* count) {
    for (long i = 0; i < (long)count; i++) {
        if (take(ping) || put(pong)) break;
    }
    return NULL;
}

// A thread waits in read for what the other writes, in turn.
int eventfd_ping_pong(long count) {
    if (ping < 0) {
        ping = eventfd(0, 0);
        pong = eventfd(0, 0);
    }
    pthread_t thread;
    int error = pthread_create(&thread, NULL, answer, (void*)count);
    if (error) return error;
    for (long i = 0; i < count && !error; i++) {
        error = put(ping);
        if (!error) error = take(pong);
    }
    pthread_join(thread, NULL);
    return error;
}
