#include "libposix/fs/tmpfs.h"

#include <linux/magic.h>

#include <algorithm>
#include <new>

#include "kernel-min/memory/heap.h"

namespace coracle {

Result<RefPtr<TmpfsFileSystem>> shared_memory_file_system() {
    // Made with its first file; lives as long as the kernel. It has no limit but the memory.
    static TmpfsFileSystem* file_system = nullptr;
    if (!file_system) {
        uint64_t pages = frame_statistics().total;
        file_system = TRY(make_ref<TmpfsFileSystem>(pages, "tmpfs", "")).leak_ref();
    }
    return RefPtr<TmpfsFileSystem>(file_system);
}

void TmpfsFileSystem::set_origin(const ErofsImage& image, const std::byte* memory,
                                 PhysAddr frames) {
    origin_ = image;
    origin_memory_ = memory;
    origin_frames_ = frames;
    // The origin's inodes keep their numbers, new ones come behind all of them.
    last_inode_ = image.size() / 32;
}

PhysAddr TmpfsFileSystem::origin_frame(const std::byte* bytes) const {
    uint64_t offset = static_cast<uint64_t>(bytes - origin_memory_);
    if (origin_frames_ == 0 || offset % kPageSize != 0) return 0;
    return origin_frames_ + offset;
}

Result<RefPtr<Inode>> TmpfsFileSystem::make_root(uint32_t mode) {
    if (origin_) return make_origin_inode(origin_->root_nid());
    return make_inode(NewInode{.mode = S_IFDIR | (mode & 07777)});
}

FileSystem::Statistics TmpfsFileSystem::statistics() const {
    uint64_t max_inodes = max_pages_;  // as Linux: half the pages of the memory
    return {.type = TMPFS_MAGIC,
            .block_size = kPageSize,
            .blocks = max_pages_,
            .free_blocks = max_pages_ - used_pages_,
            .files = max_inodes,
            .free_files = max_inodes - std::min(inode_count_, max_inodes)};
}

Result<RefPtr<Inode>> TmpfsFileSystem::make_inode(const NewInode& what) {
    constexpr uint64_t kNoOrigin = TmpfsInode::kNoOrigin;
    RefPtr<Inode> inode;
    switch (what.mode & S_IFMT) {
        case S_IFREG:
            inode = TRY(make_ref<TmpfsFile>(*this, kNoOrigin, uint64_t{0}));
            break;
        case S_IFDIR:
            inode = TRY(make_ref<TmpfsDirectory>(*this, kNoOrigin));
            inode->link_count = 2;
            break;
        case S_IFLNK: {
            auto link = TRY(make_ref<TmpfsSymlink>(*this, kNoOrigin));
            TRY(link->set_text(what.link_target));
            inode = std::move(link);
            break;
        }
        default:
            inode = TRY(make_ref<TmpfsInode>(*this, kNoOrigin));
            inode->device = what.device;
    }
    inode->number = ++last_inode_;
    inode->mode = what.mode;
    inode->uid = what.uid;
    inode->gid = what.gid;
    timespec now = current_time();
    inode->access_time = inode->modify_time = inode->change_time = inode->birth_time = now;
    return inode;
}

Result<RefPtr<Inode>> TmpfsFileSystem::make_origin_inode(uint64_t nid) {
    TmpfsInode*& bucket = linked_[nid % kLinkedBuckets];
    for (TmpfsInode* linked = bucket; linked; linked = linked->next_linked_) {
        if (linked->nid_ == nid) return RefPtr<Inode>(linked);
    }
    ErofsImage::Node node = TRY(origin_->node(nid));
    RefPtr<TmpfsInode> inode;
    switch (node.mode & S_IFMT) {
        case S_IFREG:
            inode = TRY(make_ref<TmpfsFile>(*this, nid, node.size));
            break;
        case S_IFDIR:
            inode = TRY(make_ref<TmpfsDirectory>(*this, nid));
            break;
        case S_IFLNK: {
            auto link = TRY(make_ref<TmpfsSymlink>(*this, nid));
            TRY(link->set_text_from_origin());
            inode = std::move(link);
            break;
        }
        default:
            inode = TRY(make_ref<TmpfsInode>(*this, nid));
    }
    inode->number = nid;
    inode->mode = node.mode;
    inode->uid = node.uid;
    inode->gid = node.gid;
    inode->link_count = node.link_count;
    inode->device = node.device;
    timespec time = {static_cast<time_t>(node.modify_time), static_cast<long>(node.modify_time_ns)};
    inode->access_time = inode->modify_time = inode->change_time = inode->birth_time = time;
    if (node.link_count > 1 && !inode->is_directory()) {
        inode->next_linked_ = bucket;
        bucket = inode.get();
    }
    return RefPtr<Inode>(std::move(inode));
}

Result<void> TmpfsFileSystem::check_room(uint64_t count) const {
    if (count > max_pages_ - used_pages_) return Error(ENOSPC);
    return {};
}

Result<PhysAddr> TmpfsFileSystem::allocate_page() {
    TRY(check_room(1));
    Result<PhysAddr> frame = allocate_frame();
    if (!frame.ok()) return Error(ENOSPC);
    used_pages_++;
    return frame;
}

void TmpfsFileSystem::free_page(PhysAddr page) {
    used_pages_--;
    put_frame(page);
}

TmpfsInode::TmpfsInode(TmpfsFileSystem& owner, uint64_t origin_nid)
    : Inode(owner), nid_(origin_nid) {
    owner.inode_count_++;
}

TmpfsInode::~TmpfsInode() {
    tmpfs().inode_count_--;
    if (!has_origin()) return;
    TmpfsInode** linked = &tmpfs().linked_[nid_ % TmpfsFileSystem::kLinkedBuckets];
    while (*linked && *linked != this) linked = &(*linked)->next_linked_;
    if (*linked) *linked = next_linked_;
}

Result<void> TmpfsSymlink::set_text(std::string_view text) {
    text_.reset(new (std::nothrow) char[text.size()]);
    if (!text_) return Error(ENOMEM);
    memcpy(text_.get(), text.data(), text.size());
    length_ = text.size();
    return {};
}

Result<void> TmpfsSymlink::set_text_from_origin() {
    constexpr size_t kMaxTarget = 4095;
    ErofsImage::Node node = TRY(origin_node());
    if (node.size > kMaxTarget || node.size == 0) return Error(EUCLEAN);
    text_.reset(new (std::nothrow) char[node.size]);
    if (!text_) return Error(ENOMEM);
    length_ = TRY(tmpfs().origin()->read_link(node, text_.get(), node.size));
    return {};
}

Result<LinkTarget> TmpfsSymlink::read_link() {
    LinkTarget target;
    target.text = {text_.get(), length_};
    return target;
}

}  // namespace coracle
