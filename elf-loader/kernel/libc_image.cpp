#include "elf-loader/kernel/libc_image.h"

#include <cstring>

#include "kernel-min/memory/frames.h"
#include "libposix/memory/kernel_pages.h"

extern "C" const char libc_image_start[], libc_image_end[];

namespace coracle {

namespace {

size_t image_size() { return static_cast<size_t>(libc_image_end - libc_image_start); }

Result<size_t> read_image(void*, void* to, size_t size, uint64_t offset) {
    if (offset >= image_size()) return size_t{0};
    if (size > image_size() - offset) size = image_size() - offset;
    memcpy(to, libc_image_start + offset, size);
    return size;
}

}  // namespace

bool is_libc_image_interpreter(const char* path) {
    // The x86-64 psABI's name for glibc's loader, and where Debian keeps the file.
    return strcmp(path, "/lib64/ld-linux-x86-64.so.2") == 0 ||
           strcmp(path, "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2") == 0;
}

Result<ElfImage> parse_libc_image() {
    ElfImage image = TRY(ElfImage::parse(read_image, nullptr));
    for (size_t i = 0; i < image.segment_count(); i++) {
        const ElfImage::Segment& segment = image.segment(i);
        if (segment.executable && segment.memory_size / kPageSize > frame_statistics().total) {
            return Error(ENOMEM);
        }
    }
    return image;
}

RefPtr<MemoryObject> libc_image_object() {
    static KernelPages object(libc_image_start, image_size(),
                              "/usr/lib/x86_64-linux-gnu/libc.so.6");
    return RefPtr<MemoryObject>(&object);
}

}  // namespace coracle
