#include "tools/image/closure.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "tools/image/library_cache.h"

namespace coracle {
namespace {

constexpr std::array kBuiltinLibraries = {
    "libc.so.6",  "libm.so.6",      "libmvec.so.1", "libpthread.so.0", "libdl.so.2",
    "librt.so.1", "libresolv.so.2", "libutil.so.1", "libanl.so.1",     "ld-linux-x86-64.so.2",
};

constexpr std::array kDefaultFolders = {
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
};
constexpr std::array kMuslFolders = {
    "/lib/x86_64-linux-musl",
    "/usr/lib/x86_64-linux-musl",
    "/usr/local/lib/x86_64-linux-musl",
    "/lib",
    "/usr/local/lib",
    "/usr/lib",
};

class Finder {
  public:
    Finder(const Tree& tree, const ClosureOptions& options, bool musl)
        : tree_(tree), options_(options), musl_(musl) {
        if (musl) return;
        for (CachedLibrary& library : read_library_cache(tree)) {
            cache_.try_emplace(std::move(library.name), std::move(library.path));
        }
    }

    // The path of a usable library, or "".
    std::string find(const std::string& name, const ClosureObject& user,
                     const std::vector<std::string>& inherited_rpath) const {
        if (name.find('/') != std::string::npos) return usable(expand(name, user.path));
        auto search = [&](const auto& folders) {
            for (const auto& folder : folders) {
                std::string path = usable(expand(std::string(folder), user.path) + "/" + name);
                if (!path.empty()) return path;
            }
            return std::string();
        };
        // ld.so(8): RPATH only where there is no RUNPATH, then LD_LIBRARY_PATH, RUNPATH, the
        // cache, the default folders.
        std::string path;
        if (user.elf.runpath.empty()) path = search(inherited_rpath);
        if (path.empty()) path = search(options_.library_path);
        if (path.empty()) path = search(user.elf.runpath);
        if (path.empty()) {
            auto cached = cache_.find(name);
            if (cached != cache_.end()) path = usable(cached->second);
        }
        if (path.empty()) path = musl_ ? search(kMuslFolders) : search(kDefaultFolders);
        return path;
    }

    // `folder` with $ORIGIN and the like filled in for the object at `user`.
    std::string expand(std::string text, const std::string& user) const {
        std::string origin = parent_path(tree_.resolve(user).path);
        replace(text, "$ORIGIN", origin);
        replace(text, "${ORIGIN}", origin);
        replace(text, "$LIB", "lib/x86_64-linux-gnu");
        replace(text, "${LIB}", "lib/x86_64-linux-gnu");
        replace(text, "$PLATFORM", "x86_64");
        replace(text, "${PLATFORM}", "x86_64");
        return text;
    }

  private:
    std::string usable(const std::string& path) const {
        Resolved resolved = tree_.resolve(path);
        if (!resolved.found || !S_ISREG(resolved.info.st_mode)) return "";
        auto elf = ElfFile::read(tree_.host(resolved.path));
        return elf && elf->is_x86_64() ? path : "";
    }

    static void replace(std::string& text, const std::string& from, const std::string& to) {
        for (size_t at; (at = text.find(from)) != std::string::npos;) {
            text.replace(at, from.size(), to);
        }
    }

    const Tree& tree_;
    const ClosureOptions& options_;
    bool musl_;
    std::map<std::string, std::string> cache_;
};

}  // namespace

bool is_builtin_library(const std::string& soname) {
    return std::find(kBuiltinLibraries.begin(), kBuiltinLibraries.end(), soname) !=
           kBuiltinLibraries.end();
}

bool Closure::imports(const char* symbol) const {
    return std::any_of(objects.begin(), objects.end(), [symbol](const ClosureObject& object) {
        return object.elf.imports(symbol);
    });
}

int Closure::glibc_minor() const {
    constexpr std::string_view kPrefix = "GLIBC_2.";
    int highest = 0;
    for (const ClosureObject& object : objects) {
        for (const std::string& version : object.elf.needed_versions) {
            if (!version.starts_with(kPrefix)) continue;
            int minor = 0;
            std::from_chars(version.data() + kPrefix.size(), version.data() + version.size(),
                            minor);
            highest = std::max(highest, minor);
        }
    }
    return highest;
}

Closure find_closure(const Tree& tree, const std::string& program, const ClosureOptions& options) {
    Closure closure;
    auto program_elf = ElfFile::read(tree.host(tree.resolve(program).path));
    if (!program_elf) return closure;
    bool musl = program_elf->interpreter.find("ld-musl") != std::string::npos;
    Finder finder(tree, options, musl);
    closure.objects.push_back({program, std::move(*program_elf)});

    std::vector<std::vector<std::string>> rpaths;  // By object, with those it inherits.
    auto own_rpath = [&finder](const ClosureObject& object) {
        std::vector<std::string> folders;
        for (const std::string& folder : object.elf.rpath) {
            folders.push_back(finder.expand(folder, object.path));
        }
        return folders;
    };
    rpaths.push_back(own_rpath(closure.objects[0]));
    std::set<std::string> asked, loaded;  // Names; canonical paths.
    auto load = [&](const std::string& name, size_t user) {
        if (!asked.insert(name).second) return;
        if (options.builtin_libc && !musl && is_builtin_library(name)) return;
        if (musl && name.starts_with("libc.")) return;  // Its loader is its libc.
        std::string path = finder.find(name, closure.objects[user], rpaths[user]);
        if (path.empty()) {
            closure.missing.push_back({name, closure.objects[user].path});
            return;
        }
        std::string canonical = tree.resolve(path).path;
        if (!loaded.insert(canonical).second) return;
        auto elf = ElfFile::read(tree.host(canonical));
        if (!elf) return;
        closure.objects.push_back({path, std::move(*elf)});
        // RPATH, unlike RUNPATH, also counts for the libraries of a library.
        std::vector<std::string> rpath = own_rpath(closure.objects.back());
        rpath.insert(rpath.end(), rpaths[user].begin(), rpaths[user].end());
        rpaths.push_back(std::move(rpath));
    };
    for (const std::string& name : options.preload) load(name, 0);
    for (size_t i = 0; i < closure.objects.size(); ++i) {
        std::vector<std::string> needed = closure.objects[i].elf.needed;
        for (const std::string& name : needed) load(name, i);
    }
    return closure;
}

}  // namespace coracle
