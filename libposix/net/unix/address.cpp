#include "libposix/net/unix/address.h"

#include <algorithm>
#include <cstring>

#include "kernel-min/lib/random.h"
#include "kernel-min/memory/heap.h"
#include "libposix/files/inode_file.h"
#include "libposix/files/open_file.h"
#include "libposix/fs/permission.h"
#include "libposix/net/unix/endpoint.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);
constexpr size_t kBuckets = 64;

// Bound endpoints, by abstract name and type, or by inode.
UnixEndpoint::NameList& bucket(uint64_t hash) {
    static UnixEndpoint::NameList buckets[kBuckets];
    return buckets[(hash ^ hash >> 16) % kBuckets];
}

uint64_t hash_of(std::string_view text, int type) {
    uint64_t hash = 0xcbf29ce484222325 ^ static_cast<unsigned>(type);  // FNV-1a
    for (char character : text) hash = (hash ^ static_cast<uint8_t>(character)) * 0x100000001b3;
    return hash;
}

uint64_t hash_of(const Inode& inode) {
    return reinterpret_cast<uint64_t>(&inode) / 64;
}

UnixEndpoint* find_abstract(std::string_view text, int type) {
    for (UnixEndpoint& endpoint : bucket(hash_of(text, type))) {
        const UnixName& name = endpoint.address->name();
        if (name.is_abstract() && endpoint.type == type && name.text() == text) return &endpoint;
    }
    return nullptr;
}

UnixEndpoint* find_by_inode(const Inode& inode) {
    for (UnixEndpoint& endpoint : bucket(hash_of(inode))) {
        const Path& path = endpoint.address->path();
        if (path && &path.inode() == &inode) return &endpoint;
    }
    return nullptr;
}

WalkContext walk_context() {
    const FileSystemContext& place = *current_process()->file_system;
    return {place.root, place.cwd, current_credentials()};
}

Result<void> bind_abstract(UnixEndpoint& endpoint, const UnixName& name) {
    if (endpoint.address) return Error(EINVAL);
    if (find_abstract(name.text(), endpoint.type)) return Error(EADDRINUSE);
    endpoint.address = TRY(make_ref<UnixAddress>(name));
    bucket(hash_of(name.text(), endpoint.type)).push_back(endpoint);
    return {};
}

Result<void> bind_path(UnixEndpoint& endpoint, const UnixName& name) {
    PathWalker walker(walk_context(), 0);
    TRY(walker.walk_to_last(name.text()));
    Result<void> is_new = check_new_name(walker, false);
    if (!is_new.ok()) {
        return Error(is_new.error_code() == EEXIST ? EADDRINUSE : is_new.error_code());
    }
    if (endpoint.address) return Error(EINVAL);
    NewInode what = {.mode = S_IFSOCK | 0777};
    Path path = TRY(create_last(walker, current_credentials(), what));
    const uint64_t hash = hash_of(path.inode());
    endpoint.address = TRY(make_ref<UnixAddress>(name, std::move(path)));
    bucket(hash).push_back(endpoint);
    return {};
}

}  // namespace

Result<UnixName> UnixName::parse(const SocketAddress& address) {
    if (address.length <= kPathOffset || address.length > sizeof(sockaddr_un)) return Error(EINVAL);
    if (address.family() != AF_UNIX) return Error(EINVAL);
    UnixName name;
    const char* text = address.bytes + kPathOffset;
    size_t length = address.length - kPathOffset;
    name.is_abstract_ = text[0] == '\0';
    if (!name.is_abstract_) length = strnlen(text, length);
    name.length_ = static_cast<uint8_t>(length);
    memcpy(name.text_, text, length);
    return name;
}

void UnixAddress::write_to(SocketAddress& to) const {
    const std::string_view text = name_.text();
    to.any.sa_family = AF_UNIX;
    memcpy(to.bytes + kPathOffset, text.data(), text.size());
    to.length = static_cast<uint32_t>(kPathOffset + text.size());
    if (!name_.is_abstract()) to.bytes[to.length++] = '\0';
}

void write_unnamed(SocketAddress& to) {
    to.any.sa_family = AF_UNIX;
    to.length = sizeof(sa_family_t);
}

Result<void> bind_unix(UnixEndpoint& endpoint, const UnixName& name) {
    return name.is_abstract() ? bind_abstract(endpoint, name) : bind_path(endpoint, name);
}

Result<void> autobind_unix(UnixEndpoint& endpoint) {
    constexpr uint32_t kNames = 1 << 20;  // five hexadecimal digits
    if (endpoint.address) return {};
    auto number = static_cast<uint32_t>(random_u64());
    for (uint32_t tries = 0; tries < kNames; tries++, number++) {
        SocketAddress address;
        address.any.sa_family = AF_UNIX;
        char* text = address.bytes + kPathOffset;
        *text++ = '\0';
        for (int shift = 16; shift >= 0; shift -= 4) {
            *text++ = "0123456789abcdef"[number >> shift & 0xf];
        }
        address.length = static_cast<uint32_t>(text - address.bytes);
        Result<void> bound = bind_abstract(endpoint, TRY(UnixName::parse(address)));
        if (bound.ok() || bound.error_code() != EADDRINUSE) return bound;
    }
    return Error(ENOSPC);
}

void unbind_unix(UnixEndpoint& endpoint) {
    if (endpoint.name_hook.is_linked()) endpoint.name_hook.unlink();
}

Result<RefPtr<UnixEndpoint>> find_unix(const UnixName& name, int type) {
    if (name.is_abstract()) {
        UnixEndpoint* found = find_abstract(name.text(), type);
        if (!found) return Error(ECONNREFUSED);
        return RefPtr<UnixEndpoint>(found);
    }
    Path path = TRY(PathWalker(walk_context(), kFollowLast).resolve(name.text()));
    TRY(check_permission(path.inode(), kMayWrite, current_credentials()));
    if (!S_ISSOCK(path.inode().mode)) return Error(ECONNREFUSED);
    UnixEndpoint* found = find_by_inode(path.inode());
    if (!found) return Error(ECONNREFUSED);
    if (found->type != type) return Error(EPROTOTYPE);
    touch_access_time(path.inode(), path.mount.get());
    return RefPtr<UnixEndpoint>(found);
}

}  // namespace coracle
