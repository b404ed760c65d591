// Waiting for what other threads do, for as long as a busy machine may need.
#pragma once

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

// Sleeps the whole time, whatever signals come.
inline void sleep_ns(long time) {
    timespec rest = {time / 1'000'000'000, time % 1'000'000'000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
    }
}

// Whether the predicate holds within about two minutes.
template <typename Predicate>
bool eventually(Predicate predicate) {
    for (int i = 0; i < 120'000; i++) {
        if (predicate()) return true;
        sleep_ns(1'000'000);
    }
    return false;
}

// Whether the predicate comes to hold for three looks in a row.
template <typename Predicate>
bool at_last(Predicate predicate) {
    int looks = 0;
    return eventually([&] {
        looks = predicate() ? looks + 1 : 0;
        return looks == 3;
    });
}

// Whether a thread of the process sleeps in the kernel. It may do so on its way, for a lock of
// libc's.
inline bool sleeps(pid_t tid) {
    std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/stat");
    std::string stat;
    std::getline(file, stat);
    const size_t name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat[name_end + 2] == 'S';
}

// Waits until a thread sleeps in the kernel.
inline bool asleep(pid_t tid) {
    return at_last([tid] { return sleeps(tid); });
}

// Waits until so many threads sleep in the kernel, and there are no others but the caller.
inline bool others_sleep(int count) {
    return at_last([count] {
        int sleeping = 0;
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            const pid_t tid = std::stoi(task.path().filename());
            if (tid == gettid()) continue;
            if (!sleeps(tid)) return false;
            sleeping++;
        }
        return sleeping == count;
    });
}
