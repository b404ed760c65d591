#include "libposix/process/vdso.h"

#include <elf.h>
#include <sys/mman.h>

#include "kernel-min/memory/heap.h"
#include "libposix/memory/kernel_pages.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/dispatch.h"

extern "C" const char vdso_image[];  // libposix/time/vdso

namespace coracle {

namespace {

// One frame that the kernel writes through the direct map and the process reads.
class ProcessPageObject : public MemoryObject {
  public:
    explicit ProcessPageObject(PhysAddr frame) : frame_(frame) {}
    ~ProcessPageObject() override { put_frame(frame_); }

    Result<PhysAddr> page(uint64_t index, bool for_write) override {
        if (index != 0) return Error(ENXIO);
        if (for_write) return Error(EACCES);
        get_frame(frame_);
        return frame_;
    }
    void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                  uint64_t* inode) override {
        constexpr char kName[] = "[vvar]";
        *device_major = *device_minor = 0;
        *inode = 0;
        for (size_t i = 0; i < sizeof(kName) && i < size; i++) buffer[i] = kName[i];
    }

  private:
    PhysAddr frame_;
};

}  // namespace

Result<ProcessPages> map_process_pages(AddressSpace& address_space) {
    PhysAddr frame = TRY(allocate_zeroed_frame());
    auto made = make_ref<ProcessPageObject>(frame);
    if (!made) {
        put_frame(frame);
        return made.error();
    }
    RefPtr<MemoryObject> object = made.release_value();
    static KernelPages code(vdso_image, kPageSize, "[vdso]");
    ProcessPages pages = {};
    pages.page = phys_to_virt<abi::ProcessPage>(frame);
    // The code finds the process page right before itself.
    pages.vvar = TRY(address_space.map({.size = 2 * kPageSize,
                                        .protection = PROT_NONE,
                                        .flags = MAP_PRIVATE | MAP_ANONYMOUS}));
    TRY(address_space.map({.address = pages.vvar,
                           .size = kPageSize,
                           .protection = PROT_READ,
                           .flags = MAP_SHARED | MAP_FIXED,
                           .object = std::move(object),
                           .may_write = false}));
    pages.vdso = TRY(address_space.map({.address = pages.vvar + kPageSize,
                                        .size = kPageSize,
                                        .protection = PROT_READ | PROT_EXEC,
                                        .flags = MAP_PRIVATE | MAP_FIXED,
                                        .object = RefPtr<MemoryObject>(&code)}));
    pages.vdso_syscall = pages.vdso + reinterpret_cast<const Elf64_Ehdr*>(vdso_image)->e_entry;
    pages.page->version = abi::kProcessPageVersion;
    pages.page->size = sizeof(abi::ProcessPage);
    pages.page->syscall_entry = reinterpret_cast<uint64_t>(syscall_call);
    pages.page->call_entries = reinterpret_cast<uint64_t>(call_entry_table);
    return pages;
}

void update_process_page(Process& process) {
    abi::ProcessPage& page = *process.page;
    page.pid = process.pid;
    page.ppid = process.parent_pid;
    page.uid = process.credentials.uid;
    page.euid = process.credentials.euid;
    page.gid = process.credentials.gid;
    page.egid = process.credentials.egid;
    fill_clock_page(page.clock);
}

}  // namespace coracle
