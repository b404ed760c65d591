#include "elf-loader/dynamic/program_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf-loader/dynamic/dynamic_info.h"
#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/elf_file.h"

namespace coracle::loader {
namespace {

[[noreturn]] void cannot_load(const char* path, const char* reason, int error) {
    _dl_fatal_printf("%s: error while loading shared libraries: %s: %s%s%s\n", path, path, reason,
                     error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
}

Elf64_auxv_t* auxv_entry(uint64_t type) {
    for (Elf64_auxv_t* entry = _dl_auxv; entry->a_type != AT_NULL; ++entry)
        if (entry->a_type == type) return entry;
    return nullptr;
}

void set_auxv(uint64_t type, uint64_t value) {
    if (Elf64_auxv_t* entry = auxv_entry(type)) entry->a_un.a_val = value;
}

int protection(uint32_t flags) {
    return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
           (flags & PF_X ? PROT_EXEC : 0);
}

class ProgramFile {
  public:
    explicit ProgramFile(const char* path) : path_(path) {
        descriptor_ = open(path, O_RDONLY | O_CLOEXEC);
        if (descriptor_ < 0) cannot_load(path, "cannot open shared object file", errno);
        size_ = pread(descriptor_, head_, sizeof(head_), 0);
        if (size_ < 0) cannot_load(path, "cannot read file data", errno);
        const off_t file_size = lseek(descriptor_, 0, SEEK_END);
        const elf::Problem problem =
            file_.parse(head_, static_cast<size_t>(size_), static_cast<uint64_t>(file_size));
        if (problem.message != nullptr) cannot_load(path, problem.message, 0);
    }
    ~ProgramFile() { close(descriptor_); }

    bool has_interpreter() const { return file_.find_segment(PT_INTERP) != nullptr; }

    // Returns the distance between the file's addresses and those of memory.
    Elf64_Addr map() {
        const elf::Extent extent = file_.extent(_dl_pagesize);
        const int fixed = file_.header().e_type == ET_EXEC ? MAP_FIXED_NOREPLACE : 0;
        void* wanted = reinterpret_cast<void*>(fixed ? extent.start : 0);
        void* area = mmap(wanted, extent.size(), PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
        if (area == MAP_FAILED) cannot_load(path_, "cannot map the program", errno);
        const Elf64_Addr bias = reinterpret_cast<Elf64_Addr>(area) - extent.start;
        for (const Elf64_Phdr& segment : file_.segments())
            if (segment.p_type == PT_LOAD) map_segment(segment, bias);
        return bias;
    }

    const elf::ElfFile& file() const { return file_; }

  private:
    void map_segment(const Elf64_Phdr& segment, Elf64_Addr bias) {
        const Elf64_Addr mask = _dl_pagesize - 1;
        const Elf64_Addr start = (bias + segment.p_vaddr) & ~mask;
        const Elf64_Addr file_end = bias + segment.p_vaddr + segment.p_filesz;
        const Elf64_Addr end = bias + segment.p_vaddr + segment.p_memsz;
        const Elf64_Addr mapped_end = (file_end + mask) & ~mask;
        const int access = protection(segment.p_flags);
        void* result = reinterpret_cast<void*>(start);
        if (segment.p_filesz > 0)
            result = mmap(result, file_end - start, access, MAP_PRIVATE | MAP_FIXED, descriptor_,
                          static_cast<off_t>(segment.p_offset & ~mask));
        const Elf64_Addr zero_from = segment.p_filesz > 0 ? mapped_end : start;
        if (result != MAP_FAILED && end > zero_from)
            result = mmap(reinterpret_cast<void*>(zero_from), end - zero_from, access,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (result == MAP_FAILED) cannot_load(path_, "cannot map the program", errno);
        if (end > file_end && (segment.p_flags & PF_W))
            memset(reinterpret_cast<void*>(file_end), 0,
                   (end < mapped_end ? end : mapped_end) - file_end);
    }

    const char* path_;
    int descriptor_;
    ssize_t size_ = 0;
    alignas(16) unsigned char head_[4096];
    elf::ElfFile file_;
};

}  // namespace

void map_program_file(const char* path) {
    ProgramFile program(path);
    if (!program.has_interpreter()) {
        execve(path, _dl_argv, __environ);
        cannot_load(path, "cannot execute", errno);
    }
    const Elf64_Addr bias = program.map();
    const Elf64_Ehdr& header = program.file().header();
    _dl_phdr = reinterpret_cast<const Elf64_Phdr*>(bias + program.file().segment_table_address());
    _dl_phnum = header.e_phnum;
    set_auxv(AT_PHDR, reinterpret_cast<uint64_t>(_dl_phdr));
    set_auxv(AT_PHNUM, header.e_phnum);
    set_auxv(AT_ENTRY, bias + header.e_entry);
    set_auxv(AT_EXECFN, reinterpret_cast<uint64_t>(path));
}

void enter_program_map(LinkMap& map) {
    map.l_phdr = _dl_phdr;
    map.l_phnum = static_cast<uint16_t>(_dl_phnum);
    map.l_entry = auxv_entry(AT_ENTRY)->a_un.a_val;
    for (size_t i = 0; i < _dl_phnum; ++i)
        if (_dl_phdr[i].p_type == PT_PHDR)
            map.l_addr = reinterpret_cast<Elf64_Addr>(_dl_phdr) - _dl_phdr[i].p_vaddr;
    map.l_direct_opencount = 1;
    map.l_main_map = 1;
    _dl_stack_flags = read_program_headers(map);
    read_dynamic_section(map);
    _dl_setup_hash(&map);
}

void set_program_origin(LinkMap& map, const char* path) {
    char* real = realpath(path, nullptr);
    if (real == nullptr) return;
    char* slash = strrchr(real, '/');
    slash[slash == real ? 1 : 0] = '\0';
    map.l_origin = real;
}

}  // namespace coracle::loader
