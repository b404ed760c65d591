#include "kernel-min/devices/virtio/mmio_parameter.h"

#include <gtest/gtest.h>

#include <vector>

namespace coracle::virtio {
namespace {

TEST(MmioParameter, ReadsWhatHypervisorsWrite) {
    auto qemu = MmioParameter::parse("512@0xfeb00e00:12");
    ASSERT_TRUE(qemu);
    EXPECT_EQ(qemu->size, 512u);
    EXPECT_EQ(qemu->base, 0xfeb00e00u);
    EXPECT_EQ(qemu->interrupt_line, 12u);
    auto firecracker = MmioParameter::parse("4K@0xd0000000:5");
    ASSERT_TRUE(firecracker);
    EXPECT_EQ(firecracker->size, 4096u);
    EXPECT_TRUE(MmioParameter::parse("1M@4096:255:3"));
}

TEST(MmioParameter, RefusesWhatIsMalformed) {
    for (const char* text : {"", "512", "512@", "512@0x:1", "@0x1:1", "512@0x1000",
                             "512@0x1000:", "512@0x1000:256", "512@0x1000:1x", "512@0x1000:1:",
                             "512@0x10000000000000000:1", "99999999999999999999@1:1"}) {
        EXPECT_FALSE(MmioParameter::parse(text)) << text;
    }
}

TEST(MmioParameter, FindsAllOfTheCommandLine) {
    std::vector<uint64_t> bases;
    for_each_mmio_parameter(
        "quiet virtio_mmio.device=512@0x1000:5  xvirtio_mmio.device=512@0x9000:5 "
        "virtio_mmio.device=bad virtio_mmio.device=512@0x2000:6",
        [&](const MmioParameter& parameter) { bases.push_back(parameter.base); });
    EXPECT_EQ(bases, (std::vector<uint64_t>{0x1000, 0x2000}));
}

}  // namespace
}  // namespace coracle::virtio
