// The Debian packages that are installed in a tree: who owns which file, who needs whom.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/image/tree.h"

namespace coracle {

struct Package {
    std::string name;
    std::string architecture;
    bool essential = false;
    std::vector<std::vector<std::string>> depends;  // Depends and Pre-Depends: all of any of.
    std::vector<std::string> provides;
};

// One Depends field: names by alternatives, versions and architectures left out.
std::vector<std::vector<std::string>> parse_depends(std::string_view field);

// The installed packages of a dpkg status file, by name.
std::map<std::string, Package> parse_status(std::string_view text);

class PackageDatabase {
  public:
    explicit PackageDatabase(const Tree& tree);

    bool empty() const { return packages_.empty(); }
    const Package* find(const std::string& name) const;  // By name, or by what it provides.

    // path -> name of the package that owns it, for those of `paths` that a package owns. Where
    // /usr is merged, /lib/x and /usr/lib/x are the same.
    std::map<std::string, std::string> owners(const std::set<std::string>& paths) const;

    // `roots` and all they depend on, less what `excluded` says, through which no path leads;
    // roots are never excluded.
    template <typename Predicate>
    std::set<std::string> dependencies(const std::set<std::string>& roots,
                                       Predicate excluded) const {
        std::set<std::string> found = roots;
        std::vector<std::string> todo(roots.begin(), roots.end());
        while (!todo.empty()) {
            const Package* package = find(todo.back());
            todo.pop_back();
            if (!package) continue;
            for (const auto& alternatives : package->depends) {
                const Package* chosen = first_installed(alternatives);
                if (!chosen || excluded(*chosen) || !found.insert(chosen->name).second) continue;
                todo.push_back(chosen->name);
            }
        }
        return found;
    }

    // The installed package of which this one is the small form, as python3-minimal is of python3
    // and perl-base of perl: what NAME-minimal or NAME-base is without its suffix, if that
    // depends on it. Null if there is none.
    const Package* whole_form(const std::string& name) const;

    // The paths that a package installed, folders too.
    std::vector<std::string> files(const std::string& name) const;

  private:
    const Package* first_installed(const std::vector<std::string>& alternatives) const;

    const Tree& tree_;
    std::map<std::string, Package> packages_;
    std::map<std::string, std::string> providers_;  // Virtual name -> a package's name.
};

}  // namespace coracle
