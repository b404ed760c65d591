#include "tools/tests/made_elf.h"

#include <cstring>

namespace coracle {

std::string MadeElf::bytes() const {
    std::string strings(1, '\0');
    std::vector<Elf64_Dyn> dynamic;
    auto add = [&](int64_t tag, const std::string& text) {
        if (text.empty()) return;
        dynamic.push_back({tag, {strings.size()}});
        strings.append(text).push_back('\0');
    };
    for (const std::string& name : needed) add(DT_NEEDED, name);
    add(DT_SONAME, soname);
    add(DT_RPATH, rpath);
    add(DT_RUNPATH, runpath);

    constexpr size_t kHeaders = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);
    size_t strings_at = kHeaders + interpreter.size() + 1;
    size_t dynamic_at = (strings_at + strings.size() + 7) / 8 * 8;
    dynamic.push_back({DT_STRTAB, {strings_at}});
    dynamic.push_back({DT_STRSZ, {strings.size()}});
    dynamic.push_back({DT_NULL, {0}});
    size_t dynamic_size = dynamic.size() * sizeof(Elf64_Dyn);

    std::string file(dynamic_at + dynamic_size, '\0');
    Elf64_Ehdr header{};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = type;
    header.e_machine = machine;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 3;
    memcpy(file.data(), &header, sizeof(header));
    Elf64_Phdr segments[3] = {
        {PT_LOAD, PF_R, 0, 0, 0, file.size(), file.size(), 4096},
        {PT_DYNAMIC, PF_R, dynamic_at, dynamic_at, dynamic_at, dynamic_size, dynamic_size, 8},
        {interpreter.empty() ? uint32_t{PT_NULL} : uint32_t{PT_INTERP}, PF_R, kHeaders, kHeaders,
         kHeaders, interpreter.size() + 1, interpreter.size() + 1, 1},
    };
    memcpy(file.data() + sizeof(header), segments, sizeof(segments));
    memcpy(file.data() + kHeaders, interpreter.data(), interpreter.size());
    memcpy(file.data() + strings_at, strings.data(), strings.size());
    memcpy(file.data() + dynamic_at, dynamic.data(), dynamic_size);
    return file;
}

}  // namespace coracle
