// MSG_ZEROCOPY (Documentation/networking/msg_zerocopy.rst): the application's pages are sent as
// they lie, and a notice in the error queue says when they are its own again.
#pragma once

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/memory/frames.h"
#include "libposix/net/inet/error_queue.h"
#include "libposix/net/route.h"

namespace coracle::net {

class ZeroCopySend;

// Counts the sends of one socket, and takes their notices to it.
class ZeroCopyCounter : public RefCounted<ZeroCopyCounter> {
  public:
    ZeroCopyCounter(ErrorQueue& errors, WaitQueue& changed) : errors_(&errors), changed_(changed) {}
    // The socket goes; what it sent may still be on its way.
    void detach() { errors_ = nullptr; }

  private:
    friend class ZeroCopySend;
    static constexpr uint32_t kMaxOutstanding = 1024;

    ErrorQueue* errors_;  // null: nobody waits any more
    WaitQueue& changed_;
    uint32_t next_ = 0, outstanding_ = 0;
};

// One send(2): every page that is on its way holds a reference. Its notice comes when the last is
// gone, if count() was called; else the send failed, and its number is for the next.
class ZeroCopySend : public RefCounted<ZeroCopySend> {
  public:
    // The next send of the socket, whose counter is made if it has none yet. ENOBUFS: too many are
    // on their way; ENOMEM.
    static Result<RefPtr<ZeroCopySend>> begin(RefPtr<ZeroCopyCounter>& counter, ErrorQueue& errors,
                                              WaitQueue& changed, bool is_copied);
    ZeroCopySend(RefPtr<ZeroCopyCounter> counter, bool is_copied);
    ~ZeroCopySend();

    bool is_copied() const { return is_copied_; }
    void count() { is_counted_ = true; }

    // The next bytes of the application's, `limit` at most, in buffers on its pages; consumes them.
    // EFAULT, ENOBUFS. May sleep.
    Result<BufferPtr> take_pages(IoBuffer& from, size_t limit);

  private:
    Result<BufferPtr> take_page(IoBuffer& from, size_t limit);

    RefPtr<ZeroCopyCounter> counter_;
    uint32_t number_;
    bool is_copied_, is_counted_ = false;
};

// Whether what goes this way can be sent from the application's pages: nobody on this machine may
// get to see them later, and the device has to sum them.
bool can_send_pages(const Route& route);

// The next bytes of kernel memory with IoBuffer::kStablePages, `limit` at most and of one page, in
// a buffer that refers to them; consumes them. ENOBUFS.
Result<BufferPtr> take_stable_page(IoBuffer& from, size_t limit);

}  // namespace coracle::net
