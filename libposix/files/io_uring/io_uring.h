// io_uring (man 7 io_uring): requests that a program puts into a ring and whose results come back
// in another.
//
// A request is carried out when it is submitted. What would have to wait stands in the wait queue
// of its file instead; the wake-up only notes that it may go on, and it does so when the program
// next enters the kernel for the ring (Linux's task work; IORING_SQ_TASKRUN tells the program).
// Files that cannot be waited for, such as those in memory, are done with at once. With
// IORING_SETUP_SQPOLL a thread of the kernel does both in the program's place.
//
// Ownership: the ring owns its requests; each is in one of the lists, or is being carried out.
#pragma once

#include <linux/io_uring.h>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/slist.hpp>
#include <memory>

#include "kernel-min/sched/timer_queue.h"
#include "libposix/files/events/anonymous_file.h"
#include "libposix/files/io_uring/ring_memory.h"
#include "libposix/files/io_uring/submission_poller.h"

namespace coracle {

class IoUring;

struct IoUringRequest
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    // How it came to be ready.
    enum class Wake : uint8_t { kNone, kEvents, kTimeout, kCancel };

    explicit IoUringRequest(IoUring& owner) : ring(owner), wait(*this), timer(on_timer, this) {}

    bool is_linked_to_next() const { return sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK); }

    IoUring& ring;
    io_uring_sqe sqe;  // as it was submitted
    RefPtr<File> file;
    std::unique_ptr<IoUringRequest> next;          // of its chain
    std::unique_ptr<IoUringRequest> link_timeout;  // limits how long this one may wait
    IoUringRequest* limited = nullptr;             // LINK_TIMEOUT: the one that it limits
    uint64_t sequence = 0;                         // how many were submitted before it
    uint64_t target = 0;  // TIMEOUT with a count: when so many are completed
    uint32_t events = 0;  // POLL*, that it waits for
    Wake wake = Wake::kNone;
    bool has_started = false;  // CONNECT: the connection is on its way

    struct Wait : WaitEntry {
        explicit Wait(IoUringRequest& owner) : WaitEntry(on_wake), request(owner) {}
        IoUringRequest& request;
    } wait;
    Timer timer;

  private:
    static bool on_wake(WaitEntry& entry, uint32_t events);
    static void on_timer(void* request);
};

// What became of a request: its result, or that it waits.
struct IoUringOutcome {
    bool waits = false;
    int32_t result = 0;
    uint32_t flags = 0;   // IORING_CQE_F_*
    bool failed = false;  // breaks its chain
};

class IoUring final : public AnonymousFile {
  public:
    static constexpr FileKind kKind = FileKind::kIoUring;
    using RequestList =
        boost::intrusive::list<IoUringRequest, boost::intrusive::constant_time_size<false>>;

    // A thread's watch for a ring that polls: both null or neither.
    IoUring(const Path& path, RefPtr<Inode> inode, uint32_t flags, RefPtr<RingMemory> memory,
            uint32_t setup_flags, RefPtr<SubmissionPoller> poller,
            std::unique_ptr<SubmissionPoller::Watch> watch);
    ~IoUring() override;

    bool is_enabled() const { return is_enabled_; }
    void enable();
    // io_uring_enter(2)'s halves. The number of entries consumed; EAGAIN: none, for want of memory.
    Result<unsigned> submit(unsigned count);
    // Waits for completions: ETIME, EINTR.
    Result<void> wait_for(unsigned count, Deadline deadline);
    // For a ring that polls: IORING_ENTER_SQ_WAIT, and what the thread does. Whether it had work.
    void wait_for_room();
    bool serve(unsigned most);
    SubmissionPoller* poller() const { return poller_.get(); }

    // For the operations.
    RingMemory& memory() { return *memory_; }
    // Lets a request wait for events of its file, or until its timer ends.
    void wait_for_events(IoUringRequest& request, uint32_t events);
    void wait_for_timer(IoUringRequest& request);
    // A completion that does not end its request (multishot).
    void post(const IoUringRequest& request, int32_t result, uint32_t flags);
    // Ends waiting requests with -ECANCELED, all or the first that `matches`. How many there were.
    template <typename Matches>
    unsigned cancel(Matches matches, bool all) {
        unsigned count = 0;
        for (auto at = waiting_.begin(); at != waiting_.end() && (all || count == 0);) {
            IoUringRequest& request = *at++;
            if (!matches(request)) continue;
            make_ready(request, IoUringRequest::Wake::kCancel);
            count++;
        }
        return count;
    }
    template <typename Matches>
    IoUringRequest* find_waiting(Matches matches) {
        for (IoUringRequest& request : waiting_) {
            if (matches(request)) return &request;
        }
        return nullptr;
    }
    void make_ready(IoUringRequest& request, IoUringRequest::Wake why);
    uint64_t completed() const { return completed_; }

    // Registered resources (io_uring_register(2)).
    struct FixedBuffer {
        uint64_t address, length;
    };
    std::unique_ptr<FixedBuffer[]> buffers;
    unsigned buffer_count = 0;
    std::unique_ptr<RefPtr<File>[]> files;
    unsigned file_count = 0;
    RefPtr<File> event_file;

    Result<RefPtr<MemoryObject>> memory_object() override { return RefPtr<MemoryObject>(memory_); }
    uint32_t poll_events() override;
    WaitQueue* wait_queue() override { return &changed_; }
    void describe_state(TextBuffer& to) override;

  private:
    struct Overflow : boost::intrusive::slist_base_hook<> {
        io_uring_cqe completion;
    };

    // Requests wait for whoever enters the kernel for the ring next.
    bool has_own_work() const { return !poller_ && !ready_.empty(); }
    void start(std::unique_ptr<IoUringRequest> request);
    void start_deferred();
    // Carries it out, and those linked to it, until one waits.
    void run(std::unique_ptr<IoUringRequest> request);
    void run_ready();
    // Takes the result of a request that is over, and gives the next of its chain, if it may go on.
    std::unique_ptr<IoUringRequest> complete(std::unique_ptr<IoUringRequest> request,
                                             const IoUringOutcome& outcome);
    void cancel_chain(std::unique_ptr<IoUringRequest> first);
    void end_link_timeout(std::unique_ptr<IoUringRequest> limit);
    void put(uint64_t user_data, int32_t result, uint32_t flags);
    void flush_overflow();
    void end_counted_timeouts();

    const RefPtr<RingMemory> memory_;
    RequestList waiting_, ready_, deferred_;
    boost::intrusive::slist<Overflow, boost::intrusive::cache_last<true>> overflow_;
    uint64_t submitted_ = 0, completed_ = 0;
    const IoUringRequest* draining_ = nullptr;  // until it is over, nothing behind it starts
    WaitQueue changed_;
    bool is_enabled_;
    const RefPtr<SubmissionPoller> poller_;
    SubmissionPoller::Watch* watch_ = nullptr;  // the poller's
    WaitQueue room_;  // for those who wait until the poller has taken requests
};

// Carries out a request, or goes on with one that was woken (operations.cpp).
IoUringOutcome issue_request(IoUringRequest& request);
// LINK_TIMEOUT: its time begins. False: it has none that makes sense.
bool start_link_timeout(IoUringRequest& limit);
// IORING_REGISTER_PROBE's answer.
bool is_supported_operation(unsigned opcode);

}  // namespace coracle
