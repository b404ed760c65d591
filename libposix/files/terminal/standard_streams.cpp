#include "libposix/files/terminal/standard_streams.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cstring>

#include "kernel-min/devices/host_channel.h"
#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/memory/heap.h"
#include "libposix/files/file.h"
#include "libposix/files/pipe.h"
#include "libposix/files/terminal/host_input.h"
#include "libposix/files/terminal/host_output.h"
#include "libposix/files/terminal/terminal.h"
#include "libposix/fs/device_node.h"
#include "libposix/fs/mount.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

namespace {

bool must_not_sleep(const File& file, const IoBuffer& buffer) {
    return file.is_nonblocking() || buffer.flags & RWF_NOWAIT;
}

class HostInputFile final : public File {
  public:
    HostInputFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags)
        : File(path, inode, flags) {}
    // There is no end to write to, as there would be with a pipe.
    static Result<RefPtr<File>> open(const Path& path, const RefPtr<Inode>& inode, uint32_t flags) {
        if ((flags & O_ACCMODE) != O_RDONLY) return Error(ENXIO);
        return RefPtr<File>(TRY(make_ref<HostInputFile>(path, inode, flags)));
    }

    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        return HostInput::instance().read(to, must_not_sleep(*this, to));
    }
    Result<long> ioctl(uint32_t command, uint64_t argument) override {
        if (command != FIONREAD) return Error(ENOTTY);
        TRY(HostInput::instance().show_interest());
        TRY(UserOut<int32_t>(argument).write(HostInput::instance().available()));
        return 0;
    }
    uint32_t poll_events() override {
        HostInput& input = HostInput::instance();
        uint32_t events = 0;
        // Without memory for a buffer nothing will come; a read tells why.
        if (!input.show_interest() || input.available() > 0) events |= POLLIN | POLLRDNORM;
        if (input.has_ended()) events |= POLLHUP;
        return events;
    }
    WaitQueue* wait_queue() override { return &HostInput::instance().changed; }
    bool can_signal() override { return true; }
};

class HostOutputFile final : public File {
  public:
    HostOutputFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags, HostOutput& output)
        : File(path, inode, flags), output_(output) {}
    template <int descriptor>
    static Result<RefPtr<File>> open(const Path& path, const RefPtr<Inode>& inode, uint32_t flags) {
        if ((flags & O_ACCMODE) != O_WRONLY) return Error(ENXIO);
        return RefPtr<File>(
            TRY(make_ref<HostOutputFile>(path, inode, flags, HostOutput::of(descriptor))));
    }

    Result<size_t> write(IoBuffer& from, uint64_t&) override {
        auto written = output_.write(from, must_not_sleep(*this, from));
        if (written.error_code() == EPIPE) [[unlikely]]
            send_kernel_signal_to_thread(*current_thread(), kSigPipe);
        return written;
    }
    Result<long> ioctl(uint32_t command, uint64_t argument) override {
        if (command != FIONREAD) return Error(ENOTTY);
        TRY(UserOut<int32_t>(argument).write(0));
        return 0;
    }
    uint32_t poll_events() override {
        constexpr size_t kAtomicWrite = 4096;
        if (output_.is_closed()) return POLLOUT | POLLWRNORM | POLLERR;
        return output_.credit() >= kAtomicWrite ? POLLOUT | POLLWRNORM : 0;
    }
    WaitQueue* wait_queue() override { return &output_.changed; }
    bool can_signal() override { return true; }

  private:
    HostOutput& output_;
};

class TerminalFile final : public File {
  public:
    TerminalFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags)
        : File(path, inode, flags) {}

    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        return Terminal::instance().read(to, must_not_sleep(*this, to));
    }
    Result<size_t> write(IoBuffer& from, uint64_t&) override {
        return Terminal::instance().write(from, must_not_sleep(*this, from));
    }
    Result<long> ioctl(uint32_t command, uint64_t argument) override {
        return Terminal::instance().ioctl(command, argument);
    }
    uint32_t poll_events() override { return Terminal::instance().poll_events(); }
    WaitQueue* wait_queue() override { return &Terminal::instance().changed; }
    bool can_signal() override { return true; }
};

Result<RefPtr<File>> open_terminal(const Path& path, const RefPtr<Inode>& inode, uint32_t flags) {
    Terminal& terminal = Terminal::instance();
    if (!terminal.is_present()) return Error(ENXIO);
    if (terminal.is_exclusive() && !current_credentials().has_capability(kCapSysAdmin)) {
        return Error(EBUSY);
    }
    return RefPtr<File>(TRY(make_ref<TerminalFile>(path, inode, flags)));
}

// /dev/tty is the caller's own terminal (man 4 tty).
Result<RefPtr<File>> open_controlling_terminal(const Path& path, const RefPtr<Inode>& inode,
                                               uint32_t flags) {
    if (!Terminal::instance().controls(*current_process())) return Error(ENXIO);
    return open_terminal(path, inode, flags);
}

Result<RefPtr<File>> make_stream(int descriptor) {
    RefPtr<Inode> inode = TRY(make_anonymous_inode(S_IFIFO | 0600));
    constexpr Inode::Reopen kOpen[] = {HostInputFile::open, HostOutputFile::open<1>,
                                       HostOutputFile::open<2>};
    inode->reopen = kOpen[descriptor];
    Path path = TRY(make_pipe_path(inode));
    return inode->open(path, descriptor == 0 ? O_RDONLY : O_WRONLY);
}

Process* first_process;  // lives as long as the VM

// Signals that the host's user sends (docker kill, Ctrl-C where nobody reads keys).
void receive_signal(std::span<const char> piece, uint32_t) {
    int signo;
    if (piece.size() != sizeof(signo)) return;
    memcpy(&signo, piece.data(), sizeof(signo));
    if (is_valid_signal(signo)) send_kernel_signal(*first_process, signo);
}

}  // namespace

Result<void> open_standard_streams(Process& process, const BootConfig& config) {
    TRY(register_char_device("tty", 0666, 5, 0, open_controlling_terminal));
    TRY(register_char_device("console", 0600, 5, 1, open_terminal));
    first_process = &process;
    host_channel::set_receiver(channel::FrameType::kSignal, receive_signal);
    HostOutput::start();
    if (!config.is_terminal[0]) HostInput::instance().start();

    RefPtr<File> terminal;
    if (config.is_terminal[0] || config.is_terminal[1] || config.is_terminal[2]) {
        TRY(register_char_device("pts/0", 0620, Terminal::kMajor, Terminal::kMinor, open_terminal));
        Terminal::instance().start(config);
        terminal = TRY(open_path("/dev/pts/0", O_RDWR));
    }
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        RefPtr<File> file =
            config.is_terminal[descriptor] ? terminal : TRY(make_stream(descriptor));
        TRY(process.descriptors->add(std::move(file), false, 0, 3));
    }
    return {};
}

}  // namespace coracle
