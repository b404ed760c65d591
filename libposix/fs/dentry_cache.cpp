#include "libposix/fs/dentry_cache.h"

#include <cstring>
#include <new>

#include "kernel-min/lib/short_bytes.h"
#include "libposix/fs/inode.h"
#include "libposix/fs/notify.h"

namespace coracle {
namespace {

constexpr size_t kBucketCount = 2048;
constexpr size_t kMaxDentries = 16384;

Dentry* buckets[kBucketCount];
size_t dentry_count;

uint32_t hash_name(const Dentry& parent, std::string_view name) {
    return hash_bytes(name, reinterpret_cast<uint64_t>(&parent));
}

}  // namespace

using AgeList = boost::intrusive::list<
    Dentry, boost::intrusive::member_hook<Dentry, Dentry::AgeHook, &Dentry::age_hook_>,
    boost::intrusive::constant_time_size<false>>;

namespace {
// Oldest first. Boost's list needs its constructor, which the kernel runs at boot.
AgeList age_list;
}  // namespace

Result<RefPtr<Dentry>> Dentry::create(RefPtr<Dentry> parent, std::string_view name,
                                      RefPtr<Inode> inode) {
    Dentry* dentry = new (std::nothrow) Dentry;
    if (!dentry) return Error(ENOMEM);
    RefPtr<Dentry> result = adopt_ref(dentry);
    TRY(dentry->set_name(name));
    dentry->parent_ = std::move(parent);
    dentry->inode_ = std::move(inode);
    return result;
}

Result<void> Dentry::set_name(std::string_view name) {
    char* storage = inline_name_;
    if (name.size() > sizeof(inline_name_)) {
        storage = new (std::nothrow) char[name.size()];
        if (!storage) return Error(ENOMEM);
    }
    if (name_ != inline_name_) delete[] name_;
    memmove(storage, name.data(), name.size());
    name_ = storage;
    name_length_ = static_cast<uint16_t>(name.size());
    return {};
}

Dentry::~Dentry() {
    if (deleted_ && inode_ && inode_->link_count == 0) notify_removal(*inode_);
    if (name_ != inline_name_) delete[] name_;
}

Dentry* DentryCache::find(const Dentry& parent, std::string_view name, uint32_t hash) {
    for (Dentry* entry = buckets[hash % kBucketCount]; entry; entry = entry->hash_next_) {
        if (entry->hash_ == hash && entry->parent_.get() == &parent &&
            equal_bytes(entry->name(), name)) {
            return entry;
        }
    }
    return nullptr;
}

void DentryCache::insert(Dentry& dentry) {
    dentry.ref();
    dentry.hash_ = hash_name(*dentry.parent_, dentry.name());
    Dentry*& bucket = buckets[dentry.hash_ % kBucketCount];
    dentry.hash_next_ = bucket;
    bucket = &dentry;
    dentry.hashed_ = true;
    age_list.push_back(dentry);
    if (++dentry_count > kMaxDentries) shrink(kMaxDentries * 7 / 8);
}

void DentryCache::erase(Dentry& dentry) {
    Dentry** link = &buckets[dentry.hash_ % kBucketCount];
    while (*link != &dentry) link = &(*link)->hash_next_;
    *link = dentry.hash_next_;
    dentry.hashed_ = false;
    age_list.erase(age_list.iterator_to(dentry));
    dentry_count--;
    dentry.unref();
}

void DentryCache::shrink(size_t count) {
    for (size_t tries = dentry_count; tries > 0 && dentry_count > count; tries--) {
        Dentry& oldest = age_list.front();
        if (oldest.reference_count() == 1 && !oldest.used_ && !oldest.is_mount_point() &&
            !oldest.inode().first_watch) {
            erase(oldest);
            continue;
        }
        oldest.used_ = false;
        age_list.pop_front();
        age_list.push_back(oldest);
    }
}

void DentryCache::drop_unused() {
    shrink(0);  // what was used a short while ago stays once
    shrink(0);
}

Result<RefPtr<Dentry>> DentryCache::lookup(const RefPtr<Dentry>& parent, std::string_view name) {
    if (Dentry* found = find(*parent, name, hash_name(*parent, name))) {
        found->used_ = true;
        return RefPtr<Dentry>(found);
    }
    RefPtr<Inode> inode = TRY(parent->inode().lookup(name));
    return add(parent, name, std::move(inode));
}

Result<RefPtr<Dentry>> DentryCache::add(const RefPtr<Dentry>& parent, std::string_view name,
                                        RefPtr<Inode> inode) {
    RefPtr<Dentry> dentry = TRY(Dentry::create(parent, name, std::move(inode)));
    if (parent->inode().is_cacheable()) insert(*dentry);
    return dentry;
}

void DentryCache::remove(Dentry& dentry) {
    dentry.deleted_ = true;
    if (dentry.hashed_) erase(dentry);
}

void DentryCache::move(Dentry& dentry, const RefPtr<Dentry>& parent, std::string_view name) {
    RefPtr<Dentry> keep(&dentry);
    if (dentry.hashed_) erase(dentry);
    if (!dentry.set_name(name).ok()) return;
    dentry.parent_ = parent;
    insert(dentry);
}

}  // namespace coracle
