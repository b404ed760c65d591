// signalfd, signalfd4 (man 2 signalfd): pending signals as a file.
#include <sys/signalfd.h>

#include "libposix/files/events/anonymous_file.h"
#include "libposix/fs/pseudo/text_buffer.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// Which members of siginfo a signal has: Linux's siginfo_layout().
enum class Layout { kKill, kTimer, kPoll, kFault, kChild, kQueued, kSyscall };

Layout layout_of(int signo, int code) {
    if (code <= kSiUser || code >= kSiKernel) {
        if (code == kSiTimer) return Layout::kTimer;
        if (code == kSiSigio) return Layout::kPoll;
        return code < 0 ? Layout::kQueued : Layout::kKill;
    }
    struct Codes {
        int signo, last_code;
        Layout layout;
    };
    constexpr Codes kKnown[] = {
        {kSigIll, 11, Layout::kFault},  {kSigFpe, 15, Layout::kFault},
        {kSigSegv, 10, Layout::kFault}, {kSigBus, 5, Layout::kFault},
        {kSigTrap, 6, Layout::kFault},  {kSigChld, kCldContinued, Layout::kChild},
        {kSigIo, 6, Layout::kPoll},     {kSigSys, 2, Layout::kSyscall},
    };
    for (const Codes& known : kKnown) {
        if (known.signo == signo && code <= known.last_code) return known.layout;
    }
    return code <= kPollHup ? Layout::kPoll : Layout::kKill;
}

signalfd_siginfo to_record(const SignalInfo& info) {
    signalfd_siginfo record = {};
    record.ssi_signo = static_cast<uint32_t>(info.signo);
    record.ssi_errno = info.error;
    record.ssi_code = info.code;
    switch (layout_of(info.signo, info.code)) {
        case Layout::kQueued:
            record.ssi_ptr = info.kill.value;
            record.ssi_int = static_cast<int32_t>(info.kill.value);
            [[fallthrough]];
        case Layout::kKill:
            record.ssi_pid = static_cast<uint32_t>(info.kill.pid);
            record.ssi_uid = info.kill.uid;
            break;
        case Layout::kTimer:
            record.ssi_tid = static_cast<uint32_t>(info.timer.id);
            record.ssi_overrun = static_cast<uint32_t>(info.timer.overrun);
            record.ssi_ptr = info.timer.value;
            record.ssi_int = static_cast<int32_t>(info.timer.value);
            break;
        case Layout::kPoll:
            record.ssi_band = static_cast<uint32_t>(info.poll.band);
            record.ssi_fd = info.poll.descriptor;
            break;
        case Layout::kFault:
            record.ssi_addr = info.fault.address;
            if (info.signo == kSigBus) {
                record.ssi_addr_lsb = static_cast<uint16_t>(info.fault.address_lsb);
            }
            break;
        case Layout::kChild:
            record.ssi_pid = static_cast<uint32_t>(info.child.pid);
            record.ssi_uid = info.child.uid;
            record.ssi_status = info.child.status;
            record.ssi_utime = static_cast<uint64_t>(info.child.user_ticks);
            record.ssi_stime = static_cast<uint64_t>(info.child.system_ticks);
            break;
        case Layout::kSyscall:
            record.ssi_call_addr = info.syscall.call_address;
            record.ssi_syscall = info.syscall.number;
            record.ssi_arch = info.syscall.architecture;
            break;
    }
    return record;
}

// Whoever reads it gets the signals of the calling thread and of its process.
class SignalFile final : public AnonymousFile {
  public:
    static constexpr FileKind kKind = FileKind::kSignalFd;

    SignalFile(const Path& path, RefPtr<Inode> inode, uint32_t flags, SignalSet signals)
        : AnonymousFile(path, std::move(inode), flags), signals_(signals) {
        kind_ = kKind;
    }

    void set_signals(SignalSet signals) {
        signals_ = signals;
        arrivals().wake_all(POLLIN);
    }

    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        size_t count = to.size() / sizeof(signalfd_siginfo);
        if (count == 0) return Error(EINVAL);
        SignalInfo info;
        if (!take_pending_signal(signals_, info)) {
            if (is_nonblocking()) return Error(EAGAIN);
            TRY(wait_until(arrivals(), Deadline::never(),
                           [&] { return take_pending_signal(signals_, info); }));
        }
        size_t done = 0;
        do {
            signalfd_siginfo record = to_record(info);
            if (to.copy_out(&record, sizeof(record)) != sizeof(record)) {
                if (done == 0) return Error(EFAULT);
                break;
            }
            done += sizeof(record);
        } while (--count != 0 && take_pending_signal(signals_, info));
        return done;
    }

    uint32_t poll_events() override {
        return pending_signals(*current_thread()) & signals_ ? POLLIN : 0;
    }
    WaitQueue* wait_queue() override { return &arrivals(); }
    void describe_state(TextBuffer& to) override { to.print("sigmask:\t%016lx\n", signals_); }

  private:
    static WaitQueue& arrivals() { return current_process()->signal_arrivals; }

    SignalSet signals_;
};

}  // namespace

Result<long> sys_signalfd4(int fd, UserIn<SignalSet> mask, size_t set_size, int flags) {
    if (set_size != sizeof(SignalSet)) return Error(EINVAL);
    const SignalSet signals = TRY(mask.read()) & ~kUnblockableSignals;
    if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) return Error(EINVAL);
    if (fd == -1) {
        return open_event_file<SignalFile>("[signalfd]", static_cast<uint32_t>(flags) | O_RDWR,
                                           signals);
    }
    TRY(get_event_file<SignalFile>(fd))->set_signals(signals);
    return fd;
}

Result<long> sys_signalfd(int fd, UserIn<SignalSet> mask, size_t set_size) {
    return sys_signalfd4(fd, mask, set_size, 0);
}

}  // namespace coracle
