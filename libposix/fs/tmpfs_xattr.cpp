// Extended attributes of tmpfs: "trusted." and "security." as in Linux 6.1 (man 7 xattr).
#include <sys/xattr.h>

#include <cstring>
#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/fs/tmpfs.h"

namespace coracle {
namespace {

bool is_supported(std::string_view name) {
    return name.starts_with("trusted.") || name.starts_with("security.");
}

Result<size_t> copy_value(const void* from, size_t length, void* to, size_t size) {
    if (size == 0) return length;
    if (length > size) return Error(ERANGE);
    memcpy(to, from, length);
    return length;
}

}  // namespace

Result<std::unique_ptr<TmpfsInode::Xattr>> TmpfsInode::make_xattr(std::string_view prefix,
                                                                  std::string_view suffix,
                                                                  const void* value, size_t size) {
    auto xattr = TRY(make_unique_object<Xattr>());
    xattr->name_size = prefix.size() + suffix.size();
    xattr->value_size = size;
    xattr->text.reset(new (std::nothrow) char[xattr->name_size + size]);
    if (!xattr->text) return Error(ENOMEM);
    prefix.copy(xattr->text.get(), prefix.size());
    suffix.copy(xattr->text.get() + prefix.size(), suffix.size());
    if (size != 0) memcpy(xattr->text.get() + xattr->name_size, value, size);
    return xattr;
}

std::unique_ptr<TmpfsInode::Xattr>* TmpfsInode::find_xattr(std::string_view name) {
    std::unique_ptr<Xattr>* link = &xattrs_;
    while (*link && (*link)->name() != name) link = &(*link)->next;
    return link;
}

Result<void> TmpfsInode::take_in_xattrs() {
    if (xattrs_taken_in_ || !has_origin()) return {};
    const ErofsImage& image = *tmpfs().origin();
    ErofsImage::Node node = TRY(origin_node());
    xattrs_.reset();
    TRY(image.for_each_xattr(node, [&](std::string_view prefix, std::string_view suffix,
                                       Bytes value) -> Result<void> {
        if (!is_supported(prefix)) return {};
        auto xattr = TRY(make_xattr(prefix, suffix, value.data(), value.size()));
        xattr->next = std::move(xattrs_);
        xattrs_ = std::move(xattr);
        return {};
    }));
    xattrs_taken_in_ = true;
    return {};
}

Result<size_t> TmpfsInode::get_xattr(std::string_view name, void* value, size_t size) {
    if (!is_supported(name)) return Error(EOPNOTSUPP);
    TRY(take_in_xattrs());
    const auto& found = *find_xattr(name);
    if (!found) return Error(ENODATA);
    return copy_value(found->value(), found->value_size, value, size);
}

Result<void> TmpfsInode::set_xattr(std::string_view name, const void* value, size_t size,
                                   int flags) {
    if (!is_supported(name)) return Error(EOPNOTSUPP);
    TRY(take_in_xattrs());
    std::unique_ptr<Xattr>* link = find_xattr(name);
    if (*link && (flags & XATTR_CREATE)) return Error(EEXIST);
    if (!*link && (flags & XATTR_REPLACE)) return Error(ENODATA);
    auto xattr = TRY(make_xattr(name, {}, value, size));
    if (*link) xattr->next = std::move((*link)->next);
    *link = std::move(xattr);
    change_time = current_time();
    return {};
}

Result<size_t> TmpfsInode::list_xattrs(char* names, size_t size) {
    TRY(take_in_xattrs());
    size_t used = 0;
    for (const Xattr* xattr = xattrs_.get(); xattr; xattr = xattr->next.get()) {
        size_t length = xattr->name_size + 1;
        if (size != 0) {
            if (used + length > size) return Error(ERANGE);
            memcpy(names + used, xattr->text.get(), xattr->name_size);
            names[used + xattr->name_size] = '\0';
        }
        used += length;
    }
    return used;
}

Result<void> TmpfsInode::remove_xattr(std::string_view name) {
    if (!is_supported(name)) return Error(EOPNOTSUPP);
    TRY(take_in_xattrs());
    std::unique_ptr<Xattr>* link = find_xattr(name);
    if (!*link) return Error(ENODATA);
    std::unique_ptr<Xattr> removed = std::move(*link);
    *link = std::move(removed->next);
    change_time = current_time();
    return {};
}

}  // namespace coracle
