#include "tools/image/image_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <vector>

#include "tools/image/erofs_image.h"
#include "tools/support/error.h"
#include "tools/support/say.h"
#include "tools/support/unique_fd.h"

namespace coracle {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxCacheBytes = 4ULL << 30;
constexpr auto kSafeAge = std::chrono::minutes(10);  // An image this young may be about to be used.
constexpr auto kMaxNoteAge = std::chrono::hours(24 * 30);

std::string default_folder() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache && *cache == '/') return std::string(cache) + "/coracle";
    const char* home = std::getenv("HOME");
    if (home && *home == '/') return std::string(home) + "/.cache/coracle";
    return fmt::format("/tmp/coracle-cache-{}", geteuid());
}

std::string digest(const std::string& text) {
    XXH128_hash_t value = XXH3_128bits(text.data(), text.size());
    return fmt::format("{:016x}{:016x}", value.high64, value.low64);
}

// What changes when a host file does: "-" for one that is not there.
std::string stamp(const std::string& path) {
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) return "-";
    return fmt::format("{}.{:09}/{}.{:09}/{}/{}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                       info.st_ctim.tv_sec, info.st_ctim.tv_nsec, info.st_size, info.st_ino);
}

// Of everything that the plan is made from, except for the host's files.
std::string request_key(const RootRequest& request) {
    std::string text = stamp(fs::read_symlink("/proc/self/exe"));
    auto add = [&text](std::string_view part) {
        text += fmt::format("{}:{}\n", part.size(), part);
    };
    add(request.program.path);
    add(request.program.script);
    add(request.rootfs);
    for (const Volume& volume : request.volumes) {
        add(volume.host);
        add(volume.guest);
    }
    for (const auto& [name, value] : request.environment) {
        bool matters = name == "LANG" || name == "LANGUAGE" || name.starts_with("LC_") ||
                       name == "TZ" || name == "TERM" || name == "LD_LIBRARY_PATH" ||
                       name == "LD_PRELOAD";
        if (matters) add(name + "=" + value);
    }
    add(request.own_libc ? "own" : "builtin");
    add(request.identity.hostname);
    for (const std::string& server : request.identity.name_servers) add("dns " + server);
    add(fmt::format("{} {} {}", request.identity.uid, request.identity.gid, geteuid()));
    return digest(text);
}

// Removed with all that is in it, whatever happens.
class WorkFolder {
  public:
    explicit WorkFolder(const std::string& parent) : path_(parent + "/work-XXXXXX") {
        if (!mkdtemp(path_.data())) {
            throw CommandError(kExitOwnFailure, fmt::format("{}: {}", path_, strerror(errno)));
        }
    }
    ~WorkFolder() {
        std::error_code ignored;
        for (auto& entry : fs::recursive_directory_iterator(path_, ignored)) {
            if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) {
                fs::permissions(entry.path(), fs::perms::owner_all, fs::perm_options::add, ignored);
            }
        }
        fs::remove_all(path_, ignored);
    }
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace

ImageCache::ImageCache() : ImageCache(default_folder()) {}

ImageCache::ImageCache(std::string folder) : folder_(std::move(folder)) {
    std::error_code error;
    for (const char* name : {"/images", "/notes", "/work"}) {
        fs::create_directories(folder_ + name, error);
        if (!error) continue;
        throw CommandError(kExitOwnFailure,
                           fmt::format("{}{}: {}; set XDG_CACHE_HOME to a folder that you may "
                                       "write",
                                       folder_, name, error.message()));
    }
}

std::string ImageCache::image_path(const std::string& hash) const {
    return fmt::format("{}/images/{}.erofs", folder_, hash);
}

RootImage ImageCache::obtain(const RootRequest& request) {
    std::string note = fmt::format("{}/notes/{}", folder_, request_key(request));
    if (auto image = recall(note)) {
        say_verbose("root image {} ({} KiB) is up to date", image->path, image->size / 1024);
        return *image;
    }
    RootPlan plan = plan_root(request);
    std::string hash = plan.manifest.hash();
    say_verbose("planned a root image: {} entries, {} packages, {} KiB",
                plan.manifest.entries().size(), plan.packages.size(),
                plan.manifest.total_bytes() / 1024);
    std::string path = image_path(hash);
    if (access(path.c_str(), R_OK) != 0) make(plan, path);
    remember(note, plan, hash);
    auto image = recall(note);
    if (!image) throw CommandError(kExitOwnFailure, "files changed while they were packed; again?");
    say_verbose("root image {} ({} KiB)", image->path, image->size / 1024);
    return *image;
}

// A note holds the image's hash, whether it needs its own libc, and a stamp for every file.
std::optional<RootImage> ImageCache::recall(const std::string& note) {
    std::string text = read_host_file(note).value_or("");
    std::string_view left = text;
    auto next_line = [&left] {
        size_t end = left.find('\n');
        std::string_view line = left.substr(0, end);
        left.remove_prefix(end == std::string_view::npos ? left.size() : end + 1);
        return line;
    };
    std::string hash(next_line());
    if (hash.empty()) return std::nullopt;
    RootImage image;
    image.path = image_path(hash);
    image.own_libc = next_line() == "own";
    while (!left.empty()) {
        std::string_view line = next_line();
        size_t space = line.find(' ');
        if (space == std::string_view::npos) return std::nullopt;
        if (stamp(std::string(line.substr(space + 1))) != line.substr(0, space)) {
            return std::nullopt;
        }
    }
    // Using it makes it young again.
    if (utimensat(AT_FDCWD, image.path.c_str(), nullptr, 0) != 0) return std::nullopt;
    struct stat info;
    if (stat(image.path.c_str(), &info) != 0) return std::nullopt;
    image.size = static_cast<uint64_t>(info.st_size);
    return image;
}

void ImageCache::remember(const std::string& note, const RootPlan& plan, const std::string& hash) {
    std::string text = hash + "\n" + (plan.own_libc ? "own" : "builtin") + "\n";
    auto add = [&text](const std::string& path) { text += stamp(path) + " " + path + "\n"; };
    for (const std::string& path : plan.inputs) add(path);
    for (const std::string& path : plan.manifest.watched()) add(path);
    WorkFolder work(folder_ + "/work");
    std::string fresh = work.path() + "/note";
    UniqueFd file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        rename(fresh.c_str(), note.c_str()) != 0) {
        throw CommandError(kExitOwnFailure, fmt::format("{}: {}", note, strerror(errno)));
    }
}

void ImageCache::make(const RootPlan& plan, const std::string& path) {
    WorkFolder work(folder_ + "/work");
    std::string fresh = work.path() + "/image";
    make_erofs_image(plan.manifest, work.path(), fresh);
    if (rename(fresh.c_str(), path.c_str()) != 0) {
        throw CommandError(kExitOwnFailure, fmt::format("{}: {}", path, strerror(errno)));
    }
    prune();
}

// Forgets the images that were not used for the longest time, beyond what the cache may hold.
void ImageCache::prune() {
    struct Candidate {
        fs::file_time_type used;
        uint64_t size;
        fs::path path;
    };
    std::error_code error;
    std::vector<Candidate> images;
    uint64_t total = 0;
    for (auto& file : fs::directory_iterator(folder_ + "/images", error)) {
        images.push_back({file.last_write_time(error), file.file_size(error), file.path()});
        total += images.back().size;
    }
    std::sort(images.begin(), images.end(),
              [](const Candidate& a, const Candidate& b) { return a.used < b.used; });
    auto now = fs::file_time_type::clock::now();
    for (const Candidate& image : images) {
        if (total <= kMaxCacheBytes || now - image.used < kSafeAge) break;
        fs::remove(image.path, error);
        total -= image.size;
    }
    for (const char* name : {"/notes", "/work"}) {
        auto limit = std::string_view(name) == "/notes" ? kMaxNoteAge : std::chrono::hours(24);
        for (auto& file : fs::directory_iterator(folder_ + name, error)) {
            if (now - file.last_write_time(error) > limit) fs::remove_all(file.path(), error);
        }
    }
}

}  // namespace coracle
