#include "libposix/fs/sys/cpu_directory.h"

#include <dirent.h>

#include "kernel-min/sched/scheduler.h"

namespace coracle {
namespace {

// Every CPU is a package's one thread of one core: its number is in PseudoContext::fd.
constexpr char kZero[] = "0", kEmpty[] = "", kMaxCpu[] = "8191", kNotAffected[] = "Not affected";

Result<void> show_number(TextBuffer& to, const PseudoContext& about) {
    to.print("%d\n", about.fd);
    return {};
}

Result<void> show_own_mask(TextBuffer& to, const PseudoContext& about) {
    add_cpu_mask(to, uint64_t{1} << about.fd);
    to.add("\n");
    return {};
}

template <const char* text>
Result<void> show(TextBuffer& to, const PseudoContext&) {
    to.print("%s\n", text);
    return {};
}

template <const char* text>
constexpr PseudoEntry line(std::string_view name) {
    return PseudoEntry::file(name, show<text>);
}

constexpr PseudoEntry kTopology[] = {
    PseudoEntry::file("core_cpus", show_own_mask),
    PseudoEntry::file("core_cpus_list", show_number),
    line<kZero>("core_id"),
    PseudoEntry::file("core_siblings", show_own_mask),
    PseudoEntry::file("core_siblings_list", show_number),
    line<kZero>("die_id"),
    PseudoEntry::file("package_cpus", show_own_mask),
    PseudoEntry::file("package_cpus_list", show_number),
    PseudoEntry::file("physical_package_id", show_number),
    PseudoEntry::file("thread_siblings", show_own_mask),
    PseudoEntry::file("thread_siblings_list", show_number),
};
constexpr PseudoEntry kOneCpuChildren[] = {PseudoEntry::directory("topology", kTopology)};
constexpr PseudoEntry kOneCpu = PseudoEntry::directory("", kOneCpuChildren);

constexpr PseudoEntry kVulnerabilities[] = {
    line<kNotAffected>("itlb_multihit"), line<kNotAffected>("l1tf"),
    line<kNotAffected>("mds"),           line<kNotAffected>("meltdown"),
    line<kNotAffected>("spectre_v1"),    line<kNotAffected>("spectre_v2"),
};
constexpr PseudoEntry kChildren[] = {
    line<kEmpty>("isolated"),
    line<kMaxCpu>("kernel_max"),
    line<kEmpty>("offline"),
    PseudoEntry::file("online", show_cpu_list),
    PseudoEntry::file("possible", show_cpu_list),
    PseudoEntry::file("present", show_cpu_list),
    PseudoEntry::directory("vulnerabilities", kVulnerabilities),
};
constexpr uint64_t kFirstPosition = 2 + std::size(kChildren);

Result<RefPtr<Inode>> lookup_cpu(const PseudoInode& directory, std::string_view name) {
    if (!name.starts_with("cpu")) return Error(ENOENT);
    const int64_t number = parse_number(name.substr(3));
    if (number < 0 || number >= cpu_count) return Error(ENOENT);
    return directory.make_child(kOneCpu, 0, static_cast<int>(number));
}

Result<void> list_cpus(const PseudoInode& directory, uint64_t position,
                       DirectoryVisitor& visitor) {
    for (uint64_t i = position - kFirstPosition; i < cpu_count; i++) {
        TextBuffer name;
        name.print("cpu%lu", i);
        TRY(name.status());
        const uint64_t number = directory.number + 1 + i;
        if (!visitor.visit(name.text(), number, DT_DIR, kFirstPosition + i + 1)) return {};
    }
    return {};
}

}  // namespace

void add_cpu_mask(TextBuffer& to, uint64_t cpu_set) {
    const auto high = static_cast<uint32_t>(cpu_set >> 32), low = static_cast<uint32_t>(cpu_set);
    if (high) {
        to.print("%x,%08x", high, low);
    } else {
        to.print("%x", low);
    }
}

void add_cpu_list(TextBuffer& to, uint64_t cpu_set) {
    const char* separator = "";
    for (unsigned first = 0; first < 64; first++) {
        if (!(cpu_set >> first & 1)) continue;
        unsigned last = first;
        while (last < 63 && (cpu_set >> (last + 1) & 1)) last++;
        to.print("%s%u", separator, first);
        if (last > first) to.print("-%u", last);
        separator = ",";
        first = last;
    }
}

Result<void> show_cpu_list(TextBuffer& to, const PseudoContext&) {
    add_cpu_list(to, online_cpus());
    to.add("\n");
    return {};
}

Result<void> show_cpu_mask(TextBuffer& to, const PseudoContext&) {
    add_cpu_mask(to, online_cpus());
    to.add("\n");
    return {};
}

const PseudoEntry kCpuDirectory = {.name = "cpu",
                                   .mode = S_IFDIR | 0555,
                                   .children = kChildren,
                                   .child_count = std::size(kChildren),
                                   .lookup = lookup_cpu,
                                   .list = list_cpus};

}  // namespace coracle
