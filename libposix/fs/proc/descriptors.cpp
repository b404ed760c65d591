// /proc/PID/fd and fdinfo.
#include <dirent.h>

#include "libposix/fs/proc/procfs.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

Result<RefPtr<File>> file_of(const PseudoContext& about) {
    if (is_zombie(about)) return Error(ENOENT);
    Result<RefPtr<File>> file = about.process->descriptors->get(about.fd);
    if (!file.ok()) return Error(ENOENT);
    return file;
}

Result<LinkTarget> link_descriptor(const PseudoContext& about) {
    RefPtr<File> file = TRY(file_of(about));
    LinkTarget target;
    target.jump = file->path();
    return target;
}

Result<void> show_descriptor_info(TextBuffer& to, const PseudoContext& about) {
    RefPtr<File> file = TRY(file_of(about));
    uint32_t flags = file->flags;
    if (about.process->descriptors->close_on_exec(about.fd)) flags |= O_CLOEXEC;
    to.print("pos:\t%lu\nflags:\t0", file->position);
    TextBuffer octal;
    for (int shift = 30; shift >= 0; shift -= 3) {
        uint32_t digit = flags >> shift & 7;
        if (digit != 0 || octal.size() != 0 || shift == 0) octal.print("%u", digit);
    }
    to.add(octal.text());
    const Mount* mount = file->path().mount.get();
    to.print("\nmnt_id:\t%u\nino:\t%lu\n", mount ? mount->id() : 0, file->inode().number);
    file->describe_state(to);
    return {};
}

// The permissions of the link tell how the file is open.
constexpr PseudoEntry link_entry(uint32_t permissions) {
    return {.name = "", .mode = S_IFLNK | permissions, .link = link_descriptor};
}
constexpr PseudoEntry kLinks[] = {link_entry(0100), link_entry(0300), link_entry(0500),
                                  link_entry(0700)};
constexpr PseudoEntry kInfoFile = PseudoEntry::file("", show_descriptor_info);

Result<int> descriptor_number(const PseudoContext& about, std::string_view name, File** file) {
    int64_t number = parse_number(name);
    if (number < 0 || number > INT32_MAX || is_zombie(about)) return Error(ENOENT);
    *file = about.process->descriptors->find(static_cast<int>(number));
    if (!*file) return Error(ENOENT);
    return static_cast<int>(number);
}

}  // namespace

Result<RefPtr<Inode>> lookup_descriptor(const PseudoInode& directory, std::string_view name) {
    File* file;
    int fd = TRY(descriptor_number(TRY(directory.context()), name, &file));
    unsigned access = (file->is_readable() ? 2 : 0) | (file->is_writable() ? 1 : 0);
    return directory.make_child(kLinks[access], directory.pid(), fd);
}

Result<RefPtr<Inode>> lookup_descriptor_info(const PseudoInode& directory,
                                             std::string_view name) {
    File* file;
    int fd = TRY(descriptor_number(TRY(directory.context()), name, &file));
    return directory.make_child(kInfoFile, directory.pid(), fd);
}

Result<void> list_descriptors(const PseudoInode& directory, uint64_t position,
                              DirectoryVisitor& visitor) {
    PseudoContext about = TRY(directory.context());
    if (is_zombie(about)) return {};
    const DescriptorTable& table = *about.process->descriptors;
    bool shows_links = directory.entry().lookup == lookup_descriptor;
    // Descriptor n is at position n + 2.
    for (int fd = table.next_open(static_cast<int>(position - 2)); fd >= 0;
         fd = table.next_open(fd + 1)) {
        TextBuffer name;
        name.print("%d", fd);
        TRY(name.status());
        const PseudoEntry& entry = shows_links ? kLinks[0] : kInfoFile;
        uint64_t number = directory.number + 1 + static_cast<uint64_t>(fd);
        auto type = static_cast<uint8_t>(entry.mode >> 12);
        if (!visitor.visit(name.text(), number, type, static_cast<uint64_t>(fd) + 3)) return {};
    }
    return {};
}

}  // namespace coracle
