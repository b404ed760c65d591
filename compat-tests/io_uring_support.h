// What the io_uring_* tests share: the calls, and rings as a library would keep them.
#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>

#include <atomic>
#include <map>
#include <utility>
#include <vector>

#include "sockets_support.h"

inline int io_uring_setup(unsigned entries, io_uring_params* params) {
    return static_cast<int>(syscall(SYS_io_uring_setup, entries, params));
}
inline int io_uring_enter(int fd, unsigned submit, unsigned wait, unsigned flags,
                          void* argument = nullptr, size_t size = 0) {
    return static_cast<int>(syscall(SYS_io_uring_enter, fd, submit, wait, flags, argument, size));
}
inline int io_uring_register(int fd, unsigned opcode, const void* argument, unsigned count) {
    return static_cast<int>(syscall(SYS_io_uring_register, fd, opcode, argument, count));
}

inline io_uring_params setup_parameters(unsigned flags = 0) {
    io_uring_params params = {};
    params.flags = flags;
    return params;
}

class Ring {
  public:
    explicit Ring(unsigned entries = 8, unsigned flags = 0)
        : Ring(entries, setup_parameters(flags)) {}
    Ring(unsigned entries, const io_uring_params& params) : params_(params) {
        fd_.reset(io_uring_setup(entries, &params_));
        if (fd_ < 0) return;
        const size_t size =
            std::max(params_.sq_off.array + params_.sq_entries * sizeof(unsigned),
                     params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe));
        rings_ = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQ_RING));
        entries_ = static_cast<io_uring_sqe*>(
            mmap(nullptr, params_.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQES));
        EXPECT_NE(static_cast<void*>(rings_), MAP_FAILED);
        EXPECT_NE(static_cast<void*>(entries_), MAP_FAILED);
        size_ = size;
    }
    ~Ring() { reset(); }
    void reset() {
        if (fd_ < 0) return;
        munmap(rings_, size_);
        munmap(entries_, params_.sq_entries * sizeof(io_uring_sqe));
        fd_.reset();
    }
    bool is_open() const { return fd_ >= 0; }
    int fd() const { return fd_; }
    const io_uring_params& params() const { return params_; }

    io_uring_sqe& prepare(unsigned opcode, int fd, uint64_t user_data,
                          const void* address = nullptr, unsigned length = 0, uint64_t offset = 0) {
        auto& tail = word(params_.sq_off.tail);
        const unsigned index = (tail + prepared_) & (params_.sq_entries - 1);
        io_uring_sqe& sqe = entries_[index];
        memset(&sqe, 0, sizeof(sqe));
        sqe.opcode = static_cast<uint8_t>(opcode);
        sqe.fd = fd;
        sqe.user_data = user_data;
        sqe.addr = reinterpret_cast<uint64_t>(address);
        sqe.len = length;
        sqe.off = offset;
        reinterpret_cast<unsigned*>(rings_ + params_.sq_off.array)[index] = index;
        prepared_++;
        return sqe;
    }
    // Shows what was prepared to the kernel. How many that is.
    unsigned publish() {
        const unsigned count = std::exchange(prepared_, 0);
        word(params_.sq_off.tail).fetch_add(count);
        return count;
    }
    int submit(unsigned wait = 0) {
        const unsigned count = publish();
        return io_uring_enter(fd_, count, wait, wait ? IORING_ENTER_GETEVENTS : 0);
    }
    int wait(unsigned count) { return io_uring_enter(fd_, 0, count, IORING_ENTER_GETEVENTS); }

    std::vector<io_uring_cqe> take() {
        std::vector<io_uring_cqe> taken;
        auto& head = word(params_.cq_off.head);
        for (; head != word(params_.cq_off.tail); head++) {
            const auto* slots = reinterpret_cast<io_uring_cqe*>(rings_ + params_.cq_off.cqes);
            taken.push_back(slots[head & (params_.cq_entries - 1)]);
        }
        return taken;
    }
    // Submits, waits for `count` completions, and gives the results by user_data.
    std::map<uint64_t, int> run(unsigned count) {
        EXPECT_GE(submit(count), 0) << strerror(errno);
        std::map<uint64_t, int> results;
        for (const io_uring_cqe& each : take()) results[each.user_data] = each.res;
        return results;
    }
    int run_one() { return run(1)[1]; }
    std::atomic<unsigned>& word(unsigned offset) {
        return *reinterpret_cast<std::atomic<unsigned>*>(rings_ + offset);
    }

  private:
    Descriptor fd_;
    io_uring_params params_;
    char* rings_ = nullptr;
    size_t size_ = 0;
    io_uring_sqe* entries_ = nullptr;
    unsigned prepared_ = 0;
};

class IoUringTest : public SocketsTest {
  protected:
    explicit IoUringTest(const io_uring_params& params = setup_parameters()) : ring(8, params) {}
    void SetUp() override {
        const int error = ring.is_open() ? 0 : errno;
        if (error == ENOSYS || error == EPERM) GTEST_SKIP() << "this Linux gives no io_uring";
        ASSERT_TRUE(ring.is_open()) << strerror(error);
    }
    using Results = std::map<uint64_t, int>;
    Ring ring;
    char buffer_[4096] = {};
};
