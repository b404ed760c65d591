// libFuzzer target: no file may do more than be refused.
#include <cstring>

#include "elf-loader/kernel/elf_image.h"

namespace {

struct Input {
    const uint8_t* data;
    size_t size;
};

coracle::Result<size_t> read_input(void* file, void* to, size_t size, uint64_t offset) {
    const Input& input = *static_cast<Input*>(file);
    if (offset >= input.size) return size_t{0};
    if (size > input.size - offset) size = input.size - offset;
    memcpy(to, input.data + offset, size);
    return size;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input = {data, size};
    auto image = coracle::ElfImage::parse(read_input, &input);
    if (!image.ok()) return 0;
    for (size_t i = 0; i < image->segment_count(); i++) {
        const auto& segment = image->segment(i);
        if (segment.address + segment.memory_size > image->high()) __builtin_trap();
    }
    if (const char* interpreter = image->interpreter()) {
        if (strlen(interpreter) > 4096) __builtin_trap();
    }
    return 0;
}
