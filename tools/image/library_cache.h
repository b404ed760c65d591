// /etc/ld.so.cache, in glibc's format 1.1 (dl-cache.h).
#pragma once

#include <string>
#include <vector>

#include "tools/image/manifest.h"

namespace coracle {

struct CachedLibrary {
    std::string name;  // DT_SONAME
    std::string path;
};

// The 64-bit x86 libraries that any CPU can use, in the cache's own order. Empty: no cache.
std::vector<CachedLibrary> read_library_cache(const Tree& tree);

// The bytes of a cache. `libraries` must be in the order of another cache.
std::string make_library_cache(const std::vector<CachedLibrary>& libraries);

// Gives the image a cache of those of the tree's libraries that it holds, so that its loader finds
// the ones outside the default folders.
void add_library_cache(Manifest& manifest, const Tree& tree);

}  // namespace coracle
