#include "syscall-table/trace/kernel_trace.h"

#include <asm/unistd_64.h>

#include <array>

#include "kernel-min/devices/host_channel.h"
#include "kernel-min/lib/user_copy.h"
#include "syscall-table/dispatch.h"
#include "syscall-table/trace/format.h"

namespace coracle {


namespace {

class UserMemory final : public trace::MemoryReader {
  public:
    size_t read(void* to, uint64_t from, size_t size) const override {
        return copy_from_user_partial(to, from, size);
    }
};
constexpr UserMemory kUserMemory;

// The execve that is being traced, for it does not come back. On its caller's kernel stack.
trace::CallFormatter* exec_in_progress = nullptr;

void write(std::string_view line) {
    host_channel::send(channel::FrameType::kTrace, {line.data(), line.size()});
}

Result<long> traced_call(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                         uint64_t a5, uint64_t number) {
    const SyscallThunk thunk = kSyscallThunks[number];
    trace::CallFormatter line(kUserMemory);
    line.enter(static_cast<unsigned>(number), {a0, a1, a2, a3, a4, a5});
    if (trace::never_returns(static_cast<unsigned>(number))) {
        line.leave_for_ever();
        write(line.text());
        return thunk(a0, a1, a2, a3, a4, a5, number);
    }
    exec_in_progress = number == __NR_execve || number == __NR_execveat ? &line : nullptr;
    Result<long> result = thunk(a0, a1, a2, a3, a4, a5, number);
    exec_in_progress = nullptr;
    line.leave(to_return_value(result));
    write(line.text());
    return result;
}

constexpr auto kTracingThunks = [] {
    std::array<SyscallThunk, kCallCount> thunks{};
    for (SyscallThunk& thunk : thunks) thunk = traced_call;
    return thunks;
}();

bool is_enabled() {
    return used_thunks() == kTracingThunks.data();
}

}  // namespace

void enable_tracing() {
    use_thunks(kTracingThunks.data());
}

void trace_signal(const SignalInfo& info) {
    if (!is_enabled()) return;
    trace::Line line;
    trace::format_signal(line, info);
    write(line.text());
}

void trace_exit(int wait_status) {
    if (!is_enabled()) return;
    trace::Line line;
    trace::format_exit(line, wait_status);
    write(line.text());
}

void trace_exec_done() {
    if (!exec_in_progress) return;
    exec_in_progress->leave(0);
    write(exec_in_progress->text());
    exec_in_progress = nullptr;
}

}  // namespace coracle
