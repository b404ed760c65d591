// The files of /proc and /sys that tell of the whole machine (man 5 proc).
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <map>
#include <regex>
#include <set>

#include "proc_support.h"

namespace {

TEST(ProcCpuinfo, HasABlockForEachProcessor) {
    std::vector<std::string> lines = lines_of("/proc/cpuinfo");
    int processors = 0;
    std::map<std::string, std::string> fields;
    for (const std::string& line : lines) {
        if (line.empty()) continue;
        size_t colon = line.find("\t:");
        if (colon == std::string::npos) colon = line.find(':');
        ASSERT_NE(colon, std::string::npos) << line;
        std::string name = line.substr(0, line.find_first_of("\t:"));
        fields[name] = line.substr(line.find(':') + 1);
        processors += name == "processor";
    }
    EXPECT_EQ(processors, sysconf(_SC_NPROCESSORS_ONLN));
    for (const char* name :
         {"processor",    "vendor_id",       "cpu family",   "model",   "model name", "stepping",
          "cpu MHz",      "physical id",     "siblings",     "core id", "cpu cores",  "apicid",
          "fpu",          "cpuid level",     "wp",           "flags",   "bugs",       "bogomips",
          "clflush size", "cache_alignment", "address sizes"}) {
        EXPECT_EQ(fields.count(name), 1u) << name;
    }
    std::vector<std::string> flags = words_of(fields["flags"]);
    for (const char* flag : {"fpu", "tsc", "cx8", "sse2", "syscall", "lm", "nx"}) {
        EXPECT_NE(std::find(flags.begin(), flags.end(), flag), flags.end()) << flag;
    }
}

TEST(ProcMeminfo, HasLinuxsFieldsInTheirOrder) {
    std::vector<std::string> names;
    std::map<std::string, uint64_t> kib;
    std::regex form("([A-Za-z_()0-9]+): +([0-9]+)( kB)?");
    for (const std::string& line : lines_of("/proc/meminfo")) {
        std::smatch match;
        ASSERT_TRUE(std::regex_match(line, match, form)) << line;
        names.push_back(match[1]);
        kib[match[1]] = std::stoull(match[2]);
    }
    const char* expected[] = {"MemTotal", "MemFree",    "MemAvailable", "Buffers",
                              "Cached",   "SwapCached", "Active",       "Inactive"};
    for (size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(names.at(i), expected[i]);
    for (const char* name :
         {"SwapTotal", "SwapFree", "Dirty", "Writeback", "AnonPages", "Mapped", "Shmem", "Slab",
          "CommitLimit", "Committed_AS", "VmallocTotal", "HugePages_Total", "Hugepagesize"}) {
        EXPECT_EQ(kib.count(name), 1u) << name;
    }
    struct sysinfo info;
    ASSERT_EQ(sysinfo(&info), 0);
    EXPECT_EQ(kib["MemTotal"], info.totalram * info.mem_unit / 1024);
    EXPECT_GT(kib["MemTotal"], kib["MemFree"]);
    EXPECT_GE(kib["MemTotal"], kib["MemAvailable"]);
    EXPECT_EQ(kib["Hugepagesize"], 2048u);
}

TEST(ProcVmstat, CountsPages) {
    std::set<std::string> names;
    for (const std::string& line : lines_of("/proc/vmstat")) {
        char name[64];
        unsigned long value;
        ASSERT_EQ(2, sscanf(line.c_str(), "%63s %lu", name, &value)) << line;
        EXPECT_TRUE(names.insert(name).second) << "twice: " << name;
        if (strcmp(name, "nr_free_pages") == 0) {
            EXPECT_GT(value, 0u);
        }
    }
    for (const char* name : {"nr_free_pages", "nr_dirty", "pgpgin", "pgpgout", "pswpin", "pswpout"})
        EXPECT_TRUE(names.contains(name)) << name;
}

TEST(ProcUptime, IsTheBootClockInHundredths) {
    std::smatch match;
    std::string text = read_file("/proc/uptime");
    ASSERT_TRUE(
        std::regex_match(text, match, std::regex("([0-9]+\\.[0-9]{2}) [0-9]+\\.[0-9]{2}\n")))
        << text;
    timespec now;
    ASSERT_EQ(clock_gettime(CLOCK_BOOTTIME, &now), 0);
    EXPECT_NEAR(std::stod(match[1]), now.tv_sec + now.tv_nsec / 1e9, 2);
}

TEST(ProcStat, CountsCpuTimeOfAllAndOfEach) {
    std::vector<std::string> lines = lines_of("/proc/stat");
    std::regex cpu("cpu[0-9]* ( ?[0-9]+){10}");
    int processors = -1;  // the line of all
    std::map<std::string, std::string> fields;
    for (const std::string& line : lines) {
        if (line.rfind("cpu", 0) == 0) {
            EXPECT_TRUE(std::regex_match(line, cpu)) << line;
            processors++;
        }
        fields[words_of(line).at(0)] = line;
    }
    EXPECT_EQ(lines[0].substr(0, 5), "cpu  ");
    EXPECT_EQ(processors, sysconf(_SC_NPROCESSORS_ONLN));
    for (const char* name :
         {"intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked", "softirq"}) {
        EXPECT_EQ(fields.count(name), 1u) << name;
    }
    timespec wall, up;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &up);
    EXPECT_NEAR(std::stod(words_of(fields["btime"]).at(1)), double(wall.tv_sec - up.tv_sec), 3);
}

TEST(ProcVersion, IsWhatUnameSays) {
    utsname name;
    ASSERT_EQ(uname(&name), 0);
    std::string text = read_file("/proc/version");
    std::string start = std::string("Linux version ") + name.release + " (";
    EXPECT_EQ(text.substr(0, start.size()), start);
    EXPECT_EQ(text.substr(text.size() - strlen(name.version) - 1),
              std::string(name.version) + "\n");
}

TEST(ProcLoadavg, HasThreeAveragesAndTwoCounts) {
    std::string text = read_file("/proc/loadavg");
    EXPECT_TRUE(std::regex_match(
        text, std::regex("([0-9]+\\.[0-9]{2} ){3}[1-9][0-9]*/[1-9][0-9]* [1-9][0-9]*\n")))
        << text;
}

TEST(ProcSysKernel, TellsTheNamesAndLimits) {
    utsname name;
    ASSERT_EQ(uname(&name), 0);
    const std::string folder = "/proc/sys/kernel/";
    EXPECT_EQ(read_file(folder + "ostype"), "Linux\n");
    EXPECT_EQ(read_file(folder + "osrelease"), std::string(name.release) + "\n");
    EXPECT_EQ(read_file(folder + "version"), std::string(name.version) + "\n");
    EXPECT_EQ(read_file(folder + "hostname"), std::string(name.nodename) + "\n");
    EXPECT_EQ(read_file(folder + "ngroups_max"), "65536\n");
    std::regex number("[0-9]+\n"), uuid("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n");
    for (const char* file : {"pid_max", "threads-max", "cap_last_cap", "randomize_va_space",
                             "random/entropy_avail", "random/poolsize"}) {
        std::string text = read_file(folder + file);
        EXPECT_TRUE(std::regex_match(text, number)) << file << ": " << text;
    }
    std::string boot = read_file(folder + "random/boot_id");
    EXPECT_TRUE(std::regex_match(boot, uuid)) << boot;
    EXPECT_EQ(read_file(folder + "random/boot_id"), boot);
    std::string fresh = read_file(folder + "random/uuid");
    EXPECT_TRUE(std::regex_match(fresh, uuid)) << fresh;
    EXPECT_NE(read_file(folder + "random/uuid"), fresh);
}

TEST(ProcSysVmAndFs, AreNumbers) {
    std::regex number("[0-9]+\n");
    for (const char* file : {"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count",
                             "/proc/sys/vm/mmap_min_addr", "/proc/sys/fs/file-max",
                             "/proc/sys/fs/nr_open", "/proc/sys/fs/pipe-max-size"}) {
        std::string text = read_file(file);
        EXPECT_TRUE(std::regex_match(text, number)) << file << ": " << text;
    }
}

TEST(ProcSysVm, DropsCaches) {
    const char* path = "/proc/sys/vm/drop_caches";
    EXPECT_EQ(open(path, O_RDONLY), -1);
    EXPECT_EQ(errno, EACCES);
    int fd = open(path, O_WRONLY);
    if (fd < 0) GTEST_SKIP() << "not root";
    for (std::string bad : {"0", "-1", "x", "1x", "\n"}) {
        EXPECT_EQ(write(fd, bad.data(), bad.size()), -1) << bad;
        EXPECT_EQ(errno, EINVAL) << bad;
    }
    // Files that have a user, and those that have none but a name, live on.
    char name[] = "/tmp/drop_caches_XXXXXX";
    int used = mkstemp(name);
    ASSERT_GE(used, 0);
    ASSERT_EQ(write(used, "text", 4), 4);
    const std::string other = std::string(name) + ".other";
    int unused = open(other.c_str(), O_WRONLY | O_CREAT, 0600);
    ASSERT_EQ(write(unused, "other", 5), 5);
    close(unused);
    EXPECT_EQ(write(fd, "2\n", 2), 2);
    EXPECT_EQ(read_file(name), "text");
    EXPECT_EQ(read_file(other), "other");
    EXPECT_EQ(unlink(name), 0);
    EXPECT_EQ(unlink(other.c_str()), 0);
    close(used);
    close(fd);
}

TEST(ProcFilesystems, NamesTheKinds) {
    std::vector<std::string> lines = lines_of("/proc/filesystems");
    for (const char* line : {"nodev\tproc", "nodev\tsysfs", "nodev\ttmpfs"}) {
        EXPECT_NE(std::find(lines.begin(), lines.end(), line), lines.end()) << line;
    }
}

TEST(SysCpu, ListsTheProcessors) {
    const std::string folder = "/sys/devices/system/cpu/";
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    std::string all = online == 1 ? "0\n" : "0-" + std::to_string(online - 1) + "\n";
    EXPECT_EQ(read_file(folder + "online"), all);
    EXPECT_EQ(read_file(folder + "possible").substr(0, 1), "0");
    std::vector<std::string> names = names_in(folder);
    for (long i = 0; i < online; ++i) {
        std::string name = "cpu" + std::to_string(i);
        EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
    }
}

TEST(SysTransparentHugePages, NamesTheChosenMode) {
    std::string text = read_file("/sys/kernel/mm/transparent_hugepage/enabled");
    EXPECT_TRUE(
        std::regex_match(text, std::regex("\\[?always\\]? \\[?madvise\\]? \\[?never\\]?\n")))
        << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '['), 1);
    EXPECT_EQ(read_file("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"), "2097152\n");
}

}  // namespace
