// Reads everything in an image that was made to harm: nothing but an error may come of it.
#include <cstring>
#include <memory>

#include "libposix/fs/erofs_image.h"

namespace {

using coracle::Bytes;
using coracle::ErofsImage;
using coracle::Result;

void read_all(const ErofsImage& image, uint64_t nid, int depth) {
    auto node = image.node(nid);
    if (!node.ok()) return;
    (void)image.for_each_xattr(*node, [](auto, auto, Bytes) -> Result<void> { return {}; });
    uint64_t pages = std::min<uint64_t>((node->size + 4095) / 4096, 64);
    volatile uint8_t sum = 0;
    for (uint64_t index = 0; index < pages; index++) {
        auto bytes = image.page(*node, index);
        if (!bytes.ok()) break;
        for (std::byte byte : *bytes) sum = sum + static_cast<uint8_t>(byte);
    }
    char text[4096];
    (void)image.read_link(*node, text, sizeof(text));
    if (depth > 4) return;
    int entries = 0;
    (void)image.for_each_entry(*node, [&](const ErofsImage::Entry& entry) -> Result<void> {
        (void)image.lookup(*node, entry.name);
        read_all(image, entry.nid, depth + 1);
        if (++entries > 32) return coracle::Error(E2BIG);
        return {};
    });
    (void)image.lookup(*node, "no such name");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto image = ErofsImage::open({reinterpret_cast<const std::byte*>(data), size});
    if (image.ok()) read_all(*image, image->root_nid(), 0);
    return 0;
}
