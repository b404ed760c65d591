// Pipes and fifos (man 7 pipe): a ring of page frames between writers and readers.
#pragma once

#include "libposix/files/file.h"

namespace coracle {

class Pipe : public RefCounted<Pipe> {
  public:
    static constexpr size_t kAtomicWrite = 4096;  // PIPE_BUF
    static constexpr size_t kDefaultPages = 16;
    static constexpr size_t kMaxSize = 1024 * 1024;  // fs.pipe-max-size

    static Result<RefPtr<Pipe>> create();
    ~Pipe();

    // The errors of read(2) and write(2) on pipes; `nonblocking` as O_NONBLOCK. `packet`: O_DIRECT.
    Result<size_t> read(IoBuffer& to, bool nonblocking);
    Result<size_t> write(IoBuffer& from, bool nonblocking, bool packet);

    uint32_t poll_events(bool for_reading, bool for_writing) const;
    size_t bytes() const;  // FIONREAD
    size_t capacity() const { return page_limit_ * kPageSize; }
    // F_SETPIPE_SZ: rounds up to a power of two of pages. EBUSY: it holds more; EINVAL, ENOMEM.
    Result<size_t> resize(size_t size);

    uint32_t readers = 0, writers = 0;
    // How often each end was opened: what open(2) of a fifo waits for.
    uint32_t reader_opens = 0, writer_opens = 0;
    WaitQueue changed;

  private:
    struct Buffer {
        PhysAddr frame;
        uint32_t start, length;
        bool is_packet;
    };
    Buffer& at(size_t index) const { return ring_[(first_ + index) % ring_size_]; }
    bool is_full() const { return count_ >= page_limit_; }
    // Whether `size` more bytes, a page at most, can be taken in one piece.
    bool has_room(size_t size, bool packet) const;
    Result<size_t> write_some(IoBuffer& from, bool packet);
    void drop_first();

    Buffer* ring_ = nullptr;
    size_t ring_size_ = 0, page_limit_ = kDefaultPages;
    size_t first_ = 0, count_ = 0;
    PhysAddr spare_ = 0;  // the last frame that was read empty
};

// The two ends of a new pipe. `flags`: O_NONBLOCK, O_DIRECT.
struct PipeEnds {
    RefPtr<File> read_end, write_end;
};
Result<PipeEnds> make_pipe(uint32_t flags);

// The name "pipe:[INODE]" that /proc/self/fd shows. ENOMEM.
Result<Path> make_pipe_path(const RefPtr<Inode>& inode);

// open(2) of a fifo waits for the other end: ENXIO, kErestartsys.
Result<RefPtr<File>> open_fifo(const Path& path, const RefPtr<Inode>& inode, uint32_t flags);

}  // namespace coracle
