// The names of one directory, found by hash and listed in the order of their making. A name's
// position never changes, so that a directory can be listed while it changes.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "libposix/fs/inode.h"

namespace coracle {

class DirectoryTable {
  public:
    struct Entry {
        std::string_view name() const { return {text, length}; }

        RefPtr<Inode> inode;  // null: not asked for yet
        uint64_t number;      // of the inode
        uint64_t position;    // from 2 on
        Entry* next_hash;
        Entry* next;
        Entry* previous;
        uint32_t hash;
        uint8_t type;  // DT_*
        uint8_t length;
        char text[];
    };

    DirectoryTable() = default;
    DirectoryTable(const DirectoryTable&) = delete;
    DirectoryTable& operator=(const DirectoryTable&) = delete;
    ~DirectoryTable();

    Entry* find(std::string_view name) const;
    // Precondition: the name is not there. ENOMEM.
    Result<Entry*> add(std::string_view name, RefPtr<Inode> inode, uint64_t number, uint8_t type);
    void remove(Entry& entry);
    size_t count() const { return count_; }
    // The first entry at `position` or behind it, or null.
    Entry* first_from(uint64_t position) const;

  private:
    Result<void> grow();

    std::unique_ptr<Entry*[]> buckets_;
    size_t bucket_count_ = 0;  // a power of two
    size_t count_ = 0;
    Entry* first_ = nullptr;
    Entry* last_ = nullptr;
    uint64_t next_position_ = 2;
};

}  // namespace coracle
