/* io_uring requests until the kernel has no memory for another: those that were taken stay, the
 * next one stays in the ring, and all of them complete once there is memory again. */
#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { kEntries = 8, kCompletions = 1 << 15, kLeftForRequests = 4 << 20 };
static char seen[kCompletions];
static struct io_uring_params params;
static char *rings;
static struct io_uring_sqe *entries;

static unsigned *word(unsigned offset) { return (unsigned *)(rings + offset); }

static char *map(int fd, size_t size, off_t offset) {
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, offset);
    return at == MAP_FAILED ? NULL : at;
}

/* As many as may be had: what the kernel says of them. */
static int submit(int ring, int file, unsigned first, unsigned count) {
    const unsigned tail = *word(params.sq_off.tail);
    for (unsigned i = 0; i < count; i++) {
        const unsigned index = (tail + i) & (kEntries - 1);
        entries[index] = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD,
                                               .fd = file,
                                               .poll32_events = POLLIN,
                                               .user_data = first + i};
        word(params.sq_off.array)[index] = index;
    }
    __atomic_store_n(word(params.sq_off.tail), tail + count, __ATOMIC_RELEASE);
    return (int)syscall(SYS_io_uring_enter, ring, count, 0, 0, NULL, 0);
}

static int fail(const char *what, long value) {
    fprintf(stderr, "%s: %ld\n", what, value);
    return 3;
}

int main(void) {
    struct sysinfo info;
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = kCompletions;
    const int ring = (int)syscall(SYS_io_uring_setup, kEntries, &params);
    const int event = eventfd(0, 0); /* needs no memory later */
    if (ring < 0 || event < 0) return fail("setup", errno);
    rings = map(ring, params.cq_off.cqes + kCompletions * sizeof(struct io_uring_cqe), 0);
    entries = (struct io_uring_sqe *)map(ring, kEntries * sizeof(*entries), IORING_OFF_SQES);
    if (!rings || !entries) return fail("mmap", errno);
    memset(seen, 1, sizeof(seen)); /* the pages, too */
    sysinfo(&info);
    if (info.freeram > kLeftForRequests && !map(-1, info.freeram - kLeftForRequests, 0)) {
        return fail("mmap", errno);
    }

    unsigned taken = 0;
    int result;
    while ((result = submit(ring, event, taken, kEntries)) == kEntries) taken += kEntries;
    const int first_error = result < 0 ? errno : 0;
    if (result > 0) taken += (unsigned)result;
    const unsigned left = *word(params.sq_off.tail) - *word(params.sq_off.head);
    if (*word(params.sq_off.head) != taken) return fail("head", *word(params.sq_off.head));
    if (taken + left > kCompletions) return fail("too much memory", taken);
    /* With nothing taken at all it is an error. */
    result = (int)syscall(SYS_io_uring_enter, ring, left, 0, 0, NULL, 0);
    if (result != -1 || errno != EAGAIN) return fail("no memory", result < 0 ? errno : result);
    if (first_error != 0 && first_error != EAGAIN) return fail("first error", first_error);

    if (eventfd_write(event, 1) != 0) return fail("write", errno);
    result = (int)syscall(SYS_io_uring_enter, ring, 0, taken, IORING_ENTER_GETEVENTS, NULL, 0);
    if (result != 0) return fail("wait", errno);
    result = (int)syscall(SYS_io_uring_enter, ring, left, 0, 0, NULL, 0);
    if (result != (int)left) return fail("again", result < 0 ? errno : result);
    const struct io_uring_cqe *done = (const struct io_uring_cqe *)(rings + params.cq_off.cqes);
    const unsigned count = *word(params.cq_off.tail);
    if (count != taken + left) return fail("completions", count);
    for (unsigned i = 0; i < count; i++) {
        if (done[i].res != POLLIN) return fail("result", done[i].res);
        if (done[i].user_data >= count || seen[done[i].user_data]++ != 1) return fail("twice", i);
    }
    fprintf(stderr, "%s\n", count > 1000 ? "all completed" : "too few");
    return 0;
}
