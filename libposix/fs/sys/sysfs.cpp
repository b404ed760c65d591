#include "libposix/fs/sys/sysfs.h"

#include <linux/magic.h>

#include "kernel-min/memory/heap.h"
#include "libposix/fs/pseudo/pseudo_file_system.h"
#include "libposix/fs/sys/cpu_directory.h"

namespace coracle {
namespace {

template <const char* text>
Result<void> show(TextBuffer& to, const PseudoContext&) {
    to.print("%s\n", text);
    return {};
}

// An entry whose text does not change.
template <const char* text>
constexpr PseudoEntry line(std::string_view name) {
    return PseudoEntry::file(name, show<text>);
}

// There is one node, number 0.
constexpr char kOne[] = "1", kOnlyFirst[] = "0";
constexpr char kHugePagePolicy[] = "[always] madvise never";
constexpr char kDefragPolicy[] = "always defer defer+madvise [madvise] never";
constexpr char kHugePageSize[] = "2097152";
constexpr char kNodeDistance[] = "10";

Result<void> show_node_memory(TextBuffer& to, const PseudoContext&) {
    FrameStatistics frames = frame_statistics();
    constexpr uint64_t kPerFrame = kPageSize / 1024;
    to.print("Node 0 MemTotal:       %8lu kB\nNode 0 MemFree:        %8lu kB\n",
             frames.total * kPerFrame, frames.free * kPerFrame);
    to.print("Node 0 MemUsed:        %8lu kB\n", (frames.total - frames.free) * kPerFrame);
    return {};
}
constexpr PseudoEntry kNode0[] = {
    PseudoEntry::file("cpulist", show_cpu_list),
    PseudoEntry::file("cpumap", show_cpu_mask),
    line<kNodeDistance>("distance"),
    PseudoEntry::file("meminfo", show_node_memory),
};
constexpr PseudoEntry kNode[] = {
    line<kOnlyFirst>("has_cpu"),  line<kOnlyFirst>("has_memory"),
    line<kOnlyFirst>("has_normal_memory"), PseudoEntry::directory("node0", kNode0),
    line<kOnlyFirst>("online"),   line<kOnlyFirst>("possible"),
};
const PseudoEntry kSystem[] = {kCpuDirectory, PseudoEntry::directory("node", kNode)};
const PseudoEntry kDevices[] = {PseudoEntry::directory("system", kSystem)};

constexpr PseudoEntry kHugePages[] = {
    line<kDefragPolicy>("defrag"),
    line<kHugePagePolicy>("enabled"),
    line<kHugePageSize>("hpage_pmd_size"),
    line<kOne>("use_zero_page"),
};
constexpr PseudoEntry kMm[] = {PseudoEntry::empty_directory("hugepages", 0755),
                               PseudoEntry::directory("transparent_hugepage", kHugePages, 0755)};
constexpr PseudoEntry kKernel[] = {PseudoEntry::directory("mm", kMm, 0755)};

constexpr PseudoEntry kFs[] = {PseudoEntry::empty_directory("cgroup", 0755)};
constexpr PseudoEntry kClass[] = {PseudoEntry::empty_directory("net", 0755)};

const PseudoEntry kTop[] = {
    PseudoEntry::empty_directory("block", 0755),
    PseudoEntry::empty_directory("bus", 0755),
    PseudoEntry::directory("class", kClass, 0755),
    PseudoEntry::directory("devices", kDevices, 0755),
    PseudoEntry::directory("fs", kFs, 0755),
    PseudoEntry::directory("kernel", kKernel, 0755),
};
const PseudoEntry kRootEntry = PseudoEntry::directory("", kTop);

}  // namespace

Result<RefPtr<Inode>> make_sysfs() {
    constexpr uint64_t kShownSize = 4096;
    RefPtr<PseudoFileSystem> file_system =
        TRY(make_ref<PseudoFileSystem>("sysfs", SYSFS_MAGIC, kShownSize));
    RefPtr<Inode> root = TRY(make_ref<PseudoInode>(*file_system, kRootEntry, 0u, -1));
    root->number = 1;
    return root;
}

}  // namespace coracle
