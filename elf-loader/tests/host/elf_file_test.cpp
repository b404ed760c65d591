// ELF headers: what is accepted, what is refused and by which field's name, and files with wrong
// bytes at any place.
#include "elf-loader/elf_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace coracle::elf {
namespace {

// A program of two segments, with its headers in the first.
struct Sample {
    Elf64_Ehdr header{};
    Elf64_Phdr segments[4]{};
    char rest[4096]{};

    Sample() {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_ident[EI_VERSION] = EV_CURRENT;
        header.e_type = ET_DYN;
        header.e_machine = EM_X86_64;
        header.e_version = EV_CURRENT;
        header.e_phoff = offsetof(Sample, segments);
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = 4;
        header.e_entry = 0x100;
        segments[0] = {PT_INTERP, PF_R, 0x200, 0x200, 0x200, 28, 28, 1};
        segments[1] = {PT_LOAD, PF_R | PF_X, 0, 0, 0, 0x1000, 0x1000, 0x1000};
        segments[2] = {PT_LOAD, PF_R | PF_W, 0x1000, 0x2000, 0x2000, 0x40, 0x1800, 0x200000};
        segments[3] = {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
    }
    Problem parse() { return file.parse(this, sizeof(header) + sizeof(segments), sizeof(*this)); }

    ElfFile file;
};

TEST(ElfFile, DescribesAProgram) {
    Sample sample;
    EXPECT_EQ(sample.parse().message, nullptr);
    EXPECT_TRUE(sample.file.is_position_independent());
    EXPECT_EQ(sample.file.extent(4096).start, 0U);
    EXPECT_EQ(sample.file.extent(4096).end, 0x4000U);
    EXPECT_EQ(sample.file.alignment(4096), 0x200000U);
    EXPECT_EQ(sample.file.segment_table_address(), offsetof(Sample, segments));
    EXPECT_EQ(sample.file.find_segment(PT_INTERP), &sample.segments[0]);
    EXPECT_EQ(sample.file.find_segment(PT_TLS), nullptr);
}

TEST(ElfFile, PrefersPhdrForTheTablesAddress) {
    Sample sample;
    sample.segments[3] = {PT_PHDR, PF_R, 64, 0x5040, 0x5040, 224, 224, 8};
    EXPECT_EQ(sample.parse().message, nullptr);
    EXPECT_EQ(sample.file.segment_table_address(), 0x5040U);
}

struct Refusal {
    const char* field;
    int segment;
    void (*spoil)(Sample&);
};

TEST(ElfFile, NamesTheOffendingField) {
    const Refusal refusals[] = {
        {"e_ident[EI_MAG0]", -1, [](Sample& s) { s.header.e_ident[EI_MAG2] = 'X'; }},
        {"e_ident[EI_CLASS]", -1, [](Sample& s) { s.header.e_ident[EI_CLASS] = ELFCLASS32; }},
        {"e_ident[EI_DATA]", -1, [](Sample& s) { s.header.e_ident[EI_DATA] = ELFDATA2MSB; }},
        {"e_ident[EI_VERSION]", -1, [](Sample& s) { s.header.e_ident[EI_VERSION] = 2; }},
        {"e_ident[EI_OSABI]", -1, [](Sample& s) { s.header.e_ident[EI_OSABI] = 9; }},
        {"e_machine", -1, [](Sample& s) { s.header.e_machine = EM_AARCH64; }},
        {"e_version", -1, [](Sample& s) { s.header.e_version = 0; }},
        {"e_type", -1, [](Sample& s) { s.header.e_type = ET_REL; }},
        {"e_phentsize", -1, [](Sample& s) { s.header.e_phentsize = 32; }},
        {"e_phnum", -1, [](Sample& s) { s.header.e_phnum = 0; }},
        {"e_phoff", -1, [](Sample& s) { s.header.e_phoff += 4; }},
        {"e_phoff", -1, [](Sample& s) { s.header.e_phoff = ~0ULL - 63; }},
        {"e_phoff", -1, [](Sample& s) { s.header.e_phnum = 5; }},
        {"p_filesz", 0, [](Sample& s) { s.segments[0].p_filesz = 1; }},
        {"p_filesz", 2, [](Sample& s) { s.segments[2].p_offset = 1 << 20; }},
        {"p_filesz", 1, [](Sample& s) { s.segments[1].p_filesz = ~0ULL; }},
        {"p_memsz", 2, [](Sample& s) { s.segments[2].p_memsz = 8; }},
        {"p_vaddr", 2, [](Sample& s) { s.segments[2].p_memsz = kUserAddressEnd; }},
        {"p_vaddr", 2, [](Sample& s) { s.segments[2].p_vaddr = 0; }},
        {"p_align", 2, [](Sample& s) { s.segments[2].p_align = 3 << 12; }},
        {"p_offset", 2, [](Sample& s) { s.segments[2].p_vaddr += 16; }},
        {"p_type", -1, [](Sample& s) { s.segments[1].p_type = s.segments[2].p_type = PT_NOTE; }},
    };
    for (const Refusal& refusal : refusals) {
        Sample sample;
        refusal.spoil(sample);
        const Problem problem = sample.parse();
        ASSERT_NE(problem.message, nullptr) << refusal.field;
        EXPECT_STREQ(problem.field, refusal.field);
        EXPECT_EQ(problem.segment, refusal.segment) << problem.field;
    }
}

TEST(ElfFile, RefusesAShortFile) {
    Sample sample;
    for (size_t size = 0; size < sizeof(Elf64_Ehdr); ++size)
        EXPECT_STREQ(sample.file.parse(&sample, size, size).message, "file too short");
}

TEST(ElfFile, AcceptsItself) {
    std::ifstream stream("/proc/self/exe", std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
    ElfFile file;
    EXPECT_EQ(file.parse(bytes.data(), bytes.size(), bytes.size()).message, nullptr);
}

// Whatever the bytes are, the answer is a problem or headers that can be mapped without harm.
TEST(ElfFile, SurvivesWrongBytes) {
    std::mt19937_64 random(20);
    for (int round = 0; round < 200000; ++round) {
        Sample sample;
        auto* bytes = reinterpret_cast<unsigned char*>(&sample);
        const int changes = 1 + static_cast<int>(random() % 4);
        for (int i = 0; i < changes; ++i) {
            const size_t place = random() % (sizeof(sample.header) + sizeof(sample.segments));
            bytes[place] = random() % 3 == 0 ? 0xff : static_cast<unsigned char>(random());
        }
        if (sample.parse()) continue;
        const Extent extent = sample.file.extent(4096);
        ASSERT_LE(extent.start, extent.end);
        ASSERT_LE(extent.end, kUserAddressEnd + 4096);
        for (const Elf64_Phdr& segment : sample.file.segments()) {
            if (segment.p_type != PT_LOAD) continue;
            ASSERT_GE(segment.p_vaddr, extent.start);
            ASSERT_LE(segment.p_vaddr + segment.p_memsz, extent.end);
            ASSERT_LE(segment.p_offset + segment.p_filesz, sizeof(Sample));
        }
    }
}

}  // namespace
}  // namespace coracle::elf
