#include "elf-loader/kernel/elf_image.h"

#include <cstring>

#include "kernel-min/lib/user_copy.h"
#include "kernel-min/memory/frames.h"

namespace coracle {

namespace {

constexpr size_t kMaxProgramHeaders = 65536 / sizeof(Elf64_Phdr);  // as Linux limits them
constexpr size_t kMaxInterpreter = 4096;                           // PATH_MAX
// Linux's own limit is the address space; ours keeps alignment arithmetic from wrapping.
constexpr uint64_t kMaxAlignment = 1ul << 30;

Result<void> read_exactly(ElfImage::ReadAt read_at, void* file, void* to, size_t size,
                          uint64_t offset) {
    if (TRY(read_at(file, to, size, offset)) != size) return Error(ENOEXEC);
    return {};
}

bool is_loadable_program(const Elf64_Ehdr& header) {
    return memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB &&
           header.e_machine == EM_X86_64 && (header.e_type == ET_EXEC || header.e_type == ET_DYN) &&
           header.e_phentsize == sizeof(Elf64_Phdr) && header.e_phnum > 0 &&
           header.e_phnum <= kMaxProgramHeaders;
}

uint64_t page_down(uint64_t address) { return address & ~(kPageSize - 1); }
uint64_t page_up(uint64_t address) { return page_down(address + kPageSize - 1); }

}  // namespace

Result<ElfImage> ElfImage::parse(ReadAt read_at, void* file) {
    ElfImage image;
    TRY(read_exactly(read_at, file, &image.header_, sizeof(image.header_), 0));
    if (!is_loadable_program(image.header_)) return Error(ENOEXEC);
    size_t count = image.header_.e_phnum;
    std::unique_ptr<Elf64_Phdr[]> headers(new (std::nothrow) Elf64_Phdr[count]);
    if (!headers) return Error(ENOMEM);
    TRY(read_exactly(read_at, file, headers.get(), count * sizeof(Elf64_Phdr),
                     image.header_.e_phoff));
    TRY(image.read_segments(headers.get()));
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_INTERP && !image.interpreter_) {
            TRY(image.read_interpreter(headers[i], read_at, file));
        }
        if (headers[i].p_type == PT_GNU_STACK) {
            image.executable_stack_ = (headers[i].p_flags & PF_X) != 0;
        }
    }
    return image;
}

Result<void> ElfImage::read_segments(const Elf64_Phdr* headers) {
    segments_.reset(new (std::nothrow) Segment[header_.e_phnum]);
    if (!segments_) return Error(ENOMEM);
    alignment_ = kPageSize;
    for (size_t i = 0; i < header_.e_phnum; i++) {
        const Elf64_Phdr& header = headers[i];
        if (header.p_type != PT_LOAD || header.p_memsz == 0) continue;
        if (header.p_filesz > header.p_memsz || !is_user_range(header.p_vaddr, header.p_memsz) ||
            header.p_offset + header.p_filesz < header.p_offset ||
            ((header.p_vaddr ^ header.p_offset) & (kPageSize - 1)) != 0) {
            return Error(ENOEXEC);
        }
        if (segment_count_ > 0) {
            const Segment& last = segments_[segment_count_ - 1];
            if (header.p_vaddr < last.address + last.memory_size) return Error(ENOEXEC);
        }
        bool power_of_two = (header.p_align & (header.p_align - 1)) == 0;
        if (power_of_two && header.p_align > alignment_ && header.p_align <= kMaxAlignment) {
            alignment_ = header.p_align;
        }
        segments_[segment_count_++] = {
            .file_offset = header.p_offset,
            .file_size = header.p_filesz,
            .address = header.p_vaddr,
            .memory_size = header.p_memsz,
            .readable = (header.p_flags & PF_R) != 0,
            .writable = (header.p_flags & PF_W) != 0,
            .executable = (header.p_flags & PF_X) != 0,
        };
        uint64_t table = header_.e_phoff;
        if (table >= header.p_offset && table - header.p_offset < header.p_filesz) {
            program_headers_address_ = table - header.p_offset + header.p_vaddr;
        }
    }
    if (segment_count_ == 0) return Error(ENOEXEC);
    low_ = page_down(segments_[0].address);
    const Segment& last = segments_[segment_count_ - 1];
    high_ = page_up(last.address + last.memory_size);
    return {};
}

Result<void> ElfImage::read_interpreter(const Elf64_Phdr& header, ReadAt read_at, void* file) {
    if (header.p_filesz < 2 || header.p_filesz > kMaxInterpreter) return Error(ENOEXEC);
    interpreter_.reset(new (std::nothrow) char[header.p_filesz]);
    if (!interpreter_) return Error(ENOMEM);
    TRY(read_exactly(read_at, file, interpreter_.get(), header.p_filesz, header.p_offset));
    if (interpreter_[header.p_filesz - 1] != '\0') return Error(ENOEXEC);
    return {};
}

}  // namespace coracle
