// Writes the finished image: the linked file's segments, a segment with the tables that the
// patcher has made, and a dynamic section that names them.
#pragma once

#include <string>
#include <vector>

#include "libposix/libc/patcher/elf_image.h"

namespace coracle::patcher {

class ImageWriter {
  public:
    explicit ImageWriter(ElfImage& image);

    // Reserves room for a read-only table and fills it when the file is written; returns its
    // address.
    uint64_t add_table(std::vector<uint8_t> bytes);
    template <typename T>
    uint64_t add_table(const std::vector<T>& entries) {
        const auto* data = reinterpret_cast<const uint8_t*>(entries.data());
        return add_table(std::vector<uint8_t>(data, data + entries.size() * sizeof(T)));
    }

    // Sets an entry of the dynamic section, or adds it.
    void set_dynamic(int64_t tag, uint64_t value);
    void remove_dynamic(int64_t tag);

    void write(const std::string& path);

  private:
    std::vector<Elf64_Dyn> read_dynamic() const;

    struct Table {
        uint64_t address;
        std::vector<uint8_t> bytes;
    };
    ElfImage& image_;
    std::vector<Elf64_Dyn> dynamic_;
    std::vector<Table> tables_;
    uint64_t start_;  // Of the tables' segment.
    uint64_t next_;
};

// Relative relocations as DT_RELR has them (gABI proposal "Proposal for a new section type
// SHT_RELR"): sorted, even addresses.
std::vector<uint64_t> encode_relr(const std::vector<uint64_t>& places);

}  // namespace coracle::patcher
