// Structures of files, and fcntl(2). Long structures are abbreviated where strace does.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>

#include "syscall-table/trace/printers.h"

namespace coracle::trace {

void print_stat(Call& call, const struct stat& stat) {
    Line& line = call.line;
    line.put("{st_mode=");
    print_file_mode(call, stat.st_mode);
    if (S_ISCHR(stat.st_mode) || S_ISBLK(stat.st_mode)) {
        line.put(", st_rdev=");
        print_device(call, static_cast<int64_t>(stat.st_rdev));
    } else {
        line.put(", st_size=");
        line.put_decimal(stat.st_size);
    }
    line.put(", ...}");
}

void print_statx(Call& call, const struct statx& statx) {
    Line& line = call.line;
    line.put("{stx_mask=");
    put_flags(line, statx.stx_mask, tables::statx_mask);
    line.put(", stx_attributes=");
    put_flags(line, statx.stx_attributes, tables::statx_attributes);
    line.put(", stx_mode=");
    print_file_mode(call, statx.stx_mode);
    line.put(", stx_size=");
    line.put_unsigned(statx.stx_size);
    line.put(", ...}");
}

void print_statfs(Call& call, const struct statfs& statfs) {
    Line& line = call.line;
    line.put("{f_type=");
    put_one_of(line, static_cast<uint64_t>(statfs.f_type), tables::file_systems);
    const auto field = [&](std::string_view name, uint64_t value) {
        line.put(name);
        line.put_unsigned(value);
    };
    field(", f_bsize=", static_cast<uint64_t>(statfs.f_bsize));
    field(", f_blocks=", statfs.f_blocks);
    field(", f_bfree=", statfs.f_bfree);
    field(", f_bavail=", statfs.f_bavail);
    field(", f_files=", statfs.f_files);
    field(", f_ffree=", statfs.f_ffree);
    line.put(", f_fsid={val=[");
    line.put_hex(static_cast<uint32_t>(statfs.f_fsid.__val[0]));
    line.put(", ");
    line.put_hex(static_cast<uint32_t>(statfs.f_fsid.__val[1]));
    field("]}, f_namelen=", static_cast<uint64_t>(statfs.f_namelen));
    field(", f_frsize=", static_cast<uint64_t>(statfs.f_frsize));
    line.put(", f_flags=");
    put_flags(line, static_cast<uint64_t>(statfs.f_flags), tables::statfs_flags);
    line.put('}');
}

namespace {
void put_iovec(Call& call, const struct iovec& vector, uint64_t filled) {
    call.line.put("{iov_base=");
    print_bytes(call, reinterpret_cast<uint64_t>(vector.iov_base), filled);
    call.line.put(", iov_len=");
    call.line.put_unsigned(vector.iov_len);
    call.line.put('}');
}
}  // namespace

void print_iovec(Call& call, const struct iovec& vector) {
    put_iovec(call, vector, vector.iov_len);
}

void print_iovec_address(Call& call, const struct iovec& vector) {
    call.line.put("{iov_base=");
    call.line.put_pointer(reinterpret_cast<uint64_t>(vector.iov_base));
    call.line.put(", iov_len=");
    call.line.put_unsigned(vector.iov_len);
    call.line.put('}');
}

void print_read_vectors(Call& call, uint64_t address, uint64_t count) {
    if (call.failed()) {
        structures<struct iovec, print_iovec_address>(call, address, count, true, nullptr);
        return;
    }
    if (count != 0 && !is_readable<struct iovec>(call, address)) return;
    auto rest = static_cast<uint64_t>(call.result);
    for_each_element<struct iovec>(call, address, count, true, [&](const struct iovec& vector) {
        const uint64_t filled = std::min<uint64_t>(vector.iov_len, rest);
        put_iovec(call, vector, filled);
        rest -= filled;
    });
}

void print_open_how(Call& call, const struct open_how& how) {
    Line& line = call.line;
    line.put("{flags=");
    print_open_flags(call, static_cast<int64_t>(how.flags));
    if (how.flags & (O_CREAT | __O_TMPFILE)) {
        line.put(", mode=");
        line.put_octal3(how.mode);
    }
    line.put(", resolve=");
    put_flags(line, how.resolve, tables::open_how_resolve);
    line.put('}');
}

namespace {
// Both record layouts have d_reclen at the same place (getdents(2)).
void put_entry_count(Call& call, uint64_t address, uint64_t size) {
    constexpr uint64_t kRecordLengthOffset = 16;
    constexpr uint64_t kHeaderSize = 18;
    uint64_t count = 0;
    for (uint64_t offset = 0; offset + kHeaderSize <= size; ++count) {
        uint16_t length = 0;
        if (!call.read(length, address + offset + kRecordLengthOffset) || length == 0) break;
        offset += length;
    }
    call.line.put_pointer(address);
    call.line.put(" /* ");
    call.line.put_unsigned(count);
    call.line.put(count == 1 ? " entry */" : " entries */");
}
}  // namespace

void print_dirents(Call& call, uint64_t address, uint64_t size) {
    put_entry_count(call, address, size);
}

void print_dirents64(Call& call, uint64_t address, uint64_t size) {
    put_entry_count(call, address, size);
}

namespace {

constexpr int kGetLock = 5, kSetLock = 6, kSetLockWait = 7;  // the kernel's F_GETLK...

void put_lock(Call& call, uint64_t address, bool with_pid) {
    struct flock lock;
    if (!call.read(lock, address)) {
        call.line.put_pointer(address);
        return;
    }
    Line& line = call.line;
    line.put("{l_type=");
    put_one_of(line, static_cast<uint16_t>(lock.l_type), tables::lock_types);
    line.put(", l_whence=");
    put_one_of(line, static_cast<uint16_t>(lock.l_whence), tables::whence);
    line.put(", l_start=");
    line.put_decimal(lock.l_start);
    line.put(", l_len=");
    line.put_decimal(lock.l_len);
    if (with_pid) {
        line.put(", l_pid=");
        line.put_decimal(lock.l_pid);
    }
    line.put('}');
}

}  // namespace

void print_fcntl_arg(Call& call, int64_t value) {
    const auto address = static_cast<uint64_t>(value);
    switch (static_cast<int>(call.arguments[1])) {
        case F_SETFD:
            put_flags(call.line, address, tables::fd_flags);
            break;
        case F_SETFL:
            print_open_flags(call, static_cast<int32_t>(value));
            break;
        case F_SETSIG:
            put_signal(call.line, value);
            break;
        case F_ADD_SEALS:
            put_flags(call.line, static_cast<uint32_t>(value), tables::memfd_seals);
            break;
        case F_SETLEASE:
            put_one_of(call.line, static_cast<uint16_t>(value), tables::lock_types);
            break;
        case kSetLock:
        case kSetLockWait:
        case F_OFD_SETLK:
        case F_OFD_SETLKW:
            put_lock(call, address, false);
            break;
        case kGetLock:
        case F_OFD_GETLK:
            if (call.failed()) {
                call.line.put_pointer(address);
            } else {
                put_lock(call, address, true);
            }
            break;
        case F_DUPFD:
        case F_DUPFD_CLOEXEC:
        case F_SETOWN:
        case F_SETPIPE_SZ:
            call.line.put_decimal(static_cast<int32_t>(value));
            break;
        default:
            call.line.put_hex(address);
    }
}

void print_fcntl_result(Call& call, int64_t value) {
    Line& line = call.line;
    const auto flags = static_cast<uint64_t>(value);
    const auto put_decoded = [&](auto put) {
        line.put_hex(flags);
        line.put(" (");
        put();
        line.put(')');
    };
    switch (static_cast<int>(call.arguments[1])) {
        case F_GETFD:
            if (value == 0) {
                line.put('0');
                break;
            }
            put_decoded([&] {
                line.put("flags ");
                put_flags(line, flags, tables::fd_flags);
            });
            break;
        case F_GETFL:
            put_decoded([&] {
                line.put("flags ");
                print_open_flags(call, value);
            });
            break;
        case F_GETSIG:
            line.put_decimal(value);
            if (value != 0) {
                line.put(" (");
                put_signal(line, value);
                line.put(')');
            }
            break;
        case F_GET_SEALS:
            if (value == 0) {
                line.put('0');
                break;
            }
            put_decoded([&] {
                line.put("seals ");
                put_flags(line, flags, tables::memfd_seals);
            });
            break;
        default:
            line.put_decimal(value);
    }
}

}  // namespace coracle::trace
