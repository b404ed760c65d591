#include "mini_strace.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <stdexcept>

#include "syscall-table/trace/format.h"

namespace {

using coracle::trace::CallFormatter;

class ProcessReader final : public coracle::trace::MemoryReader {
  public:
    explicit ProcessReader(pid_t pid) : pid_(pid) {}
    size_t read(void* to, uint64_t from, size_t size) const override {
        // Page by page: process_vm_readv copies nothing of a range that ends in a hole.
        size_t done = 0;
        while (done < size) {
            constexpr size_t kPage = 4096;
            const size_t piece = std::min(size - done, kPage - (from + done) % kPage);
            iovec local{static_cast<char*>(to) + done, piece};
            iovec remote{reinterpret_cast<void*>(from + done), piece};
            const ssize_t copied = process_vm_readv(pid_, &local, 1, &remote, 1, 0);
            if (copied <= 0) break;
            done += static_cast<size_t>(copied);
        }
        return done;
    }

  private:
    pid_t pid_;
};

std::vector<char*> to_pointers(const std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

pid_t start(const std::vector<std::string>& arguments,
            const std::vector<std::string>& environment) {
    auto argv = to_pointers(arguments);
    auto envp = to_pointers(environment);
    const pid_t pid = fork();
    if (pid != 0) return pid;
    personality(ADDR_NO_RANDOMIZE);
    const int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
    if (null > 2) close(null);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
}

}  // namespace

std::vector<std::string> trace_program(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& environment) {
    std::vector<std::string> lines;
    const pid_t pid = start(arguments, environment);
    const ProcessReader reader(pid);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        throw std::runtime_error("the traced program did not start");
    }
    ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);

    std::optional<CallFormatter> formatter;
    long signal_to_deliver = 0;
    for (;;) {
        ptrace(PTRACE_SYSCALL, pid, nullptr, signal_to_deliver);
        signal_to_deliver = 0;
        if (waitpid(pid, &status, 0) != pid) throw std::runtime_error("waitpid");
        if (!WIFSTOPPED(status)) break;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            user_regs_struct registers;
            ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
            if (formatter) {
                formatter->leave(static_cast<long>(registers.rax));
                lines.emplace_back(formatter->text());
                formatter.reset();
            } else {
                formatter.emplace(reader);
                formatter->enter(static_cast<unsigned>(registers.orig_rax),
                                 {registers.rdi, registers.rsi, registers.rdx, registers.r10,
                                  registers.r8, registers.r9});
            }
        } else if (WSTOPSIG(status) != SIGTRAP) {  // SIGTRAP: execve's
            coracle::SignalInfo info;
            ptrace(PTRACE_GETSIGINFO, pid, nullptr, &info);
            coracle::trace::Line line;
            format_signal(line, info);
            lines.emplace_back(line.text());
            signal_to_deliver = WSTOPSIG(status);
        }
    }
    if (formatter) {
        formatter->leave_for_ever();
        lines.emplace_back(formatter->text());
    }
    coracle::trace::Line line;
    coracle::trace::format_exit(line, status);
    lines.emplace_back(line.text());
    // The calls before the execve are start()'s own.
    size_t first = 0;
    while (first < lines.size() && !lines[first].starts_with("execve(")) ++first;
    lines.erase(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(first));
    for (std::string& text : lines) text.pop_back();  // the newline
    return lines;
}
