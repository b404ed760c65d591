// What tests of signals share that have several threads.
#pragma once

#include <semaphore.h>
#include <signal.h>

#include <functional>
#include <initializer_list>

#include "threads_support.h"

inline std::atomic<int> handled;
inline std::atomic<pid_t> handled_by;
inline void note(int) {
    handled_by = gettid();
    handled++;
}

inline void set_handler(int signo, void (*handler)(int), int flags = 0) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    ASSERT_EQ(0, sigaction(signo, &action, nullptr));
}

inline sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signo : signals) sigaddset(&set, signo);
    return set;
}

inline void mask(int how, std::initializer_list<int> signals) {
    const sigset_t set = set_of(signals);
    ASSERT_EQ(0, pthread_sigmask(how, &set, nullptr));
}

inline bool is_pending(int signo) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, signo);
}

inline int tgkill_raw(pid_t tgid, pid_t tid, int signo) {
    return static_cast<int>(syscall(SYS_tgkill, tgid, tid, signo));
}

// A thread that runs a function, and tells its id.
class Worker {
  public:
    explicit Worker(std::function<void()> body) {
        sem_init(&started_, 0, 0);
        thread_ = std::thread([this, body] {
            tid_ = gettid();
            sem_post(&started_);
            body();
        });
        while (sem_wait(&started_) != 0) {}
    }
    ~Worker() { join(); }
    void join() {
        if (thread_.joinable()) thread_.join();
    }
    pid_t tid() const { return tid_; }
    pthread_t handle() { return thread_.native_handle(); }

  private:
    sem_t started_;
    std::thread thread_;
    std::atomic<pid_t> tid_{0};
};

class SignalsThreads : public ::testing::Test {
  protected:
    void SetUp() override {
        handled = 0;
        handled_by = 0;
    }
    void TearDown() override {
        for (int signo : {SIGUSR1, SIGUSR2, SIGALRM, SIGRTMIN + 1}) signal(signo, SIG_DFL);
        mask(SIG_SETMASK, {});
    }
};
