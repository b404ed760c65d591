#include "syscall-table/rewriter/process_code.h"

#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <new>

#include "kernel-min/lib/user_copy.h"
#include "libposix/process/process.h"
#include "syscall-table/rewriter/rewriter.h"

namespace coracle {

namespace {

// An address space's rewriter, which goes with it.
struct CallSites final : AddressSpaceAttachment {
    explicit CallSites(uint64_t entry) : rewriter(entry) {}
    rewriter::Rewriter rewriter;
};

class ProcessCode final : public rewriter::CodeSpace {
  public:
    explicit ProcessCode(AddressSpace& address_space) : address_space_(address_space) {}

    size_t read_code_before(uint64_t end, uint8_t* to, size_t size) override {
        if (copy_from_user(to, end - size, size)) return size;
        const size_t in_page = end % kPageSize;  // the page before is not there
        if (in_page >= size || !copy_from_user(to, end - in_page, in_page)) return 0;
        return in_page;
    }

    // Other CPUs may run it now: then it changes by one store, or not at all (EAGAIN).
    Result<void> replace_instruction(uint64_t address, std::span<const uint8_t> bytes) override {
        constexpr size_t kWordSize = 8;
        const uint64_t word = address & ~uint64_t{kWordSize - 1};
        const size_t offset = address - word;
        if (offset + bytes.size() > kWordSize) {
            const bool may_run = cpu_count > 1 && current_process()->threads.size() > 1;
            if (may_run) return Error(EAGAIN);
            return write_code(address, bytes);
        }
        uint8_t content[kWordSize];
        if (!copy_from_user(content, word, kWordSize)) return Error(EFAULT);
        std::copy(bytes.begin(), bytes.end(), content + offset);
        return write_code(word, content);  // one aligned store
    }

    // Shared code is another process's too, or a file's: EACCES.
    Result<void> write_code(uint64_t address, std::span<const uint8_t> bytes) override {
        const Region* region = address_space_.find(address);
        if (!region || address + bytes.size() > region->end) return Error(EFAULT);
        if (region->shared) return Error(EACCES);
        const int protection = region->protection;
        const uint64_t start = page_down(address);
        const uint64_t size = page_up(address + bytes.size()) - start;
        TRY(address_space_.protect(start, size, protection | PROT_WRITE));
        const bool written = copy_to_user(address, bytes.data(), bytes.size());
        TRY(address_space_.protect(start, size, protection));
        if (!written) return Error(ENOMEM);
        return {};
    }

    // The highest free page below the code: nothing grows there, as the heap does above it.
    Result<uint64_t> map_stub_page(uint64_t address, uint64_t reach) override {
        uint64_t page = page_down(address);
        while (const Region* region = address_space_.find(page)) {
            if (region->start < kLowestAddress + kPageSize) return Error(ENOMEM);
            page = region->start - kPageSize;
        }
        if (page + reach < address) return Error(ENOMEM);
        return address_space_.map({.address = page,
                                   .size = kPageSize,
                                   .protection = PROT_READ | PROT_EXEC,
                                   .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                                   .name = "[stubs]"});
    }

  private:
    AddressSpace& address_space_;
};

CallSites* call_sites(Process& process) {
    std::unique_ptr<AddressSpaceAttachment>& attachment = process.address_space->call_sites;
    if (!attachment) attachment.reset(new (std::nothrow) CallSites(process.page->syscall_entry));
    return static_cast<CallSites*>(attachment.get());
}

}  // namespace

void consider_rewriting(uint64_t site, uint64_t rax) {
    Process& process = *current_process();
    ProcessCode code(*process.address_space);
    if (CallSites* sites = call_sites(process)) sites->rewriter.rewrite(code, site, rax);
}

}  // namespace coracle
