#include "tools/image/packages.h"

#include <algorithm>

namespace coracle {
namespace {

constexpr char kInfoFolder[] = "/var/lib/dpkg/info";

std::string_view trim(std::string_view text) {
    size_t start = text.find_first_not_of(" \t\n");
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(" \t\n") - start + 1);
}

template <typename Function>
void for_each_part(std::string_view text, char separator, Function function) {
    while (!text.empty()) {
        size_t end = text.find(separator);
        function(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

// "libc6:any (>= 2.34) [amd64]" -> "libc6"
std::string package_name(std::string_view relation) {
    relation = trim(relation);
    return std::string(relation.substr(0, relation.find_first_of(" \t\n(:[")));
}

// The other name of a path where /bin, /lib, /lib64 and /sbin are links into /usr.
std::string merged_alias(const std::string& path) {
    for (std::string_view folder : {"/bin/", "/lib/", "/lib64/", "/sbin/"}) {
        if (path.starts_with(folder)) return "/usr" + path;
        if (path.starts_with("/usr" + std::string(folder))) return path.substr(4);
    }
    return path;
}

}  // namespace

std::vector<std::vector<std::string>> parse_depends(std::string_view field) {
    std::vector<std::vector<std::string>> all;
    for_each_part(field, ',', [&all](std::string_view relation) {
        std::vector<std::string> alternatives;
        for_each_part(relation, '|', [&alternatives](std::string_view alternative) {
            std::string name = package_name(alternative);
            if (!name.empty()) alternatives.push_back(std::move(name));
        });
        if (!alternatives.empty()) all.push_back(std::move(alternatives));
    });
    return all;
}

std::map<std::string, Package> parse_status(std::string_view text) {
    std::map<std::string, Package> packages;
    while (!text.empty()) {
        size_t end = text.find("\n\n");
        std::string_view paragraph = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);

        Package package;
        bool installed = false;
        for_each_part(paragraph, '\n', [&](std::string_view line) {
            if (line.starts_with(' ')) return;  // Continuations: none of the fields used here.
            size_t colon = line.find(':');
            if (colon == std::string_view::npos) return;
            std::string_view key = line.substr(0, colon);
            std::string_view value = trim(line.substr(colon + 1));
            if (key == "Package") {
                package.name = value;
            } else if (key == "Status") {
                installed = value.ends_with(" installed");
            } else if (key == "Architecture") {
                package.architecture = value;
            } else if (key == "Essential") {
                package.essential = value == "yes";
            } else if (key == "Provides") {
                for (auto& provided : parse_depends(value)) package.provides.push_back(provided[0]);
            } else if (key == "Depends" || key == "Pre-Depends") {
                for (auto& needed : parse_depends(value)) package.depends.push_back(needed);
            }
        });
        bool usable = package.architecture == "amd64" || package.architecture == "all";
        if (installed && usable && !package.name.empty()) {
            std::string name = package.name;
            packages[name] = std::move(package);
        }
    }
    return packages;
}

PackageDatabase::PackageDatabase(const Tree& tree) : tree_(tree) {
    packages_ = parse_status(tree.read_file("/var/lib/dpkg/status").value_or(""));
    for (const auto& [name, package] : packages_) {
        for (const std::string& provided : package.provides) providers_.try_emplace(provided, name);
    }
}

const Package* PackageDatabase::find(const std::string& name) const {
    auto package = packages_.find(name);
    if (package != packages_.end()) return &package->second;
    auto provider = providers_.find(name);
    return provider == providers_.end() ? nullptr : find(provider->second);
}

const Package* PackageDatabase::first_installed(
    const std::vector<std::string>& alternatives) const {
    for (const std::string& name : alternatives) {
        if (const Package* package = find(name)) return package;
    }
    return nullptr;
}

const Package* PackageDatabase::whole_form(const std::string& name) const {
    for (std::string_view suffix : {"-minimal", "-base"}) {
        if (!name.ends_with(suffix)) continue;
        auto whole = packages_.find(name.substr(0, name.size() - suffix.size()));
        if (whole == packages_.end()) continue;
        for (const auto& alternatives : whole->second.depends) {
            if (std::find(alternatives.begin(), alternatives.end(), name) != alternatives.end()) {
                return &whole->second;
            }
        }
    }
    return nullptr;
}

std::map<std::string, std::string> PackageDatabase::owners(
    const std::set<std::string>& paths) const {
    std::map<std::string, std::string, std::less<>>
        wanted;  // Spelling in a list -> spelling of the caller.
    for (const std::string& path : paths) {
        wanted[path] = path;
        wanted.try_emplace(merged_alias(path), path);
    }
    std::map<std::string, std::string> owners;
    for (const std::string& list : tree_.list(kInfoFolder)) {
        if (!list.ends_with(".list")) continue;
        std::string name = list.substr(0, list.size() - 5);
        if (name.ends_with(":amd64")) name.resize(name.size() - 6);
        if (!packages_.contains(name)) continue;
        std::string text = read_host_file(tree_.host(kInfoFolder) + "/" + list).value_or("");
        for_each_part(text, '\n', [&](std::string_view line) {
            auto hit = wanted.find(line);
            if (hit != wanted.end()) owners.try_emplace(hit->second, name);
        });
    }
    return owners;
}

std::vector<std::string> PackageDatabase::files(const std::string& name) const {
    std::vector<std::string> paths;
    const Package* package = find(name);
    if (!package) return paths;
    std::string base = tree_.host(kInfoFolder) + "/" + package->name;
    auto text = read_host_file(base + ".list");
    if (!text) text = read_host_file(base + ":amd64.list");
    for_each_part(text.value_or(""), '\n', [&paths](std::string_view line) {
        if (line.size() > 1 && line != "/.") paths.emplace_back(line);
    });
    return paths;
}

}  // namespace coracle
