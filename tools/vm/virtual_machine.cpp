#include "tools/vm/virtual_machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tools/support/error.h"
#include "tools/vm/qemu_command.h"

namespace coracle {
namespace {

struct Connection {
    UniqueFd host, guest;
};

// The host's end does not block; the guest's end does, as QEMU expects.
Connection make_connection() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        throw CommandError(kExitOwnFailure, fmt::format("socketpair: {}", strerror(errno)));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// In the child, between fork and exec.
[[noreturn]] void become_qemu(char** argv, pid_t parent, int channel, int serial, int errors,
                              int exec_result) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kExitOwnFailure);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);

    // Lift the descriptors above the ones they are to become, then put each in its place.
    int base = 16;
    channel = fcntl(channel, F_DUPFD, base);
    serial = fcntl(serial, F_DUPFD, base);
    errors = fcntl(errors, F_DUPFD, base);
    exec_result = fcntl(exec_result, F_DUPFD_CLOEXEC, base);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(errors, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    dup2(channel, kChannelFd);
    dup2(serial, kSerialFd);
    for (int fd = kSerialFd + 1; fd < exec_result; ++fd) close(fd);
    syscall(SYS_close_range, exec_result + 1, ~0U, 0);
    execvp(argv[0], argv);
    int error = errno;
    if (write(exec_result, &error, sizeof(error)) < 0) _exit(kExitOwnFailure);
    _exit(kExitOwnFailure);
}

}  // namespace

VirtualMachine::VirtualMachine(const std::vector<std::string>& command) {
    Connection channel = make_connection();
    Connection serial = make_connection();
    Connection errors = make_connection();
    int result_ends[2];
    if (pipe2(result_ends, O_CLOEXEC) != 0) {
        throw CommandError(kExitOwnFailure, fmt::format("pipe: {}", strerror(errno)));
    }
    UniqueFd result_read(result_ends[0]), result_write(result_ends[1]);
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);

    pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) throw CommandError(kExitOwnFailure, fmt::format("fork: {}", strerror(errno)));
    if (pid_ == 0) {
        become_qemu(argv.data(), parent, channel.guest.get(), serial.guest.get(),
                    errors.guest.get(), result_write.get());
    }
    setpgid(pid_, pid_);
    result_write.reset();
    int error = 0;
    if (read(result_read.get(), &error, sizeof(error)) == sizeof(error)) {
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
        std::string hint = error == ENOENT ? "; install it: apt-get install qemu-system-x86" : "";
        throw CommandError(kExitOwnFailure,
                           fmt::format("{}: {}{}", command[0], strerror(error), hint));
    }
    process_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    channel_ = std::move(channel.host);
    serial_ = std::move(serial.host);
    errors_ = std::move(errors.host);
}

VirtualMachine::~VirtualMachine() {
    if (pid_ > 0 && !status_) {
        kill();
        waitpid(pid_, nullptr, 0);
    }
}

VirtualMachine::Activity VirtualMachine::activity() const {
    Activity sum;
    std::error_code error;
    const std::filesystem::path tasks = fmt::format("/proc/{}/task", pid_);
    for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
        std::ifstream file(task.path() / "schedstat");
        int64_t ran = 0, waited = 0;
        if (!(file >> ran >> waited)) continue;
        sum.ran += std::chrono::nanoseconds(ran);
        sum.waited_for_cpu += std::chrono::nanoseconds(waited);
    }
    return sum;
}

void VirtualMachine::kill() {
    if (pid_ > 0 && !status_) ::kill(-pid_, SIGKILL);
}

std::optional<int> VirtualMachine::wait(std::chrono::milliseconds limit) {
    if (status_) return status_;
    pollfd ended{process_.get(), POLLIN, 0};
    int ready;
    do {
        ready = poll(&ended, 1, static_cast<int>(limit.count()));
    } while (ready < 0 && errno == EINTR);
    int status;
    if (ready > 0 && waitpid(pid_, &status, 0) == pid_) status_ = status;
    return status_;
}

}  // namespace coracle
