// /proc/PID/maps, smaps and smaps_rollup.
#include "libposix/fs/proc/procfs.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

void show_region(TextBuffer& to, const Region& region) {
    constexpr size_t kNameColumn = 73;
    char name[4096 + 16] = {};
    uint32_t major = 0, minor = 0;
    uint64_t inode = 0;
    if (region.object) region.object->describe(name, sizeof(name), &major, &minor, &inode);
    const char* shown = region.name ? region.name : name;
    size_t start = to.size();
    to.print("%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", region.start, region.end,
             region.protection & PROT_READ ? 'r' : '-', region.protection & PROT_WRITE ? 'w' : '-',
             region.protection & PROT_EXEC ? 'x' : '-', region.shared ? 's' : 'p', region.offset,
             major, minor, inode);
    if (*shown) {
        size_t width = to.size() - start;
        if (width < kNameColumn) to.add_repeated(' ', kNameColumn - width);
        to.add_escaped(shown, "\n");
    }
    to.add("\n");
}

struct Amounts {
    uint64_t resident = 0, anonymous = 0, locked = 0;  // KiB
};

Amounts measure(AddressSpace& memory, const Region& region) {
    Amounts amounts;
    for (uint64_t page = region.start; page < region.end; page += kPageSize) {
        if (memory.page_table().find(page)) amounts.resident += kPageSize / 1024;
    }
    if (!region.object) amounts.anonymous = amounts.resident;
    if (region.locked) amounts.locked = amounts.resident;
    return amounts;
}

void show_amounts(TextBuffer& to, const Amounts& amounts) {
    auto row = [&](const char* name, uint64_t kilobytes) {
        size_t start = to.size();
        to.print("%s:", name);
        size_t width = to.size() - start;
        to.add_repeated(' ', 16 - width);
        to.print("%8lu kB\n", kilobytes);
    };
    uint64_t file = amounts.resident - amounts.anonymous;
    row("Rss", amounts.resident);
    row("Pss", amounts.resident);
    row("Pss_Dirty", amounts.anonymous);
    row("Shared_Clean", 0);
    row("Shared_Dirty", 0);
    row("Private_Clean", file);
    row("Private_Dirty", amounts.anonymous);
    row("Referenced", amounts.resident);
    row("Anonymous", amounts.anonymous);
    row("LazyFree", 0);
    row("AnonHugePages", 0);
    row("ShmemPmdMapped", 0);
    row("FilePmdMapped", 0);
    row("Shared_Hugetlb", 0);
    row("Private_Hugetlb", 0);
    row("Swap", 0);
    row("SwapPss", 0);
    row("Locked", amounts.locked);
}

}  // namespace

Result<void> show_maps(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) return {};
    for (const Region& region : about.process->address_space->regions()) show_region(to, region);
    return {};
}

Result<void> show_smaps(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) return {};
    AddressSpace& memory = *about.process->address_space;
    for (const Region& region : memory.regions()) {
        show_region(to, region);
        to.print("Size:           %8lu kB\n", region.size() / 1024);
        to.add("KernelPageSize:        4 kB\nMMUPageSize:           4 kB\n");
        show_amounts(to, measure(memory, region));
        bool may_be_huge = !region.object && !region.no_huge_pages;
        to.print("THPeligible:    %d\nVmFlags: ", may_be_huge);
        if (region.protection & PROT_READ) to.add("rd ");
        if (region.protection & PROT_WRITE) to.add("wr ");
        if (region.protection & PROT_EXEC) to.add("ex ");
        if (region.shared) to.add("sh ");
        to.add(region.may_write ? "mr mw me " : "mr me ");
        if (region.grows_down) to.add("gd ");
        if (region.locked) to.add("lo ");
        if (region.no_reserve) to.add("nr ");
        if (region.no_huge_pages) to.add("nh ");
        to.add("\n");
    }
    return {};
}

Result<void> show_smaps_rollup(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) return Error(ESRCH);
    AddressSpace& memory = *about.process->address_space;
    Amounts sum;
    uint64_t first = 0, last = 0;
    for (const Region& region : memory.regions()) {
        Amounts amounts = measure(memory, region);
        sum.resident += amounts.resident;
        sum.anonymous += amounts.anonymous;
        sum.locked += amounts.locked;
        if (last == 0) first = region.start;
        last = region.end;
    }
    to.print("%08lx-%08lx ---p 00000000 00:00 0 ", first, last);
    to.add_repeated(' ', 28);
    to.add("[rollup]\n");
    show_amounts(to, sum);
    return {};
}

}  // namespace coracle
