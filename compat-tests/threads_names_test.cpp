// What /proc and prctl(2) tell of single threads, and what rseq(2) tells them.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "proc_support.h"
#include "threads_support.h"

namespace {

std::string task_file(pid_t tid, const std::string& name) {
    return "/proc/self/task/" + std::to_string(tid) + "/" + name;
}

std::string status_line(const std::string& path, const std::string& key) {
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
    }
    return "missing";
}

TEST(ThreadsNames, EachHasItsOwn) {
    prctl(PR_SET_NAME, "leader");
    Sleeper sleeper;
    char name[16] = {};
    ASSERT_EQ(pthread_getname_np(sleeper.handle(), name, sizeof(name)), 0);
    EXPECT_STREQ(name, "leader") << "inherited";
    ASSERT_EQ(pthread_setname_np(sleeper.handle(), "sleeper"), 0);
    EXPECT_EQ(read_file(task_file(sleeper.tid(), "comm")), "sleeper\n");
    EXPECT_EQ(read_file("/proc/self/comm"), "leader\n");
    prctl(PR_GET_NAME, name);
    EXPECT_STREQ(name, "leader");
    std::thread([] {
        prctl(PR_SET_NAME, "a name that is longer than it may be");
        EXPECT_EQ(read_file("/proc/thread-self/comm"), "a name that is \n");
        EXPECT_EQ(read_file("/proc/self/comm"), "leader\n");
    }).join();
}

TEST(ThreadsNames, TaskListsThem) {
    Sleeper first, second;
    std::set<pid_t> found;
    DIR* directory = opendir("/proc/self/task");
    ASSERT_NE(directory, nullptr);
    while (const dirent* entry = readdir(directory)) {
        if (entry->d_name[0] != '.') found.insert(std::stoi(entry->d_name));
    }
    closedir(directory);
    EXPECT_EQ(found, (std::set<pid_t>{getpid(), first.tid(), second.tid()}));
    EXPECT_EQ(access(task_file(getpid() + 1'000'000, "stat").c_str(), F_OK), -1);
    EXPECT_EQ(access(task_file(first.tid(), "task").c_str(), F_OK), -1);
}

TEST(ThreadsNames, StatusOfOne) {
    Sleeper sleeper;
    EXPECT_EQ(status_line("/proc/self/status", "Threads"), "2");
    const std::string status = task_file(sleeper.tid(), "status");
    EXPECT_EQ(status_line(status, "Pid"), std::to_string(sleeper.tid()));
    EXPECT_EQ(status_line(status, "Tgid"), std::to_string(getpid()));
    EXPECT_TRUE(eventually(
        [&] { return std::stoi(status_line(status, "voluntary_ctxt_switches")) > 3; }));
    const std::string stat = read_file(task_file(sleeper.tid(), "stat"));
    EXPECT_TRUE(stat.starts_with(std::to_string(sleeper.tid()) + " (")) << stat;
}

// glibc registers the area of each thread.
TEST(ThreadsRseq, TellsTheCpuAfterAMove) {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    for (int cpu = 0; cpu < 64; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
        unsigned told = 999;
        ASSERT_EQ(syscall(SYS_getcpu, &told, nullptr, nullptr), 0);
        EXPECT_EQ(told, static_cast<unsigned>(cpu));
        EXPECT_EQ(sched_getcpu(), cpu);
    }
    sched_setaffinity(0, sizeof(all), &all);
}

// A critical section that waits in itself until it is aborted: by a preemption at the latest.
TEST(ThreadsRseq, PreemptionAborts) {
    Sleeper keeps_the_timer_going;
    std::atomic<bool> may_end{false};
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof(all), &all);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    std::thread rival([&] {
        while (!may_end) continue;
    });
    char* thread_pointer;
    asm("mov %%fs:0, %0" : "=r"(thread_pointer));
    auto* slot = reinterpret_cast<uint64_t*>(thread_pointer + __rseq_offset + 8);
    int aborted = 0;
    asm volatile(R"(
        .pushsection .data.rseq_cs, "aw"
        .balign 32
    9:  .long 0, 0
        .quad 1f, 2f - 1f, 4f
        .popsection
        lea 9b(%%rip), %%rax
        mov %%rax, (%1)
    1:  pause
        jmp 1b
    2:  jmp 5f
        .long 0x53053053
    4:  movl $1, %0
    5:
    )"
                 : "+r"(aborted)
                 : "r"(slot)
                 : "rax", "memory", "cc");
    may_end = true;
    rival.join();
    EXPECT_EQ(aborted, 1);
    EXPECT_EQ(*slot, 0u);
    sched_setaffinity(0, sizeof(all), &all);
}

}  // namespace
