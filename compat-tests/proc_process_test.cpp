// /proc/self and /proc/PID: what Linux 6.1 writes there for the calling process (man 5 proc).
#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <map>

#include "proc_support.h"

namespace {

TEST(ProcExe, NamesTheProgramAndOpensIt) {
    std::string target = read_link("/proc/self/exe");
    EXPECT_NE(target.find("proc_process_test"), std::string::npos) << target;
    int fd = open("/proc/self/exe", O_RDONLY);
    ASSERT_GE(fd, 0);
    char magic[4];
    EXPECT_EQ(read(fd, magic, 4), 4);
    EXPECT_EQ(std::string(magic, 4), ELFMAG);
    close(fd);
    EXPECT_EQ(open("/proc/self/exe", O_WRONLY), -1);
    EXPECT_EQ(errno, ETXTBSY);
}

TEST(ProcLinks, CwdAndRoot) {
    char folder[4096];
    ASSERT_NE(getcwd(folder, sizeof(folder)), nullptr);
    EXPECT_EQ(read_link("/proc/self/cwd"), folder);
    EXPECT_EQ(read_link("/proc/self/root"), "/");
    EXPECT_EQ(read_link("/proc/self"), std::to_string(getpid()));
    EXPECT_EQ(read_link("/proc/thread-self"),
              std::to_string(getpid()) + "/task/" + std::to_string(gettid()));
}

TEST(ProcCmdline, HoldsTheArgumentsWithTheirNuls) {
    std::string text = read_file("/proc/self/cmdline");
    ASSERT_FALSE(text.empty());
    EXPECT_EQ(text.back(), '\0');
    EXPECT_NE(text.find("proc_process_test"), std::string::npos);
}

TEST(ProcEnviron, HoldsTheEnvironmentOfTheStart) {
    std::string text = read_file("/proc/self/environ");
    ASSERT_NE(getenv("PATH"), nullptr);
    std::string path = std::string("PATH=") + getenv("PATH") + '\0';
    EXPECT_NE(text.find(path), std::string::npos);
    setenv("SET_AFTER_THE_START", "1", 1);
    EXPECT_EQ(read_file("/proc/self/environ"), text);
}

TEST(ProcComm, CanBeReadAndWritten) {
    EXPECT_EQ(read_file("/proc/self/comm"), "proc_process_te\n");
    int fd = open("/proc/self/comm", O_RDWR);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(write(fd, "another-name-that-is-long", 25), 25);
    close(fd);
    EXPECT_EQ(read_file("/proc/self/comm"), "another-name-th\n");
}

TEST(ProcMaps, HasALineForEachRegionInOrder) {
    size_t size = 3 * 4096;
    char* middle = static_cast<char*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(middle, MAP_FAILED);
    ASSERT_EQ(mprotect(middle + 4096, 4096, PROT_READ), 0);
    uint64_t last = 0;
    bool stack = false, heap = false, vdso = false, program = false, protected_page = false;
    free(malloc(100));
    for (const std::string& line : lines_of("/proc/self/maps")) {
        uint64_t start, end, offset, inode;
        unsigned major, minor;
        char flags[5];
        int path = 0;
        ASSERT_EQ(
            sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 "%n",
                   &start, &end, flags, &offset, &major, &minor, &inode, &path),
            7)
            << line;
        EXPECT_GE(start, last) << line;
        EXPECT_LT(start, end);
        last = end;
        EXPECT_TRUE(strchr("r-", flags[0]) && strchr("w-", flags[1]) && strchr("x-", flags[2]) &&
                    strchr("ps", flags[3]))
            << line;
        std::string name = line.size() > 73 ? line.substr(73) : "";
        // The name starts at column 74, wherever the numbers before it end.
        if (!name.empty()) {
            EXPECT_EQ(line[72], ' ') << line;
        }
        stack |= name == "[stack]";
        heap |= name == "[heap]";
        vdso |= name == "[vdso]";
        program |= name.find("proc_process_test") != std::string::npos && inode != 0;
        if (start == reinterpret_cast<uint64_t>(middle) + 4096) {
            protected_page = end == start + 4096 && std::string(flags) == "r--p";
        }
    }
    EXPECT_TRUE(stack && heap && vdso && program && protected_page);
    munmap(middle, size);
}

TEST(ProcStatus, HasLinuxsFieldsAndOurNumbers) {
    std::map<std::string, std::string> fields;
    for (const std::string& line : lines_of("/proc/self/status")) {
        size_t colon = line.find(":\t");
        ASSERT_NE(colon, std::string::npos) << line;
        fields[line.substr(0, colon)] = line.substr(colon + 2);
    }
    for (const char* name : {"Name",
                             "Umask",
                             "State",
                             "Tgid",
                             "Ngid",
                             "Pid",
                             "PPid",
                             "TracerPid",
                             "Uid",
                             "Gid",
                             "FDSize",
                             "Groups",
                             "VmPeak",
                             "VmSize",
                             "VmLck",
                             "VmPin",
                             "VmHWM",
                             "VmRSS",
                             "VmData",
                             "VmStk",
                             "VmExe",
                             "VmLib",
                             "VmPTE",
                             "VmSwap",
                             "Threads",
                             "SigQ",
                             "SigPnd",
                             "ShdPnd",
                             "SigBlk",
                             "SigIgn",
                             "SigCgt",
                             "CapInh",
                             "CapPrm",
                             "CapEff",
                             "CapBnd",
                             "CapAmb",
                             "NoNewPrivs",
                             "Seccomp",
                             "Cpus_allowed",
                             "Cpus_allowed_list",
                             "Mems_allowed_list",
                             "voluntary_ctxt_switches",
                             "nonvoluntary_ctxt_switches"}) {
        EXPECT_EQ(fields.count(name), 1u) << name;
    }
    EXPECT_EQ(fields["Pid"], std::to_string(getpid()));
    EXPECT_EQ(fields["PPid"], std::to_string(getppid()));
    EXPECT_EQ(fields["State"], "R (running)");
    EXPECT_EQ(fields["Threads"], "1");
    std::string uid = std::to_string(getuid());
    EXPECT_EQ(fields["Uid"], uid + "\t" + uid + "\t" + uid + "\t" + uid);
    EXPECT_EQ(fields["SigBlk"].size(), 16u);
    EXPECT_EQ(fields["VmRSS"].substr(fields["VmRSS"].size() - 3), " kB");
    EXPECT_GT(atol(fields["VmSize"].c_str()), atol(fields["VmRSS"].c_str()));
}

TEST(ProcStat, HasFiftyTwoFields) {
    std::string text = read_file("/proc/self/stat");
    ASSERT_EQ(text.back(), '\n');
    size_t close = text.rfind(')');
    EXPECT_EQ(text.substr(0, text.find(' ')), std::to_string(getpid()));
    std::vector<std::string> fields = words_of(text.substr(close + 2));
    ASSERT_EQ(fields.size(), 50u);
    EXPECT_EQ(fields[0], "R");
    EXPECT_EQ(fields[1], std::to_string(getppid()));
    EXPECT_EQ(fields[2], std::to_string(getpgrp()));
    EXPECT_EQ(fields[3], std::to_string(getsid(0)));
    EXPECT_EQ(fields[17], "1");              // threads
    EXPECT_GT(std::stoull(fields[20]), 0u);  // vsize
    uint64_t stack = std::stoull(fields[25]);
    EXPECT_LT(reinterpret_cast<uint64_t>(&text), stack);
    EXPECT_GT(reinterpret_cast<uint64_t>(&text) + (8 << 20), stack);
}

TEST(ProcStatm, HasSevenFieldsInPages) {
    std::vector<std::string> fields = words_of(read_file("/proc/self/statm"));
    ASSERT_EQ(fields.size(), 7u);
    EXPECT_GE(std::stoull(fields[0]), std::stoull(fields[1]));
    EXPECT_GT(std::stoull(fields[1]), 0u);
    EXPECT_EQ(fields[4], "0");
    EXPECT_EQ(fields[6], "0");
}

TEST(ProcFd, ListsDescriptorsAndNamesThem) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    int file = open("/proc/self/exe", O_RDONLY);
    std::string number = std::to_string(ends[0]);
    std::string target = read_link("/proc/self/fd/" + number);
    struct stat info;
    ASSERT_EQ(fstat(ends[0], &info), 0);
    EXPECT_EQ(target, "pipe:[" + std::to_string(info.st_ino) + "]");
    EXPECT_EQ(read_link("/proc/self/fd/" + std::to_string(file)), read_link("/proc/self/exe"));
    std::vector<std::string> names = names_in("/proc/self/fd");
    for (int fd : {ends[0], ends[1], file}) {
        EXPECT_NE(std::find(names.begin(), names.end(), std::to_string(fd)), names.end()) << fd;
    }
    struct stat link;
    ASSERT_EQ(lstat(("/proc/self/fd/" + number).c_str(), &link), 0);
    EXPECT_EQ(link.st_mode & 07777, 0500u);  // the reading end
    // Opening one makes a file description of its own.
    ASSERT_EQ(write(ends[1], "x", 1), 1);
    int again = open(("/proc/self/fd/" + number).c_str(), O_RDONLY | O_NONBLOCK);
    ASSERT_GE(again, 0);
    char byte;
    EXPECT_EQ(read(again, &byte, 1), 1);
    for (int fd : {ends[0], ends[1], file, again}) close(fd);
    EXPECT_EQ(read_link("/proc/self/fd/" + number), "");
    EXPECT_EQ(errno, ENOENT);
}

TEST(ProcFdinfo, TellsPositionAndFlags) {
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(lseek(file, 123, SEEK_SET), 123);
    std::vector<std::string> lines = lines_of("/proc/self/fdinfo/" + std::to_string(file));
    ASSERT_GE(lines.size(), 3u);
    EXPECT_EQ(lines[0], "pos:\t123");
    EXPECT_EQ(lines[1], "flags:\t02100000");
    close(file);
}

TEST(ProcAuxv, IsTheVectorOfTheStart) {
    std::string text = read_file("/proc/self/auxv");
    ASSERT_EQ(text.size() % 16, 0u);
    bool ended = false;
    for (size_t i = 0; i < text.size() && !ended; i += 16) {
        Elf64_auxv_t entry;
        memcpy(&entry, text.data() + i, sizeof(entry));
        ended = entry.a_type == AT_NULL;
        // glibc keeps something else for AT_HWCAP.
        if (!ended && entry.a_type != AT_HWCAP) {
            EXPECT_EQ(entry.a_un.a_val, getauxval(entry.a_type)) << entry.a_type;
        }
    }
    EXPECT_TRUE(ended);
}

TEST(ProcLimits, IsATableOfSixteenLimits) {
    std::vector<std::string> lines = lines_of("/proc/self/limits");
    ASSERT_EQ(lines.size(), 17u);
    EXPECT_EQ(lines[0],
              "Limit                     Soft Limit           Hard Limit           Units     ");
    rlimit limit;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (const std::string& line : lines) {
        if (line.rfind("Max open files", 0) != 0) continue;
        EXPECT_EQ(std::stoull(line.substr(26)), limit.rlim_cur);
        EXPECT_EQ(line.substr(68), "files     ");
    }
}

TEST(ProcMounts, ListsTheTree) {
    std::vector<std::string> lines = lines_of("/proc/self/mounts");
    std::map<std::string, std::string> types;
    for (const std::string& line : lines) {
        std::vector<std::string> fields = words_of(line);
        ASSERT_EQ(fields.size(), 6u) << line;
        EXPECT_TRUE(fields[3].rfind("rw", 0) == 0 || fields[3].rfind("ro", 0) == 0) << line;
        EXPECT_EQ(fields[4] + fields[5], "00");
        types[fields[1]] = fields[2];
    }
    EXPECT_EQ(types.count("/"), 1u);
    EXPECT_EQ(types["/proc"], "proc");
    EXPECT_EQ(read_file("/proc/mounts"), read_file("/proc/self/mounts"));
    for (const std::string& line : lines_of("/proc/self/mountinfo")) {
        std::vector<std::string> fields = words_of(line);
        EXPECT_GE(fields.size(), 10u) << line;
        EXPECT_NE(line.find(" - "), std::string::npos) << line;
    }
}

TEST(ProcFiles, CannotBeChanged) {
    EXPECT_EQ(open("/proc/self/stat", O_WRONLY | O_TRUNC) < 0 || getuid() == 0, true);
    EXPECT_EQ(mkdir("/proc/folder", 0755), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(unlink("/proc/version"), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(open("/proc/no-such-file", O_RDONLY), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(open("/proc/999999/stat", O_RDONLY), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST(ProcFiles, ReadInPiecesLikeInOne) {
    for (const char* path : {"/proc/self/maps", "/proc/self/status", "/proc/cpuinfo"}) {
        int fd = open(path, O_RDONLY);
        ASSERT_GE(fd, 0);
        std::string pieces;
        char piece[7];
        ssize_t size;
        while ((size = read(fd, piece, sizeof(piece))) > 0) pieces.append(piece, size);
        EXPECT_EQ(size, 0);
        EXPECT_EQ(lseek(fd, 3, SEEK_SET), 3);
        ASSERT_EQ(read(fd, piece, 4), 4);
        EXPECT_EQ(std::string(piece, 4), pieces.substr(3, 4)) << path;
        EXPECT_EQ(pieces.back(), '\n');
        close(fd);
    }
}

}  // namespace
