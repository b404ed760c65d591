// inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include <map>
#include <vector>

#include "events_support.h"

namespace {

std::string name_of_bits(uint32_t bits) {
    static const std::pair<uint32_t, const char*> kNames[] = {
        {IN_ACCESS, "ACCESS"},           {IN_MODIFY, "MODIFY"},
        {IN_ATTRIB, "ATTRIB"},           {IN_CLOSE_WRITE, "CLOSE_WRITE"},
        {IN_CLOSE_NOWRITE, "CLOSE"},     {IN_OPEN, "OPEN"},
        {IN_MOVED_FROM, "MOVED_FROM"},   {IN_MOVED_TO, "MOVED_TO"},
        {IN_CREATE, "CREATE"},           {IN_DELETE, "DELETE"},
        {IN_DELETE_SELF, "DELETE_SELF"}, {IN_MOVE_SELF, "MOVE_SELF"},
        {IN_Q_OVERFLOW, "OVERFLOW"},     {IN_IGNORED, "IGNORED"},
    };
    std::string text;
    for (const auto& [bit, name] : kNames) {
        if (bits & bit) text += text.empty() ? name : std::string("|") + name;
    }
    return bits & IN_ISDIR ? text + "/" : text;
}

class Inotify : public FilesTest {
  protected:
    ~Inotify() override { close(fd_); }

    int watch(const char* path, uint32_t mask = IN_ALL_EVENTS, const char* label = nullptr) {
        int descriptor = inotify_add_watch(fd_, path, mask);
        EXPECT_GT(descriptor, 0) << path << ": " << strerror(errno);
        labels_[descriptor] = label ? label : path;
        return descriptor;
    }
    // What has happened: "WATCH: EVENT NAME", one a line. Cookies of moves must pair.
    std::string events() {
        alignas(inotify_event) char buffer[65536];
        std::string text;
        uint32_t cookie = 0;
        for (;;) {
            ssize_t size = read(fd_, buffer, sizeof(buffer));
            if (size < 0) {
                EXPECT_EQ(errno, EAGAIN);
                return text;
            }
            for (char* next = buffer; next < buffer + size;) {
                auto* event = reinterpret_cast<inotify_event*>(next);
                next += sizeof(*event) + event->len;
                EXPECT_EQ(event->len % sizeof(inotify_event), 0u);
                text += labels_[event->wd] + ": " + name_of_bits(event->mask);
                if (event->len != 0) text += std::string(" ") + event->name;
                text += "\n";
                if (event->mask & IN_MOVED_FROM) cookie = event->cookie;
                const bool is_move = event->mask & IN_MOVE;
                EXPECT_EQ(event->cookie, is_move ? cookie : 0);
            }
        }
    }
    void make(const char* name, const std::string& text = "some text") { write_file(name, text); }

    int fd_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    std::map<int, std::string> labels_ = {{-1, "queue"}};
};

TEST_F(Inotify, Create) {
    EXPECT_EQ(fcntl(fd_, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd_, F_GETFL), O_RDONLY | O_NONBLOCK);
    EXPECT_EQ(name_of(fd_), "anon_inode:inotify");
    int old = inotify_init();
    EXPECT_EQ(fcntl(old, F_GETFL), O_RDONLY);
    EXPECT_EQ(fcntl(old, F_GETFD), 0);
    EXPECT_ERRNO(write(old, "x", 1), EBADF);
    close(old);
    EXPECT_ERRNO(inotify_init1(1), EINVAL);
}

TEST_F(Inotify, AddErrors) {
    EXPECT_ERRNO(inotify_add_watch(fd_, "missing", IN_OPEN), ENOENT);
    EXPECT_ERRNO(inotify_add_watch(fd_, ".", 0), EINVAL);
    EXPECT_ERRNO(inotify_add_watch(fd_, ".", 0x00800000), EINVAL);
    EXPECT_ERRNO(inotify_add_watch(-1, ".", IN_OPEN), EBADF);
    int other = eventfd(0, 0);
    EXPECT_ERRNO(inotify_add_watch(other, ".", IN_OPEN), EINVAL);
    EXPECT_ERRNO(inotify_rm_watch(other, 1), EINVAL);
    close(other);
    EXPECT_ERRNO(inotify_add_watch(fd_, bad_pointer(), IN_OPEN), EFAULT);
    EXPECT_ERRNO(inotify_add_watch(fd_, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
    make("file");
    EXPECT_ERRNO(inotify_add_watch(fd_, "file", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    ASSERT_OK(symlink("file", "link"));
    ASSERT_OK(symlink("nowhere", "dangling"));
    EXPECT_ERRNO(inotify_add_watch(fd_, "dangling", IN_OPEN), ENOENT);
    EXPECT_GT(inotify_add_watch(fd_, "dangling", IN_OPEN | IN_DONT_FOLLOW), 0);
    EXPECT_EQ(inotify_add_watch(fd_, "file", IN_OPEN), inotify_add_watch(fd_, "link", IN_OPEN));
    EXPECT_ERRNO(inotify_add_watch(fd_, "file", IN_OPEN | IN_MASK_CREATE), EEXIST);
    EXPECT_ERRNO(inotify_rm_watch(fd_, 100), EINVAL);
    EXPECT_ERRNO(inotify_rm_watch(-1, 1), EBADF);
}

TEST_F(Inotify, AFileAndItsDirectory) {
    make("file");
    watch(".", IN_ALL_EVENTS, "dir");
    watch("file");
    int file = open("file", O_RDWR);
    char byte;
    EXPECT_EQ(read(file, &byte, 1), 1);
    EXPECT_EQ(write(file, "x", 1), 1);
    EXPECT_EQ(pread(file, &byte, 1, 1000), 0);
    close(file);
    EXPECT_EQ(events(),
              "dir: OPEN file\nfile: OPEN\ndir: ACCESS file\nfile: ACCESS\n"
              "dir: MODIFY file\nfile: MODIFY\ndir: CLOSE_WRITE file\nfile: CLOSE_WRITE\n");
    file = open("file", O_RDONLY);
    int copy = dup(file);
    close(file);
    EXPECT_EQ(events(), "dir: OPEN file\nfile: OPEN\n");
    close(copy);
    EXPECT_EQ(events(), "dir: CLOSE file\nfile: CLOSE\n");
}

TEST_F(Inotify, NamesComeAndGo) {
    watch(".", IN_ALL_EVENTS, "dir");
    make("new");
    EXPECT_EQ(events(), "dir: CREATE new\ndir: OPEN new\ndir: MODIFY new\ndir: CLOSE_WRITE new\n");
    ASSERT_OK(mkdir("sub", 0755));
    ASSERT_OK(symlink("new", "link"));
    ASSERT_OK(mkfifo("fifo", 0644));
    ASSERT_OK(link("new", "second"));
    EXPECT_EQ(events(),
              "dir: CREATE/ sub\ndir: CREATE link\ndir: CREATE fifo\ndir: CREATE second\n");
    ASSERT_OK(unlink("second"));
    ASSERT_OK(rmdir("sub"));
    ASSERT_OK(unlink("link"));
    EXPECT_EQ(events(), "dir: DELETE second\ndir: DELETE/ sub\ndir: DELETE link\n");
    close(open("new", O_WRONLY | O_TRUNC));
    EXPECT_EQ(events(), "dir: OPEN new\ndir: MODIFY new\ndir: CLOSE_WRITE new\n");
    close(open("new", O_WRONLY | O_CREAT, 0644));
    EXPECT_EQ(events(), "dir: OPEN new\ndir: CLOSE_WRITE new\n");
}

TEST_F(Inotify, Attributes) {
    make("file");
    watch(".", IN_ALL_EVENTS, "dir");
    watch("file");
    ASSERT_OK(chmod("file", 0600));
    EXPECT_EQ(events(), "dir: ATTRIB file\nfile: ATTRIB\n");
    ASSERT_OK(chown("file", getuid(), getgid()));
    EXPECT_EQ(events(), "dir: ATTRIB file\nfile: ATTRIB\n");
    ASSERT_OK(utimensat(AT_FDCWD, "file", nullptr, 0));
    EXPECT_EQ(events(), "dir: ATTRIB file\nfile: ATTRIB\n");
    timespec times[2] = {{1, 0}, {0, UTIME_OMIT}};
    ASSERT_OK(utimensat(AT_FDCWD, "file", times, 0));
    EXPECT_EQ(events(), "dir: ACCESS file\nfile: ACCESS\n");
    times[0].tv_nsec = UTIME_OMIT;
    times[1] = {1, 0};
    ASSERT_OK(utimensat(AT_FDCWD, "file", times, 0));
    EXPECT_EQ(events(), "dir: MODIFY file\nfile: MODIFY\n");
    ASSERT_OK(truncate("file", 3));
    EXPECT_EQ(events(), "dir: MODIFY file\nfile: MODIFY\n");
    ASSERT_OK(link("file", "second"));
    EXPECT_EQ(events(), "file: ATTRIB\ndir: CREATE second\n");
    ASSERT_OK(unlink("second"));
    EXPECT_EQ(events(), "file: ATTRIB\ndir: DELETE second\n");
    if (setxattr("file", "user.test", "x", 1, 0) == 0) {
        EXPECT_EQ(events(), "dir: ATTRIB file\nfile: ATTRIB\n");
        ASSERT_OK(removexattr("file", "user.test"));
        EXPECT_EQ(events(), "dir: ATTRIB file\nfile: ATTRIB\n");
    }
    int file = open("file", O_WRONLY);
    events();
    ASSERT_OK(ftruncate(file, 100));
    EXPECT_EQ(events(), "dir: MODIFY file\nfile: MODIFY\n");
    ASSERT_OK(posix_fallocate(file, 0, 8192));
    EXPECT_EQ(events(), "dir: MODIFY file\nfile: MODIFY\n");
    close(file);
}

TEST_F(Inotify, Moves) {
    ASSERT_OK(mkdir("a", 0755));
    ASSERT_OK(mkdir("b", 0755));
    make("a/file");
    make("b/victim");
    watch("a");
    watch("b");
    watch("a/file", IN_ALL_EVENTS, "file");
    watch("b/victim", IN_ALL_EVENTS, "victim");
    ASSERT_OK(rename("a/file", "a/other"));
    EXPECT_EQ(events(), "a: MOVED_FROM file\na: MOVED_TO other\nfile: MOVE_SELF\n");
    ASSERT_OK(rename("a/other", "b/victim"));
    EXPECT_EQ(events(),
              "a: MOVED_FROM other\nb: MOVED_TO victim\nvictim: ATTRIB\nfile: MOVE_SELF\n"
              "victim: DELETE_SELF\nvictim: IGNORED\n");
    make("a/file");
    events();
    ASSERT_OK(renameat2(AT_FDCWD, "a/file", AT_FDCWD, "b/victim", RENAME_EXCHANGE));
    EXPECT_EQ(events(),
              "a: MOVED_FROM file\nb: MOVED_TO victim\n"
              "b: MOVED_FROM victim\na: MOVED_TO file\nfile: MOVE_SELF\n");
    // The watched file has come back as a/file.
    close(open("a/file", O_RDONLY));
    EXPECT_EQ(events(), "a: OPEN file\nfile: OPEN\na: CLOSE file\nfile: CLOSE\n");
}

TEST_F(Inotify, MovesOfDirectories) {
    ASSERT_OK(mkdir("a", 0755));
    ASSERT_OK(mkdir("a/sub", 0755));
    watch("a");
    watch("a/sub", IN_ALL_EVENTS, "sub");
    ASSERT_OK(rename("a/sub", "a/new"));
    EXPECT_EQ(events(), "a: MOVED_FROM/ sub\na: MOVED_TO/ new\nsub: MOVE_SELF\n");
    make("a/new/file");
    EXPECT_EQ(events(),
              "sub: CREATE file\nsub: OPEN file\nsub: MODIFY file\nsub: CLOSE_WRITE file\n");
}

TEST_F(Inotify, DeletedFiles) {
    make("file");
    watch(".", IN_ALL_EVENTS, "dir");
    watch("file");
    ASSERT_OK(unlink("file"));
    EXPECT_EQ(events(), "file: ATTRIB\nfile: DELETE_SELF\nfile: IGNORED\ndir: DELETE file\n");
    make("file");
    events();
    int descriptor = watch("file");
    int file = open("file", O_WRONLY);
    events();
    ASSERT_OK(unlink("file"));
    EXPECT_EQ(events(), "file: ATTRIB\ndir: DELETE file\n") << "it is still open";
    EXPECT_EQ(write(file, "x", 1), 1);
    EXPECT_EQ(events(), "dir: MODIFY file\nfile: MODIFY\n");
    close(file);
    EXPECT_EQ(events(),
              "dir: CLOSE_WRITE file\nfile: CLOSE_WRITE\nfile: DELETE_SELF\nfile: IGNORED\n");
    EXPECT_ERRNO(inotify_rm_watch(fd_, descriptor), EINVAL);
}

TEST_F(Inotify, DeletedDirectories) {
    ASSERT_OK(mkdir("sub", 0755));
    watch(".", IN_ALL_EVENTS, "dir");
    watch("sub");
    ASSERT_OK(rmdir("sub"));
    EXPECT_EQ(events(), "sub: DELETE_SELF\nsub: IGNORED\ndir: DELETE/ sub\n");
}

TEST_F(Inotify, Directories) {
    ASSERT_OK(mkdir("sub", 0755));
    make("sub/file");
    watch(".", IN_ALL_EVENTS, "dir");
    watch("sub");
    int directory = open("sub", O_RDONLY);
    char entries[4096];
    EXPECT_GT(syscall(SYS_getdents64, directory, entries, sizeof(entries)), 0);
    close(directory);
    EXPECT_EQ(events(),
              "dir: OPEN/ sub\nsub: OPEN/\ndir: ACCESS/ sub\nsub: ACCESS/\n"
              "dir: CLOSE/ sub\nsub: CLOSE/\n");
}

TEST_F(Inotify, IdenticalEventsAreOne) {
    make("file");
    watch("file", IN_MODIFY | IN_ACCESS);
    int file = open("file", O_RDWR);
    for (int i = 0; i < 5; i++) EXPECT_EQ(write(file, "x", 1), 1);
    char byte;
    EXPECT_EQ(read(file, &byte, 1), 1);
    for (int i = 0; i < 5; i++) EXPECT_EQ(write(file, "x", 1), 1);
    EXPECT_EQ(events(), "file: MODIFY\nfile: ACCESS\nfile: MODIFY\n");
    close(file);
}

TEST_F(Inotify, TheMaskCanChange) {
    make("file");
    int descriptor = watch("file", IN_OPEN);
    close(open("file", O_RDONLY));
    EXPECT_EQ(events(), "file: OPEN\n");
    EXPECT_EQ(watch("file", IN_CLOSE_NOWRITE), descriptor);
    close(open("file", O_RDONLY));
    EXPECT_EQ(events(), "file: CLOSE\n");
    EXPECT_EQ(watch("file", IN_OPEN | IN_MASK_ADD), descriptor);
    close(open("file", O_RDONLY));
    EXPECT_EQ(events(), "file: OPEN\nfile: CLOSE\n");
}

TEST_F(Inotify, OneShot) {
    make("file");
    int descriptor = watch("file", IN_OPEN | IN_ONESHOT);
    close(open("file", O_RDONLY));
    close(open("file", O_RDONLY));
    EXPECT_EQ(events(), "file: OPEN\nfile: IGNORED\n");
    EXPECT_ERRNO(inotify_rm_watch(fd_, descriptor), EINVAL);
    EXPECT_NE(watch("file"), descriptor);
}

TEST_F(Inotify, RemovalIsTold) {
    int descriptor = watch(".", IN_CREATE, "dir");
    make("file");
    ASSERT_OK(inotify_rm_watch(fd_, descriptor));
    make("other");
    EXPECT_EQ(events(), "dir: CREATE file\ndir: IGNORED\n");
}

TEST_F(Inotify, UnlinkedFilesCanBeLeftOut) {
    make("file");
    watch(".", IN_ALL_EVENTS | IN_EXCL_UNLINK, "dir");
    int file = open("file", O_WRONLY);
    ASSERT_OK(unlink("file"));
    EXPECT_EQ(write(file, "x", 1), 1);
    close(file);
    EXPECT_EQ(events(), "dir: OPEN file\ndir: DELETE file\n");
}

TEST_F(Inotify, ASecondNameBelongsToItsOwnDirectory) {
    ASSERT_OK(mkdir("a", 0755));
    ASSERT_OK(mkdir("b", 0755));
    make("a/file");
    ASSERT_OK(link("a/file", "b/link"));
    watch("a");
    watch("b");
    watch("a/file", IN_OPEN, "file");
    close(open("b/link", O_RDONLY));
    EXPECT_EQ(events(), "b: OPEN link\nfile: OPEN\nb: CLOSE link\n");
}

TEST_F(Inotify, SizesAndPolling) {
    make("file");
    watch(".", IN_ALL_EVENTS, "dir");
    EXPECT_EQ(poll_now(fd_, POLLIN), 0);
    int bytes = -1;
    ASSERT_OK(ioctl(fd_, FIONREAD, &bytes));
    EXPECT_EQ(bytes, 0);
    ASSERT_OK(rename("file", "name-of-sixteen."));
    ASSERT_OK(chmod(".", 0755));
    EXPECT_EQ(poll_now(fd_, POLLIN), POLLIN);
    ASSERT_OK(ioctl(fd_, FIONREAD, &bytes));
    EXPECT_EQ(bytes, 32 + 48 + 16);
    EXPECT_ERRNO(ioctl(fd_, FIONREAD, bad_pointer()), EFAULT);
    alignas(inotify_event) char buffer[200];
    EXPECT_ERRNO(read(fd_, buffer, 31), EINVAL);
    EXPECT_EQ(read(fd_, buffer, 32 + 47), 32);
    EXPECT_EQ(read(fd_, buffer, 200), 48 + 16);
    EXPECT_ERRNO(read(fd_, buffer, 200), EAGAIN);
    ASSERT_OK(chmod(".", 0755));
    EXPECT_ERRNO(read(fd_, bad_pointer(), 200), EFAULT);
}

TEST_F(Inotify, EpollAndBlockingReads) {
    watch(".", IN_CREATE, "dir");
    int epoll = epoll_create1(0);
    epoll_event event = {EPOLLIN, {.u64 = 7}};
    ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event));
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    make("file");
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    EXPECT_EQ(events(), "dir: CREATE file\n");
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    close(epoll);
    fcntl(fd_, F_SETFL, 0);
    AfterDelay later(
        10 * kMs, [] { close(open("later", O_CREAT | O_WRONLY, 0644)); }, SA_RESTART);
    char buffer[200];
    EXPECT_EQ(read(fd_, buffer, sizeof(buffer)), 32);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
}

TEST_F(Inotify, TheQueueOverflows) {
    int limit_file = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY);
    char text[32] = {};
    ASSERT_GT(read(limit_file, text, sizeof(text) - 1), 0);
    close(limit_file);
    const int limit = atoi(text);
    make("file");
    watch("file", IN_ATTRIB | IN_ACCESS);
    int file = open("file", O_RDWR);
    char byte;
    for (int i = 0; i < limit / 2 + 3; i++) {
        EXPECT_EQ(pread(file, &byte, 1, 0), 1);
        EXPECT_OK(fchmod(file, 0644));
    }
    close(file);
    std::string told = events();
    EXPECT_EQ(static_cast<int>(std::count(told.begin(), told.end(), '\n')), limit + 1);
    EXPECT_EQ(told.substr(told.size() - 16), "queue: OVERFLOW\n");
}

TEST_F(Inotify, ManyWatches) {
    for (int i = 0; i < 500; i++) {
        std::string name = "file" + std::to_string(i);
        make(name.c_str());
        watch(name.c_str(), IN_ATTRIB);
    }
    ASSERT_OK(chmod("file77", 0600));
    ASSERT_OK(unlink("file499"));
    EXPECT_EQ(events(), "file77: ATTRIB\nfile499: ATTRIB\nfile499: IGNORED\n");
}

TEST_F(Inotify, TwoInstancesEachHearAll) {
    int other = inotify_init1(IN_NONBLOCK);
    watch(".", IN_CREATE, "dir");
    ASSERT_GT(inotify_add_watch(other, ".", IN_CREATE | IN_DELETE), 0);
    make("file");
    EXPECT_EQ(events(), "dir: CREATE file\n");
    char buffer[200];
    EXPECT_EQ(read(other, buffer, sizeof(buffer)), 32);
    close(other);
    make("more");
    EXPECT_EQ(events(), "dir: CREATE more\n");
}

TEST_F(Inotify, FilesOfTheRoot) {
    watch("/etc", IN_OPEN | IN_CREATE | IN_DELETE, "etc");
    close(open("/etc/hostname", O_RDONLY));
    close(open("/etc/passwd", O_RDONLY));
    std::string told = events();
    EXPECT_NE(told.find("etc: OPEN passwd\n"), std::string::npos) << told;
}

}  // namespace
