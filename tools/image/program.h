// From what the user typed to the file that the kernel is to execute.
#pragma once

#include <string>
#include <vector>

#include "tools/image/tree.h"

namespace coracle {

struct Program {
    std::string path;  // Absolute, inside the tree, as it was found: links are not followed.
    // argv up to and with what stands for the program: its name as it was typed, or for a script
    // what Linux would make of its first line.
    std::vector<std::string> arguments;
    std::string script;  // The script that `path` is the interpreter of; empty: none.
};

// Looks `name` up: with a slash it is a path (relative to `folder`), without one it is searched in
// `search_path` as execvp(3) does. Follows `#!` lines. Throws CommandError, with a sentence that
// says what to do, for what cannot be run: 127 not there, 126 not executable, a folder, of another
// architecture, not a program.
Program find_program(const Tree& tree, const std::string& name, const std::string& folder,
                     const std::string& search_path);

}  // namespace coracle
