#include "libposix/signals/symbol_lookup.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>
#include <vector>

#include "kernel-min/memory/tests/fake_memory.h"

// The function that the tests look for in their own program.
extern "C" [[gnu::noinline, gnu::used]] int symbol_lookup_landmark(int value) { return value + 1; }

namespace coracle {
namespace {

// A file in memory, in frames as a page cache has them.
class FileObject : public MemoryObject {
  public:
    explicit FileObject(std::vector<char> bytes) : bytes_(std::move(bytes)) {}

    Result<PhysAddr> page(uint64_t index, bool) override {
        const uint64_t start = index * kPageSize;
        if (index > bytes_.size() / kPageSize || start >= bytes_.size()) return Error(ENXIO);
        const PhysAddr frame = TRY(allocate_zeroed_frame());
        memcpy(phys_to_virt<char>(frame), bytes_.data() + start,
               std::min(kPageSize, bytes_.size() - start));
        return frame;
    }
    void describe(char*, size_t, uint32_t*, uint32_t*, uint64_t*) override {}

  private:
    std::vector<char> bytes_;
};

class SymbolLookup : public ::testing::Test {
  protected:
    void SetUp() override {
        set_up_fake_memory();
        std::ifstream file("/proc/self/exe", std::ios::binary);
        image_.assign(std::istreambuf_iterator<char>(file), {});
        ASSERT_GT(image_.size(), sizeof(Elf64_Ehdr));
        memcpy(&header_, image_.data(), sizeof(header_));
        landmark_offset_ = find_landmark();
        ASSERT_NE(0u, landmark_offset_);
    }

    // By the symbol table, read in the plainest way.
    uint64_t find_landmark() const {
        const auto* sections = reinterpret_cast<const Elf64_Shdr*>(image_.data() + header_.e_shoff);
        for (unsigned i = 0; i < header_.e_shnum; i++) {
            if (sections[i].sh_type != SHT_SYMTAB) continue;
            const char* strings = image_.data() + sections[sections[i].sh_link].sh_offset;
            const auto* symbols =
                reinterpret_cast<const Elf64_Sym*>(image_.data() + sections[i].sh_offset);
            for (size_t j = 0; j < sections[i].sh_size / sizeof(Elf64_Sym); j++) {
                if (strcmp(strings + symbols[j].st_name, "symbol_lookup_landmark") != 0) continue;
                const Elf64_Shdr& text = sections[symbols[j].st_shndx];
                return symbols[j].st_value - text.sh_addr + text.sh_offset;
            }
        }
        return 0;
    }

    std::vector<char> image_;
    Elf64_Ehdr header_;
    uint64_t landmark_offset_ = 0;
};

TEST_F(SymbolLookup, NamesAFunctionOfThisProgram) {
    auto file = adopt_ref(new FileObject(image_));
    Symbol symbol;
    ASSERT_TRUE(find_symbol(*file, landmark_offset_ + 1, symbol));
    EXPECT_TRUE(symbol.has_name);
    EXPECT_STREQ("symbol_lookup_landmark", symbol.name);
    EXPECT_EQ(1u, symbol.offset);
}

TEST_F(SymbolLookup, WithoutSectionsThereIsStillTheAddress) {
    Elf64_Ehdr header = header_;
    header.e_shnum = 0;
    memcpy(image_.data(), &header, sizeof(header));
    auto file = adopt_ref(new FileObject(image_));
    Symbol symbol;
    ASSERT_TRUE(find_symbol(*file, landmark_offset_, symbol));
    EXPECT_NE(0u, symbol.address);
}

TEST_F(SymbolLookup, WhatIsNoElfFileHasNoSymbols) {
    Symbol symbol;
    auto empty = adopt_ref(new FileObject({}));
    EXPECT_FALSE(find_symbol(*empty, 0, symbol));
    auto text = adopt_ref(new FileObject(std::vector<char>(5000, 'x')));
    EXPECT_FALSE(find_symbol(*text, 100, symbol));
}

TEST_F(SymbolLookup, DamagedFilesAreHarmless) {
    std::mt19937 random(7);
    for (int round = 0; round < 60; round++) {
        std::vector<char> damaged = image_;
        for (int i = 0; i < 40; i++) {
            // Headers and tables are where it hurts.
            const size_t range = random() % 2 ? 1024 : damaged.size();
            damaged[random() % range] = static_cast<char>(random());
        }
        if (round % 5 == 0) damaged.resize(random() % damaged.size());
        memcpy(damaged.data(), image_.data(), std::min<size_t>(damaged.size(), EI_NIDENT));
        auto file = adopt_ref(new FileObject(std::move(damaged)));
        Symbol symbol;
        find_symbol(*file, landmark_offset_, symbol);
    }
}

}  // namespace
}  // namespace coracle
