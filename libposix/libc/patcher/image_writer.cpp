#include "libposix/libc/patcher/image_writer.h"

#include <algorithm>
#include <fstream>

namespace coracle::patcher {
namespace {

constexpr uint64_t kPageSize = 4096;

uint64_t round_up(uint64_t value, uint64_t align) {
    return (value + align - 1) / align * align;
}

}  // namespace

ImageWriter::ImageWriter(ElfImage& image) : image_(image), dynamic_(read_dynamic()) {
    uint64_t end = 0;
    for (const Elf64_Phdr& segment : image.segments())
        if (segment.p_type == PT_LOAD) end = std::max(end, segment.p_vaddr + segment.p_memsz);
    start_ = next_ = round_up(end, kPageSize);
}

std::vector<Elf64_Dyn> ImageWriter::read_dynamic() const {
    const Elf64_Shdr* section = image_.find_section(".dynamic");
    if (section == nullptr) throw Error(image_.path() + ": has no dynamic section");
    std::vector<Elf64_Dyn> entries;
    for (uint64_t i = 0; i < section->sh_size / sizeof(Elf64_Dyn); ++i) {
        const auto entry = image_.read<Elf64_Dyn>(section->sh_addr + i * sizeof(Elf64_Dyn));
        if (entry.d_tag == DT_NULL) break;
        entries.push_back(entry);
    }
    return entries;
}

uint64_t ImageWriter::add_table(std::vector<uint8_t> bytes) {
    const uint64_t address = round_up(next_, 8);
    next_ = address + bytes.size();
    tables_.push_back({address, std::move(bytes)});
    return address;
}

void ImageWriter::set_dynamic(int64_t tag, uint64_t value) {
    remove_dynamic(tag);
    Elf64_Dyn entry;
    entry.d_tag = tag;
    entry.d_un.d_val = value;
    dynamic_.push_back(entry);
}

void ImageWriter::remove_dynamic(int64_t tag) {
    std::erase_if(dynamic_, [&](const Elf64_Dyn& entry) { return entry.d_tag == tag; });
}

void ImageWriter::write(const std::string& path) {
    const Elf64_Shdr& dynamic = *image_.find_section(".dynamic");
    if ((dynamic_.size() + 1) * sizeof(Elf64_Dyn) > dynamic.sh_size)
        throw Error("the dynamic section is too small");
    std::memset(image_.at(dynamic.sh_addr, dynamic.sh_size), 0, dynamic.sh_size);
    for (size_t i = 0; i < dynamic_.size(); ++i)
        image_.write(dynamic.sh_addr + i * sizeof(Elf64_Dyn), dynamic_[i]);

    // The one program header more goes over tables of the linker that ours replace.
    auto segments = image_.segments();
    uint64_t file_end = 0;
    for (const Elf64_Phdr& segment : segments)
        file_end = std::max(file_end, segment.p_offset + segment.p_filesz);
    const uint64_t offset = round_up(file_end, kPageSize);
    const Elf64_Phdr tables{PT_LOAD, PF_R,           offset,         start_,
                            start_,  next_ - start_, next_ - start_, kPageSize};
    const auto is_load = [](const Elf64_Phdr& segment) { return segment.p_type == PT_LOAD; };
    segments.insert(std::find_if(segments.rbegin(), segments.rend(), is_load).base(), tables);

    std::vector<uint8_t> bytes(image_.bytes().begin(),
                               image_.bytes().begin() + static_cast<ptrdiff_t>(file_end));
    bytes.resize(offset + (next_ - start_));
    for (const Table& table : tables_)
        std::copy(table.bytes.begin(), table.bytes.end(),
                  bytes.begin() + static_cast<ptrdiff_t>(offset + table.address - start_));
    Elf64_Ehdr header = image_.header();
    header.e_phnum = static_cast<uint16_t>(segments.size());
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = 0;
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + header.e_phoff, segments.data(),
                segments.size() * sizeof(Elf64_Phdr));

    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw Error(path + ": cannot be written");
}

std::vector<uint64_t> encode_relr(const std::vector<uint64_t>& places) {
    constexpr uint64_t kBits = 63;
    std::vector<uint64_t> entries;
    for (size_t i = 0; i < places.size();) {
        if (places[i] % 2 != 0) throw Error("a relative relocation at an odd address");
        entries.push_back(places[i]);
        uint64_t base = places[i++] + 8;
        for (;;) {
            uint64_t bitmap = 0;
            for (; i < places.size() && places[i] % 8 == base % 8 && (places[i] - base) / 8 < kBits;
                 ++i)
                bitmap |= 1ULL << ((places[i] - base) / 8 + 1);
            if (bitmap == 0) break;
            entries.push_back(bitmap | 1);
            base += kBits * 8;
        }
    }
    return entries;
}

}  // namespace coracle::patcher
