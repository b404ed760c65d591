#include <sys/ioctl.h>
#include <sys/uio.h>

#include <cstring>
#include <string_view>

#include "kernel-min/memory/heap.h"
#include "libposix/files/inode_file.h"
#include "libposix/files/pipe.h"

namespace coracle {
namespace {

// One open end of a pipe, or a fifo opened for one or both directions.
class PipeFile final : public File {
  public:
    PipeFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags, RefPtr<Pipe> pipe)
        : File(path, inode, flags), pipe_(std::move(pipe)) {
        if (is_readable()) {
            pipe_->readers++;
            pipe_->reader_opens++;
        }
        if (is_writable()) {
            pipe_->writers++;
            pipe_->writer_opens++;
        }
    }
    ~PipeFile() override {
        io_signal.reset();  // its own close is no news
        if (is_readable()) pipe_->readers--;
        if (is_writable()) pipe_->writers--;
        pipe_->changed.wake_all();
        if (pipe_->readers == 0 && pipe_->writers == 0) inode().fifo = nullptr;
    }

    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        const bool nonblocking = is_nonblocking() || (to.flags & RWF_NOWAIT);
        if (!is_named_) return pipe_->read(to, nonblocking);
        const size_t done = TRY(pipe_->read(to, nonblocking));
        if (done != 0) touch_access_time(*this);
        return done;
    }
    Result<size_t> write(IoBuffer& from, uint64_t&) override {
        const bool nonblocking = is_nonblocking() || (from.flags & RWF_NOWAIT);
        if (!is_named_) return pipe_->write(from, nonblocking, flags & O_DIRECT);
        const size_t done = TRY(pipe_->write(from, nonblocking, flags & O_DIRECT));
        if (done != 0) inode().modify_time = inode().change_time = current_time();
        return done;
    }
    Result<long> ioctl(uint32_t command, uint64_t argument) override {
        if (command != FIONREAD) return Error(ENOTTY);
        auto bytes = static_cast<int32_t>(pipe_->bytes());
        if (!copy_to_user(argument, &bytes, sizeof(bytes))) return Error(EFAULT);
        return 0;
    }
    uint32_t poll_events() override { return pipe_->poll_events(is_readable(), is_writable()); }
    WaitQueue* wait_queue() override { return &pipe_->changed; }
    bool can_signal() override { return true; }
    Pipe* pipe() override { return pipe_.get(); }

  private:
    // As newer Linux, the hot path of pipes without a name asks no clock.
    const bool is_named_ = static_cast<bool>(path().mount);
    RefPtr<Pipe> pipe_;
};

size_t format_pipe_name(char* to, uint64_t number) {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    constexpr std::string_view kStart = "pipe:[";
    size_t length = kStart.copy(to, kStart.size());
    while (count != 0) to[length++] = digits[--count];
    to[length++] = ']';
    return length;
}

}  // namespace

Result<Path> make_pipe_path(const RefPtr<Inode>& inode) {
    char name[32];
    size_t length = format_pipe_name(name, inode->number);
    return make_anonymous_path({name, length}, inode);
}

Result<PipeEnds> make_pipe(uint32_t flags) {
    RefPtr<Pipe> pipe = TRY(Pipe::create());
    RefPtr<Inode> inode = TRY(make_anonymous_inode(S_IFIFO | 0600));
    Path path = TRY(make_pipe_path(inode));
    inode->fifo = pipe.get();
    PipeEnds ends;
    ends.read_end = TRY(make_ref<PipeFile>(path, inode, O_RDONLY | flags, pipe));
    ends.write_end = TRY(make_ref<PipeFile>(path, inode, O_WRONLY | flags, pipe));
    return ends;
}

Result<RefPtr<File>> open_fifo(const Path& path, const RefPtr<Inode>& inode, uint32_t flags) {
    RefPtr<Pipe> pipe(inode->fifo);
    if (!pipe) pipe = TRY(Pipe::create());
    uint32_t access = flags & O_ACCMODE;
    if (access == O_WRONLY && (flags & O_NONBLOCK) && pipe->readers == 0) return Error(ENXIO);
    uint32_t readers_before = pipe->reader_opens, writers_before = pipe->writer_opens;
    RefPtr<File> file = TRY(make_ref<PipeFile>(path, inode, flags, pipe));
    inode->fifo = pipe.get();
    pipe->changed.wake_all();
    if (flags & O_NONBLOCK) return file;
    // The other end may come and go before this thread runs again: its opening counts.
    if (access == O_RDONLY && pipe->writers == 0) {
        TRY(wait_until(pipe->changed, Deadline::never(),
                       [&] { return pipe->writer_opens != writers_before; }));
    } else if (access == O_WRONLY && pipe->readers == 0) {
        TRY(wait_until(pipe->changed, Deadline::never(),
                       [&] { return pipe->reader_opens != readers_before; }));
    }
    return file;
}

}  // namespace coracle
