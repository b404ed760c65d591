// /proc (man 5 proc), in Linux 6.1's formats.
#pragma once

#include "libposix/fs/pseudo/pseudo_file_system.h"

namespace coracle {

// The file system and its root directory.
Result<RefPtr<Inode>> make_procfs();

// The tables, by their files.
extern const PseudoEntry kProcessDirectory;  // /proc/PID
extern const PseudoEntry kThreadDirectory;   // /proc/PID/task/TID
extern const PseudoEntry kSysDirectory;      // /proc/sys

// Whether it is about a first thread that has ended before others: no memory, no files.
bool is_zombie(const PseudoContext& about);

// What /proc/PID/stat and /proc/PID/task/TID/stat differ in is whose CPU time they tell.
Result<void> show_process_stat(TextBuffer& to, const PseudoContext& about);
Result<void> show_thread_stat(TextBuffer& to, const PseudoContext& about);
Result<void> show_statm(TextBuffer& to, const PseudoContext& about);
Result<void> show_status(TextBuffer& to, const PseudoContext& about);

Result<void> show_maps(TextBuffer& to, const PseudoContext& about);
Result<void> show_smaps(TextBuffer& to, const PseudoContext& about);
Result<void> show_smaps_rollup(TextBuffer& to, const PseudoContext& about);

// /proc/PID/fd and fdinfo.
Result<RefPtr<Inode>> lookup_descriptor(const PseudoInode& directory, std::string_view name);
Result<RefPtr<Inode>> lookup_descriptor_info(const PseudoInode& directory, std::string_view name);
Result<void> list_descriptors(const PseudoInode& directory, uint64_t position,
                              DirectoryVisitor& visitor);

// "a b type options 0 0" and the longer form of mountinfo, as seen from the process's root.
Result<void> show_mounts(TextBuffer& to, const PseudoContext& about);
Result<void> show_mountinfo(TextBuffer& to, const PseudoContext& about);

Result<void> show_cpuinfo(TextBuffer& to, const PseudoContext& about);

}  // namespace coracle
