// Libraries that are loaded before the program's own, ld.so(8): LD_PRELOAD and /etc/ld.so.preload.
#pragma once

#include "elf-loader/dynamic/environment.h"
#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

struct PreloadList {
    static constexpr unsigned kMaximum = 64;
    LinkMap* maps[kMaximum];
    unsigned count = 0;
};

// A library that cannot be loaded is a message and is ignored.
void load_preloads(const Environment& environment, LinkMap& main_map, PreloadList& list);

}  // namespace coracle::loader
