// Root images by content, under $XDG_CACHE_HOME/coracle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/image/root_plan.h"

namespace coracle {

struct RootImage {
    std::string path;
    uint64_t size = 0;
    bool own_libc = false;
};

class ImageCache {
  public:
    // $XDG_CACHE_HOME/coracle, else ~/.cache/coracle; made when it is not there.
    ImageCache();
    explicit ImageCache(std::string folder);

    // The image for a request: at once when it was made before and none of the host's files has
    // changed since, else planned, and made if no other request gave the same content. Safe
    // against other processes that do the same.
    RootImage obtain(const RootRequest& request);

    const std::string& folder() const { return folder_; }

  private:
    std::optional<RootImage> recall(const std::string& note);
    void remember(const std::string& note, const RootPlan& plan, const std::string& hash);
    std::string image_path(const std::string& hash) const;
    void make(const RootPlan& plan, const std::string& path);
    void prune();

    std::string folder_;
};

}  // namespace coracle
