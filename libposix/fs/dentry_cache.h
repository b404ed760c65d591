// The cache of dentries: finds a name in a directory without asking the file system again. Holds
// one reference to each dentry in it; when there are too many, those that nobody else holds go,
// the ones longest unused first.
#pragma once

#include <string_view>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "libposix/fs/path.h"

namespace coracle {

class DentryCache {
  public:
    // The dentry of `name` in a directory, from the cache or by Inode::lookup. ENOENT.
    static Result<RefPtr<Dentry>> lookup(const RefPtr<Dentry>& parent, std::string_view name);
    // A name that was just created.
    static Result<RefPtr<Dentry>> add(const RefPtr<Dentry>& parent, std::string_view name,
                                      RefPtr<Inode> inode);
    // The name was removed from its directory.
    static void remove(Dentry& dentry);
    // The name was renamed. Without memory for a long name the dentry leaves the cache, and those
    // who have it see the old one.
    static void move(Dentry& dentry, const RefPtr<Dentry>& parent, std::string_view name);
    // Lets all go that nobody else holds.
    static void drop_unused();

  private:
    static Dentry* find(const Dentry& parent, std::string_view name, uint32_t hash);
    static void insert(Dentry& dentry);
    static void erase(Dentry& dentry);
    // One pass at most until so many are left: what is in use, or was used since the last pass,
    // stays.
    static void shrink(size_t count);
};

}  // namespace coracle
