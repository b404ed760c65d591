// What the memory tests share: mappings that clean up after themselves, faults as values.
#pragma once

#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <ostream>
#include <utility>

#include "expect_errno.h"

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = 2 << 20;

// Whether the page is in memory (mincore(2)).
inline bool is_resident(char* page) {
    unsigned char state = 0;
    EXPECT_EQ(mincore(page, kPage, &state), 0);
    return state & 1;
}

// mmap(2) until the end of the scope.
class Mapping {
  public:
    explicit Mapping(size_t size, int protection = PROT_READ | PROT_WRITE,
                     int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1, off_t offset = 0)
        : size_(size),
          start_(static_cast<char*>(mmap(nullptr, size, protection, flags, fd, offset))) {
        EXPECT_NE(start_, MAP_FAILED) << strerror(errno);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() { munmap(start_, size_); }

    char* data() const { return start_; }
    char& operator[](size_t index) const { return start_[index]; }
    char* page(size_t number) const { return start_ + number * kPage; }
    size_t size() const { return size_; }

  private:
    size_t size_;
    char* start_;
};

struct Fault {
    int signal, code;
    void* address;
    bool operator==(const Fault&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Fault& fault) {
    return out << "signal " << fault.signal << " code " << fault.code << " at " << fault.address;
}

namespace fault_detail {
inline sigjmp_buf jump;
inline Fault caught;
inline void on_fault(int signal, siginfo_t* info, void*) {
    caught = {signal, info->si_code, info->si_addr};
    siglongjmp(jump, 1);
}
}  // namespace fault_detail

// Runs `action` and tells which SIGSEGV or SIGBUS ended it, if one did.
template <typename Action>
std::optional<Fault> fault_of(Action action) {
    struct sigaction handler = {}, old_segv, old_bus;
    handler.sa_sigaction = fault_detail::on_fault;
    handler.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &handler, &old_segv);
    sigaction(SIGBUS, &handler, &old_bus);
    std::optional<Fault> result;
    if (sigsetjmp(fault_detail::jump, 1) == 0) {
        action();
    } else {
        result = fault_detail::caught;
    }
    sigaction(SIGSEGV, &old_segv, nullptr);
    sigaction(SIGBUS, &old_bus, nullptr);
    return result;
}

inline std::optional<Fault> fault_of_read(const void* address) {
    return fault_of([=] { (void)*static_cast<const volatile char*>(address); });
}
inline std::optional<Fault> fault_of_write(void* address) {
    return fault_of([=] { *static_cast<volatile char*>(address) = 1; });
}

inline std::optional<Fault> segv_maperr(const void* address) {
    return Fault{SIGSEGV, SEGV_MAPERR, const_cast<void*>(address)};
}
inline std::optional<Fault> segv_accerr(const void* address) {
    return Fault{SIGSEGV, SEGV_ACCERR, const_cast<void*>(address)};
}
inline std::optional<Fault> bus_adrerr(const void* address) {
    return Fault{SIGBUS, BUS_ADRERR, const_cast<void*>(address)};
}
