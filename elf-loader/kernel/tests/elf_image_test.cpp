// The header reader of execve(2) on good, bad and random files.
#include "elf-loader/kernel/elf_image.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace coracle {
namespace {

using Bytes = std::vector<uint8_t>;

Result<size_t> read_bytes(void* file, void* to, size_t size, uint64_t offset) {
    const Bytes& bytes = *static_cast<Bytes*>(file);
    if (offset >= bytes.size()) return size_t{0};
    if (size > bytes.size() - offset) size = bytes.size() - offset;
    memcpy(to, bytes.data() + offset, size);
    return size;
}

Result<ElfImage> parse(Bytes& bytes) { return ElfImage::parse(read_bytes, &bytes); }

// A PIE with a text and a data segment and an interpreter.
struct Program {
    Elf64_Ehdr header = {};
    Elf64_Phdr segments[4] = {};
    char interpreter[32] = "/lib64/ld-linux-x86-64.so.2";

    Program() {
        memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_type = ET_DYN;
        header.e_machine = EM_X86_64;
        header.e_entry = 0x1234;
        header.e_phoff = offsetof(Program, segments);
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = 4;
        segments[0] = {PT_INTERP, PF_R, offsetof(Program, interpreter), 0, 0, 28, 28, 1};
        segments[1] = {PT_LOAD, PF_R | PF_X, 0, 0, 0, 0x1800, 0x1800, 0x1000};
        segments[2] = {PT_LOAD, PF_R | PF_W, 0x1800, 0x2800, 0x2800, 0x100, 0x5000, 0x200000};
        segments[3] = {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
    }
    Bytes bytes() const {
        auto* start = reinterpret_cast<const uint8_t*>(this);
        return Bytes(start, start + sizeof(*this));
    }
};

TEST(ElfImage, ReadsAProgram) {
    Bytes bytes = Program().bytes();
    auto image = parse(bytes);
    ASSERT_TRUE(image.ok());
    EXPECT_TRUE(image->is_position_independent());
    EXPECT_EQ(image->entry(), 0x1234u);
    ASSERT_EQ(image->segment_count(), 2u);
    EXPECT_TRUE(image->segment(0).executable);
    EXPECT_EQ(image->segment(1).memory_size, 0x5000u);
    EXPECT_EQ(image->low(), 0u);
    EXPECT_EQ(image->high(), 0x8000u);
    EXPECT_EQ(image->alignment(), 0x200000u);
    EXPECT_EQ(image->program_headers_address(), offsetof(Program, segments));
    EXPECT_STREQ(image->interpreter(), "/lib64/ld-linux-x86-64.so.2");
    EXPECT_FALSE(image->has_executable_stack());
}

template <typename Change>
int error_after(Change change) {
    Program program;
    change(program);
    Bytes bytes = program.bytes();
    return parse(bytes).error_code();
}

TEST(ElfImage, RefusesWhatIsNoProgram) {
    EXPECT_EQ(error_after([](Program& p) { p.header.e_ident[0] = 0; }), ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.header.e_ident[EI_CLASS] = ELFCLASS32; }), ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.header.e_machine = EM_AARCH64; }), ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.header.e_type = ET_REL; }), ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.header.e_phnum = 0; }), ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.header.e_phentsize = 32; }), ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.header.e_phoff = 1 << 20; }), ENOEXEC);
}

TEST(ElfImage, RefusesBadSegments) {
    auto change = [](auto field) {
        return error_after([&](Program& p) { field(p.segments[2]); });
    };
    EXPECT_EQ(change([](Elf64_Phdr& s) { s.p_filesz = s.p_memsz + 1; }), ENOEXEC);
    EXPECT_EQ(change([](Elf64_Phdr& s) { s.p_vaddr += 1; }), ENOEXEC);
    EXPECT_EQ(change([](Elf64_Phdr& s) { s.p_vaddr = 0x800; }), ENOEXEC);  // inside the text
    EXPECT_EQ(change([](Elf64_Phdr& s) { s.p_vaddr = 0xffff800000000800; }), ENOEXEC);
    EXPECT_EQ(change([](Elf64_Phdr& s) { s.p_memsz = UINT64_MAX; }), ENOEXEC);
    EXPECT_EQ(change([](Elf64_Phdr& s) {
                  s.p_offset = UINT64_MAX - 0x7ff;
                  s.p_filesz = 0x1000;
              }),
              ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.segments[0].p_filesz = 27; }), ENOEXEC);
    EXPECT_EQ(error_after([](Program& p) { p.segments[0].p_filesz = 1 << 20; }), ENOEXEC);
    EXPECT_EQ(
        error_after([](Program& p) { p.segments[1].p_type = p.segments[2].p_type = PT_NULL; }),
        ENOEXEC);
}

TEST(ElfImage, SurvivesRandomChanges) {
    std::mt19937 random(1);
    for (int round = 0; round < 50000; round++) {
        Bytes bytes = Program().bytes();
        for (int change = 0; change < 4; change++) {
            bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
        }
        bytes.resize(random() % 4 ? bytes.size() : random() % bytes.size());
        auto image = parse(bytes);
        if (!image.ok()) continue;
        for (size_t i = 0; i < image->segment_count(); i++) {
            const ElfImage::Segment& segment = image->segment(i);
            ASSERT_GE(segment.address, image->low());
            ASSERT_LE(segment.address + segment.memory_size, image->high());
            ASSERT_LE(segment.file_size, segment.memory_size);
        }
    }
}

}  // namespace
}  // namespace coracle
