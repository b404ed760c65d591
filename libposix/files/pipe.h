// Pipes and fifos (man 7 pipe): a ring of page frames between writers and readers.
//
// Concurrency: `lock` is held while bytes move, because a copy to or from the application can
// fault and sleep. Who waits for data or room gives it up meanwhile.
#pragma once

#include "kernel-min/sched/sleep_lock.h"
#include "libposix/files/file.h"

namespace coracle {

class Pipe : public RefCounted<Pipe> {
  public:
    static constexpr size_t kAtomicWrite = 4096;  // PIPE_BUF
    static constexpr size_t kDefaultPages = 16;
    static constexpr size_t kMaxSize = 1024 * 1024;  // fs.pipe-max-size

    // A page with some bytes. The pipe holds a reference of the frame.
    struct Buffer {
        PhysAddr frame;
        uint32_t start, length;
        bool is_packet;  // what a read leaves of it is lost (O_DIRECT)
        bool is_shared;  // others see the page: nothing is appended
        const char* data() const { return phys_to_virt<char>(frame) + start; }
    };

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

    // The parts of splice(2) and its relatives. Precondition: the caller holds `lock`; the waits
    // give it up while they sleep.
    SleepLock lock;
    bool is_empty() const { return count_ == 0; }
    bool is_full() const { return count_ >= page_limit_; }
    size_t count() const { return count_; }
    Buffer& at(size_t index) const { return ring_[(first_ + index) & (ring_size_ - 1)]; }
    // Until it has data, or no writer is left. EAGAIN, kErestartsys.
    Result<void> wait_for_data(bool nonblocking);
    // Until a page fits. EPIPE with SIGPIPE, EAGAIN, kErestartsys.
    Result<void> wait_for_room(bool nonblocking);
    // Precondition: not full. Takes over the reference of the frame.
    void push(const Buffer& buffer) { at(count_++) = buffer; }
    // Takes bytes off the first buffer. Precondition: it has them.
    void consume(size_t size);
    // Takes the first buffer out without dropping its frame.
    Buffer take_first();
    void wake_readers() { changed.wake_one(POLLIN | POLLRDNORM); }
    void wake_writers() { changed.wake_one(POLLOUT | POLLWRNORM); }

    uint32_t readers = 0, writers = 0;
    // How often each end was opened: what open(2) of a fifo waits for.
    uint32_t reader_opens = 0, writer_opens = 0;
    WaitQueue changed;

  private:
    // Whether `size` more bytes, a page at most, can be taken in one piece.
    bool has_room(size_t size, bool packet) const;
    bool can_append(size_t size, bool packet) const;
    Result<size_t> read_only_page(IoBuffer& to);
    Result<size_t> read_any(IoBuffer& to, bool nonblocking);
    Result<size_t> write_to_empty(IoBuffer& from, bool packet);
    Result<size_t> write_all(IoBuffer& from, bool nonblocking, bool packet);
    Result<size_t> write_some(IoBuffer& from, bool packet);
    Result<size_t> append(IoBuffer& from, size_t size);
    Result<size_t> push_page(IoBuffer& from, bool packet);
    template <typename Predicate>
    Result<void> wait_unlocked(Predicate predicate);
    void drop_first();

    Buffer* ring_ = nullptr;
    size_t ring_size_ = 0;  // a power of two
    size_t page_limit_ = kDefaultPages;
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
