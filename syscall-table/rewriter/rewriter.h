// Turns the `syscall` instructions of a program into calls of the kernel, each when it traps again:
// many are made once, at a program's start, and a rewrite costs as much as several traps.
//
// One Rewriter belongs to an address space: fork copies it, execve starts with a new one. It needs
// no memory of its own but the stub pages in the program.
//
// Threads: the five bytes of the jump are written in one piece by CodeSpace::write_code, while no
// other CPU runs the program. A thread of the same process that was preempted stands before the
// mov, or behind it at the `syscall`, which stays: both go on right. With several CPUs a writer
// must first stop them from fetching a torn instruction (int3 in the first byte, as Linux's
// text_poke_bp does, or an eight-byte store where the jump does not cross such a word).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel-min/lib/result.h"
#include "syscall-table/rewriter/stub.h"

namespace coracle::rewriter {

constexpr size_t kStubPageSize = 4096;

// What the rewriter asks of an address space.
class CodeSpace {
  public:
    // Copies the `size` bytes that end at `end`, or, if not all of them can be read, those behind
    // the last that cannot; returns how many that were.
    virtual size_t read_code_before(uint64_t end, uint8_t* to, size_t size) = 0;
    // Writes into the process's own copy of a code page, whatever its protection says.
    virtual Result<void> write_code(uint64_t address, std::span<const uint8_t> bytes) = 0;
    // The same for one instruction that other threads may be about to run. EAGAIN: it cannot change
    // at once for all of them.
    virtual Result<void> replace_instruction(uint64_t address, std::span<const uint8_t> bytes) {
        return write_code(address, bytes);
    }
    // Maps a page that the program may execute but not write, at most `reach` from `address`.
    // ENOMEM: there is no room.
    virtual Result<uint64_t> map_stub_page(uint64_t address, uint64_t reach) = 0;

  protected:
    ~CodeSpace() = default;
};

class Rewriter {
  public:
    // `entry`: where stubs call to (ProcessPage::syscall_entry).
    explicit Rewriter(uint64_t entry) : entry_(entry) {}

    // The `syscall` at `address` trapped with this rax. Rewrites it if it did so before and if that
    // is provably right (site.h), and tells whether it did; if not, the site goes on trapping.
    bool rewrite(CodeSpace& space, uint64_t address, uint64_t rax);

    uint32_t rewritten_count() const { return rewritten_; }

  private:
    static constexpr size_t kMaxPages = 64;
    static constexpr size_t kStubsPerPage = (kStubPageSize - sizeof(uint64_t)) / kStubSize;
    static constexpr size_t kSlotOffset = kStubPageSize - sizeof(uint64_t);
    static constexpr size_t kSites = 128;
    // Two sites that share an entry of seen_ must not hold each other off: one in so many is
    // rewritten at its first trap.
    static constexpr uint32_t kImpatience = 16;

    struct Page {
        uint64_t address;
        uint32_t used;
    };

    Result<uint64_t> allocate_stub(CodeSpace& space, uint64_t address);
    Result<void> redirect(CodeSpace& space, uint64_t address, uint32_t number);
    bool is_first_trap(uint64_t address);
    static size_t hash(uint64_t address) { return (address ^ address >> 7) % kSites; }

    uint64_t entry_;
    uint32_t page_count_ = 0;
    uint32_t rewritten_ = 0;
    Page pages_[kMaxPages] = {};
    // Sites that were looked at and must trap, so that they are not looked at each time.
    uint64_t refused_[kSites] = {};
    uint64_t seen_[kSites] = {};
    uint32_t first_traps_ = 0;
};

}  // namespace coracle::rewriter
