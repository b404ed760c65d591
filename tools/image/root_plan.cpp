#include "tools/image/root_plan.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "tools/image/library_cache.h"
#include "tools/image/package_policy.h"
#include "tools/image/packages.h"
#include "tools/support/error.h"
#include "tools/support/say.h"

namespace coracle {
namespace {

constexpr char kLibraryFolder[] = "/usr/lib/x86_64-linux-gnu";

std::vector<std::string> split_at(const std::string& text, const char* separators) {
    std::vector<std::string> parts;
    size_t start = 0;
    while ((start = text.find_first_not_of(separators, start)) != std::string::npos) {
        size_t end = text.find_first_of(separators, start);
        parts.push_back(text.substr(start, end - start));
        start = end;
    }
    return parts;
}

class Planner {
  public:
    explicit Planner(const RootRequest& request)
        : request_(request), tree_(request.rootfs), plan_{} {}

    RootPlan run() {
        find_libraries();
        if (!request_.rootfs.empty()) {
            plan_.manifest.add_copy(request_.rootfs, "/");
        } else {
            gather();
        }
        for (const Volume& volume : request_.volumes) {
            plan_.manifest.add_copy(volume.host, plan_.manifest.resolve(volume.guest));
        }
        for (const std::string& path : plan_.manifest.unreadable()) {
            say("{}: you may not read it, so the guest will not have it", path);
        }
        return std::move(plan_);
    }

  private:
    void find_libraries() {
        plan_.own_libc = request_.own_libc;
        closure_ = find_closure(tree_, request_.program.path,
                                closure_options(request_.environment, plan_.own_libc));
        if (!plan_.own_libc && closure_.glibc_minor() > kImageGlibcMinor) {
            say_verbose("{} needs glibc 2.{}: it gets its own libc", request_.program.path,
                        closure_.glibc_minor());
            plan_.own_libc = true;
            closure_ = find_closure(tree_, request_.program.path,
                                    closure_options(request_.environment, true));
        }
        if (closure_.missing.empty()) return;
        const MissingLibrary& first = closure_.missing.front();
        throw CommandError(
            kExitNotFound,
            fmt::format("{}: needs the library {}, which is not here{}; install the package that "
                        "has it, or set LD_LIBRARY_PATH with -e",
                        first.wanted_by, first.name,
                        closure_.missing.size() > 1
                            ? fmt::format(" (nor are {} more)", closure_.missing.size() - 1)
                            : ""));
    }

    void gather() {
        Manifest& manifest = plan_.manifest;
        add_base_folders(manifest);
        add_etc_files(manifest, tree_, request_.identity);
        add_program();
        add_packages();
        add_python_caches();
        add_library_data();
        add_library_cache(manifest, tree_);
        plan_.inputs = {"/var/lib/dpkg/status", "/etc/ld.so.cache"};
    }

    void add_program() {
        const Program& program = request_.program;
        if (!program.script.empty()) take(program.script);
        take(program.path);
        for (const ClosureObject& object : closure_.objects) take(object.path);
        const std::string& interpreter =
            closure_.objects.empty() ? program.path : closure_.objects.front().elf.interpreter;
        bool builtin = interpreter.find("ld-linux-x86-64") != std::string::npos;
        if (!interpreter.empty() && (plan_.own_libc || !builtin)) take(interpreter);
    }

    // Adds a path and remembers all the names under which a package may own it.
    void take(const std::string& path) {
        Resolved resolved = tree_.resolve(path);
        plan_.manifest.add(tree_, path);
        taken_.insert(resolved.path);
        taken_.insert(resolved.links.begin(), resolved.links.end());
    }

    void add_packages() {
        PackageDatabase database(tree_);
        auto owners = database.owners(taken_);
        std::set<std::string> own;  // The packages of the program itself.
        for (const std::string& path : {request_.program.path, request_.program.script}) {
            auto owner = owners.find(tree_.resolve(path).path);
            if (!path.empty() && owner != owners.end()) own.insert(owner->second);
        }
        if (own.empty()) return;  // What no package owns comes with its libraries alone.
        std::set<std::string> roots = own;
        // An interpreter with its whole library, if that is installed.
        for (const std::string& name : own) {
            if (const Package* whole = database.whole_form(name)) roots.insert(whole->name);
        }
        for (const auto& [path, owner] : owners) {
            const Package* package = database.find(owner);
            if (package && !is_left_out(*package)) roots.insert(owner);
        }
        bool translations = wants_translations();
        for (const std::string& name : database.dependencies(roots, is_left_out)) {
            const Package* package = database.find(name);
            if (!package) continue;
            plan_.packages.push_back(name);
            for (const std::string& path : database.files(name)) {
                add_package_file(path, package->essential, translations);
            }
        }
        add_alternatives();
    }

    void add_package_file(const std::string& path, bool essential, bool translations) {
        if (!is_wanted_file(path, essential, translations)) return;
        // glibc's own libraries would only be a second libc beside the image's.
        if (!plan_.own_libc && is_builtin_library(std::string(base_name(path)))) return;
        auto info = tree_.lstat(path);
        if (!info) return;
        bool hidden = (info->st_mode & 0004) == 0 && !S_ISLNK(info->st_mode);
        if (hidden && (path.starts_with("/etc/") || path.starts_with("/var/"))) return;
        plan_.manifest.add_without_following(tree_, path);
    }

    // The links that update-alternatives made for files that are in the image.
    void add_alternatives() {
        constexpr char kAdmin[] = "/var/lib/dpkg/alternatives";
        for (const std::string& name : tree_.list(kAdmin)) {
            std::string path = std::string(kAdmin) + "/" + name;
            std::istringstream lines(tree_.read_file(path).value_or(""));
            std::string mode, link;
            std::getline(lines, mode);
            std::getline(lines, link);
            add_alternative(name, link);
            // Slaves follow as pairs of lines, up to an empty one.
            for (std::string slave; std::getline(lines, slave) && !slave.empty();) {
                std::getline(lines, link);
                add_alternative(slave, link);
            }
        }
    }

    void add_alternative(const std::string& name, const std::string& link) {
        auto target = tree_.read_link("/etc/alternatives/" + name);
        if (!target || !is_wanted_file(link, false, false)) return;
        if (!plan_.manifest.has(tree_.resolve(*target).path)) return;
        plan_.manifest.add(tree_, link);
    }

    // Compiled modules are made when a package is installed, so no package owns them; without
    // them Python would compile its library at every start.
    void add_python_caches() {
        std::vector<std::string> modules;
        for (const auto& [path, entry] : plan_.manifest.entries()) {
            if (path.ends_with(".py") && entry.type == Entry::Type::kFile) modules.push_back(path);
        }
        std::map<std::string, std::vector<std::string>> caches;  // By __pycache__ folder.
        for (const std::string& module : modules) {
            std::string folder = parent_path(module) + "/__pycache__";
            auto [cache, added] = caches.try_emplace(folder);
            if (added) cache->second = tree_.list(folder);
            std::string stem(base_name(module));
            stem.resize(stem.size() - 2);  // Keeps the dot.
            for (const std::string& name : cache->second) {
                if (name.starts_with(stem)) plan_.manifest.add(tree_, folder + "/" + name);
            }
        }
    }

    // Files that libraries open by themselves, where the program's imports show that they may.
    void add_library_data() {
        if (closure_.imports("iconv_open")) add_folder(std::string(kLibraryFolder) + "/gconv");
        if (closure_.imports("setlocale") || closure_.imports("newlocale")) add_locales();
        if (closure_.imports("localtime") || closure_.imports("localtime_r") ||
            closure_.imports("tzset") || closure_.imports("mktime")) {
            plan_.manifest.add(tree_, "/etc/localtime");
            plan_.manifest.add(tree_, "/etc/timezone");
            std::string zone = variable("TZ");
            if (zone.starts_with(':')) zone.erase(0, 1);
            if (!zone.empty()) plan_.manifest.add(tree_, "/usr/share/zoneinfo/" + zone);
        }
        if (closure_.imports("pthread_cancel") || closure_.imports("backtrace") ||
            closure_.imports("pthread_exit")) {
            plan_.manifest.add(tree_, std::string(kLibraryFolder) + "/libgcc_s.so.1");
        }
        if (closure_.imports("getaddrinfo") || closure_.imports("getservbyname") ||
            closure_.imports("getprotobyname")) {
            for (const char* path : {"/etc/services", "/etc/protocols", "/etc/gai.conf"}) {
                plan_.manifest.add(tree_, path);
            }
        }
        for (const ClosureObject& object : closure_.objects) {
            if (object.elf.soname.starts_with("libtinfo.")) add_terminals();
            if (object.elf.soname.starts_with("libssl.") ||
                object.elf.soname.starts_with("libgnutls.")) {
                plan_.manifest.add(tree_, "/etc/ssl/certs/ca-certificates.crt");
            }
        }
    }

    void add_locales() {
        add_folder("/usr/lib/locale/C.utf8");
        if (!wants_translations()) return;
        plan_.manifest.add(tree_, "/usr/lib/locale/locale-archive");
        for (const std::string& name : tree_.list("/usr/lib/locale")) {
            if (tree_.stat("/usr/lib/locale/" + name + "/LC_CTYPE")) {
                add_folder("/usr/lib/locale/" + name);
            }
        }
    }

    void add_terminals() {
        add_folder("/lib/terminfo");
        std::string terminal = variable("TERM");
        if (terminal.empty()) return;
        plan_.manifest.add(tree_, fmt::format("/usr/share/terminfo/{}/{}", terminal[0], terminal));
    }

    void add_folder(const std::string& path) {
        std::string folder = plan_.manifest.add(tree_, path);
        if (folder.empty()) return;
        for (const std::string& name : tree_.list(folder)) {
            std::string inside = folder + "/" + name;
            auto info = tree_.lstat(inside);
            if (info && S_ISDIR(info->st_mode)) {
                add_folder(inside);
            } else {
                plan_.manifest.add_without_following(tree_, inside);
            }
        }
    }

    std::string variable(const std::string& name) const {
        auto found = request_.environment.find(name);
        return found == request_.environment.end() ? "" : found->second;
    }

    // A language other than C's was asked for.
    bool wants_translations() const {
        return std::any_of(request_.environment.begin(), request_.environment.end(),
                           [](const auto& variable) {
                               const auto& [name, value] = variable;
                               if (name != "LANG" && name != "LANGUAGE" && !name.starts_with("LC_"))
                                   return false;
                               return !value.empty() && value != "C" && value != "POSIX" &&
                                      !value.starts_with("C.");
                           });
    }

    const RootRequest& request_;
    Tree tree_;
    RootPlan plan_;
    Closure closure_;
    std::set<std::string> taken_;
};

}  // namespace

ClosureOptions closure_options(const std::map<std::string, std::string>& environment,
                               bool own_libc) {
    ClosureOptions options;
    options.builtin_libc = !own_libc;
    auto path = environment.find("LD_LIBRARY_PATH");
    if (path != environment.end()) options.library_path = split_at(path->second, ":;");
    auto preload = environment.find("LD_PRELOAD");
    if (preload != environment.end()) options.preload = split_at(preload->second, ": ");
    return options;
}

RootPlan plan_root(const RootRequest& request) {
    return Planner(request).run();
}

}  // namespace coracle
