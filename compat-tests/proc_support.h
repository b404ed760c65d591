// Reads the small files of /proc and /sys.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

inline std::string read_file(const std::string& path) {
    int fd = open(path.c_str(), O_RDONLY);
    EXPECT_GE(fd, 0) << path << ": " << strerror(errno);
    std::string text;
    char buffer[4096];
    ssize_t size;
    while ((size = read(fd, buffer, sizeof(buffer))) > 0) text.append(buffer, size);
    EXPECT_EQ(size, 0) << path;
    close(fd);
    return text;
}

inline std::vector<std::string> lines_of(const std::string& path) {
    std::istringstream text(read_file(path));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
}

inline std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

// Empty, with errno, if it is no link.
inline std::string read_link(const std::string& path) {
    char target[4096];
    ssize_t size = readlink(path.c_str(), target, sizeof(target));
    return size < 0 ? "" : std::string(target, size);
}

inline std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    DIR* folder = opendir(path.c_str());
    EXPECT_NE(folder, nullptr) << path;
    if (!folder) return names;
    while (dirent* entry = readdir(folder)) names.push_back(entry->d_name);
    closedir(folder);
    return names;
}
