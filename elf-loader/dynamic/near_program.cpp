#include "elf-loader/dynamic/near_program.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "elf-loader/dynamic/self_relocation.h"

namespace coracle::loader {
namespace {

constexpr uint64_t kPage = 4096;

// The pointer by which the image's other code enters the kernel is not relocated yet: here, where
// the libc patcher knows the function by its name, the instruction stays.
extern "C" __attribute__((noinline, visibility("hidden"))) long unrelocated_system_call(
    long number, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result;
    asm volatile("call host_syscall"  // Not patched to call through a pointer.
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

Elf64_Addr map_at(Elf64_Addr place, uint64_t size) {
    const long result = unrelocated_system_call(
        SYS_mmap, static_cast<long>(place), static_cast<long>(size), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return result < 0 && result > -4096 ? 0 : static_cast<Elf64_Addr>(result);
}

void copy_words(Elf64_Addr to, Elf64_Addr from, uint64_t size) {
    auto* target = reinterpret_cast<uint64_t*>(to);
    const auto* source = reinterpret_cast<const uint64_t*>(from);
    for (uint64_t i = 0; i < (size + 7) / 8; ++i) target[i] = source[i];
}

}  // namespace

Elf64_Addr fixed_entry(const char* path) {
    const long file =
        unrelocated_system_call(SYS_open, reinterpret_cast<long>(path), 0, 0, 0, 0, 0);
    if (file < 0) return 0;
    Elf64_Ehdr header;
    header.e_type = ET_NONE;
    header.e_entry = 0;
    const long size = unrelocated_system_call(SYS_read, file, reinterpret_cast<long>(&header),
                                              sizeof(header), 0, 0, 0);
    unrelocated_system_call(SYS_close, file, 0, 0, 0, 0, 0);
    return size == sizeof(header) && header.e_type == ET_EXEC ? header.e_entry : 0;
}

int64_t copy_image(Elf64_Addr place) {
    const Elf64_Addr base = image_base();
    const Elf64_Ehdr& header = *image_header();
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(base + header.e_phoff);
    uint64_t size = 0;
    for (int i = 0; i < header.e_phnum; ++i)
        if (segments[i].p_type == PT_LOAD) size = segments[i].p_vaddr + segments[i].p_memsz;
    size = (size + kPage - 1) & ~(kPage - 1);
    const Elf64_Addr copy = map_at(place, size);
    if (copy == 0) return 0;
    for (int i = 0; i < header.e_phnum; ++i) {
        const Elf64_Phdr& segment = segments[i];
        if (segment.p_type != PT_LOAD) continue;
        copy_words(copy + segment.p_vaddr, base + segment.p_vaddr, segment.p_filesz);
        const uint64_t start = segment.p_vaddr & ~(kPage - 1);
        const int protection = (segment.p_flags & PF_R ? PROT_READ : 0) |
                               (segment.p_flags & PF_W ? PROT_WRITE : 0) |
                               (segment.p_flags & PF_X ? PROT_EXEC : 0);
        unrelocated_system_call(SYS_mprotect, static_cast<long>(copy + start),
                                static_cast<long>(segment.p_vaddr + segment.p_memsz - start),
                                protection, 0, 0, 0);
    }
    return static_cast<int64_t>(copy - base);
}

}  // namespace coracle::loader
