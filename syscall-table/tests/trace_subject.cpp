// A program for trace_against_strace_test: it makes system calls with every kind of argument that
// the trace decodes. What it prints and whether calls succeed does not matter, only that two runs
// make the same calls.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>
#include <utime.h>

namespace {

template <typename... Arguments>
long call(long number, Arguments... arguments) {
    return syscall(number, arguments...);
}

void* const kBadAddress = reinterpret_cast<void*>(0x1234);
constexpr const char* kFile = "/tmp/coracle-trace-subject";

void files() {
    char buffer[8192];
    const long fd = call(SYS_openat, AT_FDCWD, kFile, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    call(SYS_open, "/nonexistent", O_WRONLY | O_APPEND | O_NONBLOCK);
    call(SYS_openat, AT_FDCWD, kBadAddress, O_RDONLY);
    call(SYS_openat, 77, "x", O_PATH | O_NOFOLLOW);
    call(SYS_close, call(SYS_openat, AT_FDCWD, "/tmp", O_RDWR | O_TMPFILE, 0));
    call(SYS_openat, AT_FDCWD, nullptr, 0x80000000);
    open_how how = {O_RDONLY | O_CLOEXEC, 0, RESOLVE_BENEATH};
    call(SYS_openat2, AT_FDCWD, "tmp", &how, sizeof(how));
    call(SYS_write, fd, "line\tone\n\"quoted\\\"\0021\377\033[m and more than thirty-two", 52L);
    call(SYS_write, fd, kBadAddress, 5L);
    call(SYS_write, fd, "0123456789012345678901234567890\n", 32L);
    call(SYS_pwrite64, fd, "\1\0012", 3L, 4096L);
    call(SYS_lseek, fd, -10L, SEEK_END);
    call(SYS_lseek, fd, 0L, SEEK_HOLE);
    call(SYS_lseek, fd, 0L, 99);
    call(SYS_pread64, fd, buffer, 10L, 0L);
    call(SYS_read, fd, buffer, 100L);
    call(SYS_read, 99, buffer, 100L);
    char first[6], second[30];
    iovec vectors[] = {{first, sizeof(first)}, {second, sizeof(second)}};
    call(SYS_preadv, fd, vectors, 2L, 0L, 0L);
    call(SYS_writev, fd, vectors, 2L);
    call(SYS_pwritev2, fd, vectors, 1L, 0L, 0L, RWF_DSYNC);
    call(SYS_readv, fd, kBadAddress, 2L);
    struct stat stat;
    call(SYS_fstat, fd, &stat);
    call(SYS_stat, "/dev/null", &stat);
    call(SYS_lstat, "/nonexistent", &stat);
    call(SYS_newfstatat, AT_FDCWD, "/tmp", &stat, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
    struct statx statx;
    call(SYS_statx, AT_FDCWD, "/dev/zero", AT_STATX_DONT_SYNC, STATX_SIZE | STATX_BTIME, &statx);
    call(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_ALL, &statx);
    struct statfs statfs;
    call(SYS_statfs, "/proc", &statfs);
    call(SYS_access, "/etc/passwd", R_OK | W_OK);
    call(SYS_access, "/etc/passwd", F_OK);
    call(SYS_faccessat, AT_FDCWD, "/etc", X_OK);
    call(SYS_faccessat2, AT_FDCWD, "/etc", X_OK, AT_EACCESS);
    call(SYS_fchmod, fd, 04755);
    call(SYS_fchmodat, AT_FDCWD, kFile, 7);
    call(SYS_fchownat, AT_FDCWD, kFile, -1, 0, AT_SYMLINK_NOFOLLOW);
    call(SYS_umask, 022);
    call(SYS_mknodat, AT_FDCWD, "/nonexistent/x", S_IFIFO | 0600, 0);
    call(SYS_mknod, "/nonexistent/x", S_IFCHR | 0600, 0x103);
    call(SYS_mkdir, "/nonexistent/x", 0777);
    call(SYS_unlinkat, AT_FDCWD, "/nonexistent", AT_REMOVEDIR);
    call(SYS_renameat2, AT_FDCWD, "/nonexistent", AT_FDCWD, "/x", RENAME_NOREPLACE);
    call(SYS_linkat, AT_FDCWD, "/nonexistent", AT_FDCWD, "/x", AT_SYMLINK_FOLLOW);
    call(SYS_symlink, "target", "/nonexistent/x");
    call(SYS_readlink, "/proc/self/exe", buffer, 10L);
    call(SYS_getcwd, buffer, sizeof(buffer));
    timespec times[] = {{0, UTIME_NOW}, {1700000000, 5}};
    call(SYS_utimensat, fd, nullptr, times, 0);
    call(SYS_utimensat, AT_FDCWD, kFile, nullptr, 0);
    timeval values[] = {{1, 2}, {3, 4}};
    call(SYS_utimes, kFile, values);
    utimbuf seconds = {5, 6};
    call(SYS_utime, kFile, &seconds);
    call(SYS_fcntl, fd, F_GETFD);
    call(SYS_fcntl, fd, F_SETFD, 0);
    call(SYS_fcntl, fd, F_GETFD);
    call(SYS_fcntl, fd, F_GETFL);
    call(SYS_fcntl, fd, F_SETFL, O_APPEND | O_NONBLOCK);
    call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 10);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_len = 10;
    call(SYS_fcntl, fd, F_SETLK, &lock);
    call(SYS_fcntl, fd, F_OFD_GETLK, &lock);
    call(SYS_fcntl, fd, F_SETLKW, kBadAddress);
    call(SYS_fcntl, fd, 9999, 1);
    call(SYS_flock, fd, LOCK_EX | LOCK_NB);
    call(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, 0L, 4096L);
    call(SYS_fadvise64, fd, 0L, 0L, POSIX_FADV_SEQUENTIAL);
    call(SYS_ftruncate, fd, 100L);
    call(SYS_getxattr, kFile, "user.x", buffer, 100L);
    call(SYS_setxattr, "/nonexistent", "user.x", "value", 5L, XATTR_CREATE);
    call(SYS_memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    call(SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC);
    call(SYS_inotify_add_watch, 99, "/", IN_CREATE | IN_DELETE);
    const long directory = call(SYS_openat, AT_FDCWD, "/proc/self/fdinfo", O_RDONLY | O_DIRECTORY);
    call(SYS_getdents64, directory, buffer, 600L);
    call(SYS_dup3, fd, 40, O_CLOEXEC);
    call(SYS_close_range, 40, 41, 0);
    call(SYS_copy_file_range, fd, nullptr, 99, nullptr, 4L, 0);
    call(SYS_splice, 98, nullptr, 99, nullptr, 4L, SPLICE_F_MOVE);
    call(SYS_unlink, kFile);
}

void terminals() {
    const long terminal = call(SYS_openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY);
    termios settings;
    call(SYS_ioctl, terminal, TCGETS, &settings);
    call(SYS_ioctl, 0, TCGETS, &settings);
    winsize size;
    call(SYS_ioctl, terminal, TIOCGWINSZ, &size);
    int number;
    call(SYS_ioctl, terminal, FIONREAD, &number);
    call(SYS_ioctl, terminal, FIOCLEX);
    call(SYS_ioctl, terminal, TIOCSCTTY, 1);
}

void memory() {
    char* map = reinterpret_cast<char*>(call(SYS_mmap, nullptr, 16384L, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L));
    call(SYS_mmap, map, 4096L, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE,
         -1, 0L);
    call(SYS_mmap, nullptr, 4096L, PROT_READ | PROT_EXEC, MAP_PRIVATE, 99, 0x1000L);
    call(SYS_mmap, nullptr, 0L, PROT_READ, 0, 0, 0L);
    call(SYS_mprotect, map, 4096L, PROT_READ | PROT_WRITE | PROT_EXEC);
    call(SYS_madvise, map, 4096L, MADV_DONTNEED);
    call(SYS_madvise, map, 4096L, 4321);
    call(SYS_msync, map, 4096L, MS_SYNC);
    call(SYS_mremap, map, 4096L, 8192L, 0);
    call(SYS_mremap, map + 8192, 4096L, 4096L, MREMAP_MAYMOVE | MREMAP_FIXED, map + 12288);
    call(SYS_mlock2, map, 4096L, MLOCK_ONFAULT);
    call(SYS_mlockall, 0);
    call(SYS_munmap, map, 16384L);
    call(SYS_brk, 0L);
}

void signals() {
    struct {
        void (*handler)(int);
        unsigned long flags;
        void* restorer;
        unsigned long mask;
    } action = {SIG_IGN, SA_RESTART | SA_SIGINFO, nullptr, 1 << (SIGINT - 1)}, old;
    call(SYS_rt_sigaction, SIGUSR1, &action, &old, 8L);
    call(SYS_rt_sigaction, SIGUSR2, nullptr, &old, 8L);
    call(SYS_rt_sigaction, 99, nullptr, nullptr, 8L);
    unsigned long set = ~0ul, old_set;
    call(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old_set, 8L);
    call(SYS_rt_sigprocmask, SIG_SETMASK, &old_set, nullptr, 8L);
    set = 1 << (SIGCHLD - 1) | 1ul << 33 | 1ul << 31;
    call(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, nullptr, 8L);
    call(SYS_rt_sigpending, &set, 8L);
    stack_t stack = {};
    stack.ss_flags = SS_DISABLE;
    call(SYS_sigaltstack, nullptr, &stack);
    timespec now = {0, 0};
    call(SYS_rt_sigtimedwait, &old_set, nullptr, &now, 8L);
    call(SYS_tgkill, -1, -1, SIGRTMIN);
    call(SYS_kill, 0x7fffffff, 0);
    signal(SIGUSR1, [](int) {});
    raise(SIGUSR1);
    call(SYS_signalfd4, -1, &old_set, 8L, SFD_CLOEXEC);
}

void times() {
    timespec nothing = {0, 0}, rest;
    call(SYS_nanosleep, &nothing, &rest);
    call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &nothing, nullptr);
    call(SYS_clock_getres, CLOCK_MONOTONIC, &rest);
    call(SYS_clock_getres, 1234, &rest);
    itimerval timer = {{0, 0}, {0, 0}}, old;
    call(SYS_setitimer, ITIMER_REAL, &timer, &old);
    call(SYS_getitimer, ITIMER_PROF, &old);
    const long fd = call(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    itimerspec spec = {{0, 0}, {0, 5}};
    call(SYS_timerfd_settime, fd, TFD_TIMER_ABSTIME, &spec, nullptr);
    call(SYS_alarm, 0);
}

void waiting() {
    int pipes[2];
    call(SYS_pipe2, pipes, O_CLOEXEC | O_NONBLOCK);
    call(SYS_write, pipes[1], "x", 1L);
    pollfd entries[] = {{pipes[0], POLLIN | POLLPRI, 0}, {-1, 0, 0}, {pipes[1], 0, 0}};
    call(SYS_poll, entries, 3, 0);
    call(SYS_poll, &entries[2], 1, 0);
    call(SYS_poll, kBadAddress, 1, 0);
    timespec timeout = {0, 0};
    unsigned long set = 0;
    call(SYS_ppoll, entries, 1, &timeout, &set, 8L);
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pipes[0], &in);
    FD_SET(pipes[1], &out);
    timeval wait = {0, 0};
    call(SYS_select, pipes[1] + 1, &in, &out, nullptr, &wait);
    FD_ZERO(&out);
    call(SYS_select, pipes[1] + 1, nullptr, &out, nullptr, &wait);
    struct {
        void* set;
        size_t size;
    } mask = {&set, 8};
    call(SYS_pselect6, pipes[0] + 1, &in, nullptr, nullptr, &timeout, &mask);
    const long epoll = call(SYS_epoll_create1, EPOLL_CLOEXEC);
    epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 7}};
    call(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, pipes[0], &event);
    epoll_event events[4];
    call(SYS_epoll_wait, epoll, events, 4, 0);
    call(SYS_epoll_pwait, epoll, events, 4, 0, &set, 8L);
    call(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, pipes[0], &event);
    call(SYS_eventfd2, 5, EFD_SEMAPHORE | EFD_CLOEXEC);
    static int word = 1;
    call(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
    call(SYS_futex, &word, FUTEX_WAIT, 2, nullptr);
    call(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 2, &timeout, nullptr,
         FUTEX_BITSET_MATCH_ANY);
    call(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 2L, &word, 1);
    call(SYS_futex, &word, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 3);
    call(SYS_futex, &word, 77, 1, nullptr, nullptr, 3);
}

void control_messages() {
    int pair[2];
    call(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair);
    char byte = 'x', control[128] = {};
    iovec part = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(2 * sizeof(int));
    auto* head = reinterpret_cast<cmsghdr*>(control);
    *head = {CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    const int fds[2] = {0, 1};
    memcpy(CMSG_DATA(head), fds, sizeof(fds));
    call(SYS_sendmsg, pair[0], &message, 0);
    message.msg_controllen = sizeof(control);
    call(SYS_recvmsg, pair[1], &message, 0);
    mmsghdr several[2] = {};
    several[0].msg_hdr.msg_iov = several[1].msg_hdr.msg_iov = &part;
    several[0].msg_hdr.msg_iovlen = several[1].msg_hdr.msg_iovlen = 1;
    call(SYS_sendmmsg, pair[0], several, 2, MSG_NOSIGNAL);
    call(SYS_recvmmsg, pair[1], several, 2, MSG_DONTWAIT, nullptr);
    call(SYS_recvmmsg, pair[1], several, 2, MSG_DONTWAIT, nullptr);
    const linger seconds = {1, 5};
    call(SYS_setsockopt, pair[0], SOL_SOCKET, SO_LINGER, &seconds, sizeof(seconds));
}

// Identifiers differ between two runs, so nothing is made under one.
void ipc() {
    constexpr long kNoId = 0x7fffffff;
    call(SYS_semget, 0x7e57c0de, 1, 0600);
    call(SYS_semget, IPC_PRIVATE, -1, IPC_CREAT | IPC_EXCL | 0600);
    sembuf operations[2] = {{0, 1, SEM_UNDO | IPC_NOWAIT}, {1, 0, 0}};
    call(SYS_semop, kNoId, operations, 2);
    timespec second = {1, 5};
    call(SYS_semtimedop, kNoId, operations, 1, &second);
    call(SYS_semctl, kNoId, 1, SETVAL, 5);
    call(SYS_semctl, kNoId, 0, IPC_RMID, 0);
    call(SYS_shmget, 0x7e57c0de, 4096, SHM_NORESERVE | 0600);
    call(SYS_shmat, kNoId, nullptr, SHM_RDONLY | SHM_RND);
    call(SYS_shmctl, kNoId, SHM_LOCK, nullptr);
    call(SYS_shmdt, nullptr);
    call(SYS_msgget, 0x7e57c0de, 0600);
    struct {
        long type;
        char text[8];
    } message = {5, "hello"};
    call(SYS_msgsnd, kNoId, &message, 5, IPC_NOWAIT);
    call(SYS_msgrcv, kNoId, &message, 8, -7, MSG_NOERROR | IPC_NOWAIT);
    call(SYS_msgctl, kNoId, IPC_RMID, nullptr);
    mq_attr attributes = {};
    attributes.mq_maxmsg = 4;
    attributes.mq_msgsize = 32;
    const long queue = call(SYS_mq_open, "coracle-trace", O_RDWR | O_CREAT | O_NONBLOCK, 0600,
                            &attributes);
    call(SYS_mq_timedsend, queue, "hi", 2, 7, nullptr);
    char text[32];
    unsigned priority;
    call(SYS_mq_timedreceive, queue, text, sizeof(text), &priority, &second);
    call(SYS_mq_getsetattr, queue, nullptr, &attributes);
    call(SYS_mq_notify, queue, nullptr);
    call(SYS_mq_unlink, "coracle-trace");
    call(SYS_close, queue);
}

void sockets() {
    const long unix_socket =
        call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un path = {AF_UNIX, "/nonexistent/socket"};
    call(SYS_connect, unix_socket, &path, sizeof(path));
    sockaddr_un abstract = {AF_UNIX, "\0coracle-no-such-name"};
    call(SYS_connect, unix_socket, &abstract, 2 + 21);
    const long tcp = call(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_TCP);
    sockaddr_in inet = {AF_INET, htons(0), {htonl(INADDR_LOOPBACK)}, {}};
    const int one = 1;
    call(SYS_setsockopt, tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    call(SYS_setsockopt, tcp, SOL_TCP, TCP_NODELAY, &one, sizeof(one));
    call(SYS_bind, 99, &inet, sizeof(inet));
    call(SYS_listen, tcp, 5);
    sockaddr_in6 inet6 = {AF_INET6, htons(80), 0, in6addr_loopback, 0};
    call(SYS_connect, 99, &inet6, sizeof(inet6));
    int value;
    socklen_t length = sizeof(value);
    call(SYS_getsockopt, tcp, SOL_SOCKET, SO_TYPE, &value, &length);
    int pair[2];
    call(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair);
    call(SYS_sendto, pair[0], "hello", 5L, MSG_NOSIGNAL, nullptr, 0);
    char buffer[32];
    call(SYS_recvfrom, pair[1], buffer, sizeof(buffer), MSG_DONTWAIT, nullptr, nullptr);
    sockaddr_un name;
    socklen_t name_length = sizeof(name);
    call(SYS_getsockname, pair[0], &name, &name_length);
    call(SYS_shutdown, pair[0], SHUT_RDWR);
    control_messages();
    call(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

void processes() {
    rlimit limit;
    call(SYS_prlimit64, 0, RLIMIT_STACK, nullptr, &limit);
    limit = {1024, RLIM_INFINITY};
    call(SYS_getrlimit, RLIMIT_CORE, &limit);
    call(SYS_prlimit64, 0, 999, nullptr, &limit);
    call(SYS_prctl, PR_SET_NAME, "subject");
    call(SYS_prctl, PR_GET_DUMPABLE);
    call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    call(SYS_arch_prctl, 0x3001, nullptr);
    unsigned long fs;
    call(SYS_arch_prctl, 0x1003, &fs);
    call(SYS_getuid);
    unsigned real, effective, saved;
    call(SYS_getresuid, &real, &effective, &saved);
    call(SYS_getgroups, 0, nullptr);
    call(SYS_setreuid, -1, -1);
    call(SYS_getpriority, PRIO_PROCESS, 0);
    call(SYS_sched_getscheduler, 0);
    call(SYS_sched_get_priority_max, SCHED_FIFO);
    sched_param param;
    call(SYS_sched_getparam, 0, &param);
    unsigned long cpus[16];
    call(SYS_sched_getaffinity, 0, sizeof(cpus), cpus);
    call(SYS_personality, 0xffffffff);
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    call(SYS_capget, &header, nullptr);
    call(SYS_getrandom, kBadAddress, 16L, 1);
    call(SYS_membarrier, 0, 0, 0);
    call(SYS_execve, "/nonexistent", kBadAddress, nullptr);
    call(SYS_wait4, -1, nullptr, WNOHANG, nullptr);
    call(SYS_waitid, P_ALL, 0, nullptr, WEXITED | WNOHANG, nullptr);
    call(SYS_unshare, 0);
    call(SYS_sync);
}

}  // namespace

int main() {
    files();
    terminals();
    memory();
    signals();
    times();
    waiting();
    sockets();
    ipc();
    processes();
    *static_cast<volatile int*>(nullptr) = 0;
}
