// What epolls may watch epolls. The limits are Linux's (fs/eventpoll.c): a wake-up goes up through
// all of them at once.
#include <algorithm>

#include "libposix/files/events/epoll.h"

namespace coracle {
namespace {

constexpr unsigned kMaxNesting = 4;  // EP_MAX_NESTS

// Ways from a file up to an epoll that nobody watches, by their length.
class PathCount {
  public:
    // False if there are too many, or one is too long. `added`: a way that is about to be.
    bool count(const File& file, EpollFile* added, unsigned depth = 0) {
        if (depth > kMaxNesting) return false;
        if (added && !count_above(*added, depth)) return false;
        for (EpollItem* item = file.first_epoll_item; item; item = item->next_of_file) {
            if (!count_above(item->owner, depth)) return false;
        }
        return true;
    }

  private:
    static constexpr unsigned kLimits[kMaxNesting + 1] = {0, 500, 100, 50, 10};

    bool count_above(const EpollFile& watcher, unsigned depth) {
        if (watcher.first_epoll_item) return count(watcher, nullptr, depth + 1);
        // Any number may watch a file directly.
        return depth == 0 || ++counts_[depth] <= kLimits[depth];
    }

    unsigned counts_[kMaxNesting + 1] = {};
};

bool reaches(EpollFile& from, const EpollFile& wanted) {
    bool found = &from == &wanted;
    from.for_each_item([&](EpollItem& item) {
        auto* below = file_as<EpollFile>(item.file);
        found = found || (below && reaches(*below, wanted));
    });
    return found;
}

// The epolls of the longest way down or up, this one included.
unsigned levels_below(EpollFile& epoll) {
    unsigned most = 0;
    epoll.for_each_item([&](EpollItem& item) {
        auto* below = file_as<EpollFile>(item.file);
        if (below) most = std::max(most, levels_below(*below));
    });
    return most + 1;
}
unsigned levels_above(const EpollFile& epoll) {
    unsigned most = 0;
    for (EpollItem* item = epoll.first_epoll_item; item; item = item->next_of_file) {
        most = std::max(most, levels_above(item->owner));
    }
    return most + 1;
}

}  // namespace

Result<void> check_epoll_nesting(EpollFile& watcher, File& file) {
    auto* nested = file_as<EpollFile>(file);
    if (!nested) {
        if (watcher.first_epoll_item && !PathCount().count(file, &watcher)) return Error(EINVAL);
        return {};
    }
    const bool is_too_deep = levels_above(watcher) + levels_below(*nested) > kMaxNesting + 1;
    if (is_too_deep || reaches(*nested, watcher)) return Error(ELOOP);
    return {};
}

}  // namespace coracle
