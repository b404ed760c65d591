// A process whose first thread has ended: a zombie that keeps the process's number. Another thread
// runs the tests, and its status is the process's.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "threads_support.h"

namespace {

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<std::string> stat_fields(const std::string& path) {
    std::istringstream words(read_file(path));
    std::vector<std::string> fields;
    for (std::string word; words >> word;) fields.push_back(word);
    return fields;
}

std::set<std::string> names_in(const char* path) {
    std::set<std::string> names;
    DIR* directory = opendir(path);
    if (!directory) return names;
    while (dirent* entry = readdir(directory)) names.insert(entry->d_name);
    closedir(directory);
    names.erase(".");
    names.erase("..");
    return names;
}

TEST(ThreadsLeader, IsAZombie) {
    const auto fields = stat_fields("/proc/self/stat");
    ASSERT_EQ(52u, fields.size());
    EXPECT_EQ(std::to_string(getpid()), fields[0]);
    EXPECT_EQ("Z", fields[2]);
    EXPECT_EQ("2", fields[19]) << "it still counts";
    EXPECT_EQ("0", fields[22]) << "memory";
    const std::string status = read_file("/proc/self/status");
    EXPECT_NE(std::string::npos, status.find("State:\tZ (zombie)\n"));
    EXPECT_NE(std::string::npos, status.find("Threads:\t2\n"));
    EXPECT_NE(std::string::npos, status.find("FDSize:\t0\n"));
    EXPECT_EQ(std::string::npos, status.find("VmSize"));
    EXPECT_EQ(std::string::npos, status.find("Umask"));
    EXPECT_EQ((std::set{std::to_string(getpid()), std::to_string(gettid())}),
              names_in("/proc/self/task"));
}

TEST(ThreadsLeader, HasNeitherMemoryNorFiles) {
    EXPECT_EQ("", read_file("/proc/self/cmdline"));
    EXPECT_EQ("", read_file("/proc/self/maps"));
    EXPECT_EQ("", read_file("/proc/self/environ"));
    EXPECT_EQ("0 0 0 0 0 0 0\n", read_file("/proc/self/statm"));
    EXPECT_TRUE(names_in("/proc/self/fd").empty());
    EXPECT_TRUE(names_in("/proc/self/fdinfo").empty());
    char target[100];
    for (const char* link : {"exe", "cwd", "root", "fd/0"}) {
        EXPECT_ERRNO(ENOENT, readlink(("/proc/self/" + std::string(link)).c_str(), target, 100));
    }
    EXPECT_NE("", read_file("/proc/thread-self/maps"));
    EXPECT_FALSE(names_in("/proc/thread-self/fd").empty());
    EXPECT_GT(readlink("/proc/thread-self/exe", target, sizeof(target)), 0);
}

TEST(ThreadsLeader, CanStillBeNamed) {
    EXPECT_NE(getpid(), gettid());
    EXPECT_EQ(0, kill(getpid(), 0));
    EXPECT_EQ(0, syscall(SYS_tgkill, getpid(), getpid(), 0));
    EXPECT_EQ(SCHED_OTHER, sched_getscheduler(getpid()));
    cpu_set_t set;
    EXPECT_EQ(0, sched_getaffinity(getpid(), sizeof(set), &set));
    EXPECT_EQ(0, sched_setaffinity(getpid(), sizeof(set), &set));
    errno = 0;
    EXPECT_EQ(0, getpriority(PRIO_PROCESS, static_cast<id_t>(getpid())));
    EXPECT_EQ(0, errno);
    void* head;
    size_t length;
    EXPECT_EQ(0, syscall(SYS_get_robust_list, getpid(), &head, &length));
    EXPECT_ERRNO(ECHILD, waitpid(getpid(), nullptr, WNOHANG | __WALL));
}

TEST(ThreadsLeader, SharesNothingAnyMore) {
    const auto kcmp = [](int type) { return syscall(SYS_kcmp, getpid(), gettid(), type, 0, 0); };
    if (kcmp(KCMP_SIGHAND) == -1) GTEST_SKIP() << "a kernel without kcmp";
    EXPECT_EQ(0, kcmp(KCMP_SIGHAND));
    EXPECT_GT(kcmp(KCMP_VM), 0);
    EXPECT_GT(kcmp(KCMP_FILES), 0);
    EXPECT_GT(kcmp(KCMP_FS), 0);
    EXPECT_ERRNO(EBADF, kcmp(KCMP_FILE));
}

volatile sig_atomic_t taken_by;
void note(int) { taken_by = gettid(); }

TEST(ThreadsLeader, ItsSignalsGoToOthers) {
    struct sigaction action = {};
    action.sa_handler = note;
    sigaction(SIGUSR1, &action, nullptr);
    taken_by = 0;
    EXPECT_EQ(0, kill(getpid(), SIGUSR1));
    EXPECT_EQ(gettid(), taken_by);
    taken_by = 0;
    EXPECT_EQ(0, syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1)) << "nobody takes it";
    usleep(1000);
    EXPECT_EQ(0, taken_by);
    const itimerval soon = {{0, 0}, {0, 1000}};
    sigaction(SIGALRM, &action, nullptr);
    ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, nullptr));
    EXPECT_TRUE(eventually([] { return taken_by == gettid(); }));
}

TEST(ThreadsLeader, OwnsNoLock) {
    Word word{static_cast<uint32_t>(getpid())};
    const timespec time = after_ms(CLOCK_REALTIME, 1000);
    EXPECT_ERRNO(ESRCH, futex(&word, FUTEX_LOCK_PI, 0, &time));
}

TEST(ThreadsLeader, OthersComeAndGo) {
    for (int i = 0; i < 20; i++) std::thread([] { EXPECT_NE(getpid(), gettid()); }).join();
    EXPECT_TRUE(eventually([] { return stat_fields("/proc/self/stat")[19] == "2"; }));
}

TEST(ThreadsLeader, ItsNameIsTheProcesss) {
    std::ofstream("/proc/self/comm") << "zombie";
    EXPECT_EQ("zombie\n", read_file("/proc/self/comm"));
    EXPECT_NE("zombie\n", read_file("/proc/thread-self/comm"));
}

pthread_t leader;

void* run_tests(void*) {
    pthread_join(leader, nullptr);
    while (stat_fields("/proc/self/stat")[2] != "Z") sched_yield();
    const int result = RUN_ALL_TESTS();
    fflush(stdout);
    syscall(SYS_exit, result);
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    leader = pthread_self();
    pthread_t other;
    pthread_create(&other, nullptr, run_tests, nullptr);
    syscall(SYS_exit, 5);
}
