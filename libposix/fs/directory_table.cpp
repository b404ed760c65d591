#include "libposix/fs/directory_table.h"

#include <cstring>
#include <new>

#include "kernel-min/memory/heap.h"

namespace coracle {
namespace {

uint32_t hash_name(std::string_view name) {
    uint32_t hash = 2166136261;  // FNV-1a
    for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
    return hash;
}

void free_entry(DirectoryTable::Entry* entry) {
    entry->~Entry();
    kernel_free(entry);
}

}  // namespace

DirectoryTable::~DirectoryTable() {
    while (first_) {
        Entry* entry = first_;
        first_ = entry->next;
        free_entry(entry);
    }
}

DirectoryTable::Entry* DirectoryTable::find(std::string_view name) const {
    if (bucket_count_ == 0) return nullptr;
    uint32_t hash = hash_name(name);
    Entry* entry = buckets_[hash & (bucket_count_ - 1)];
    while (entry && (entry->hash != hash || entry->name() != name)) entry = entry->next_hash;
    return entry;
}

Result<void> DirectoryTable::grow() {
    size_t new_count = bucket_count_ == 0 ? 8 : bucket_count_ * 2;
    std::unique_ptr<Entry*[]> buckets(new (std::nothrow) Entry*[new_count]());
    if (!buckets) return Error(ENOMEM);
    for (Entry* entry = first_; entry; entry = entry->next) {
        Entry*& bucket = buckets[entry->hash & (new_count - 1)];
        entry->next_hash = bucket;
        bucket = entry;
    }
    buckets_ = std::move(buckets);
    bucket_count_ = new_count;
    return {};
}

Result<DirectoryTable::Entry*> DirectoryTable::add(std::string_view name, RefPtr<Inode> inode,
                                                   uint64_t number, uint8_t type) {
    if (count_ >= bucket_count_) TRY(grow());
    void* memory = kernel_allocate(sizeof(Entry) + name.size());
    if (!memory) return Error(ENOMEM);
    uint32_t hash = hash_name(name);
    Entry*& bucket = buckets_[hash & (bucket_count_ - 1)];
    auto* entry = new (memory) Entry{std::move(inode), number, next_position_++, bucket, nullptr,
                                     last_, hash, type, static_cast<uint8_t>(name.size())};
    memcpy(entry->text, name.data(), name.size());
    bucket = entry;
    (last_ ? last_->next : first_) = entry;
    last_ = entry;
    count_++;
    return entry;
}

void DirectoryTable::remove(Entry& entry) {
    Entry** link = &buckets_[entry.hash & (bucket_count_ - 1)];
    while (*link != &entry) link = &(*link)->next_hash;
    *link = entry.next_hash;
    (entry.previous ? entry.previous->next : first_) = entry.next;
    (entry.next ? entry.next->previous : last_) = entry.previous;
    count_--;
    free_entry(&entry);
}

DirectoryTable::Entry* DirectoryTable::first_from(uint64_t position) const {
    Entry* entry = first_;
    while (entry && entry->position < position) entry = entry->next;
    return entry;
}

}  // namespace coracle
