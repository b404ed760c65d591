#include <dirent.h>
#include <stdio.h>  // RENAME_EXCHANGE

#include <utility>

#include "libposix/fs/tmpfs.h"

namespace coracle {
namespace {

uint8_t type_of(const Inode& inode) { return static_cast<uint8_t>(inode.mode >> 12 & 15); }

}  // namespace

void TmpfsDirectory::touch() { modify_time = change_time = current_time(); }

Result<RefPtr<Inode>> TmpfsDirectory::inode_of(DirectoryTable::Entry& entry) {
    if (!entry.inode) entry.inode = TRY(tmpfs().make_origin_inode(entry.number));
    return RefPtr<Inode>(entry.inode);
}

Result<RefPtr<Inode>> TmpfsDirectory::lookup(std::string_view name) {
    if (DirectoryTable::Entry* entry = table_.find(name)) return inode_of(*entry);
    if (complete_) return Error(ENOENT);
    ErofsImage::Entry found = TRY(tmpfs().origin()->lookup(TRY(origin_node()), name));
    RefPtr<Inode> inode = TRY(tmpfs().make_origin_inode(found.nid));
    TRY(table_.add(name, inode, found.nid, found.type));
    return inode;
}

Result<void> TmpfsDirectory::complete() {
    if (complete_) return {};
    ErofsImage::Node node = TRY(origin_node());
    TRY(tmpfs().origin()->for_each_entry(node, [&](const ErofsImage::Entry& entry) -> Result<void> {
        if (table_.find(entry.name)) return {};
        TRY(table_.add(entry.name, nullptr, entry.nid, entry.type));
        return {};
    }));
    complete_ = true;
    return {};
}

Result<RefPtr<Inode>> TmpfsDirectory::create(std::string_view name, const NewInode& what) {
    TRY(complete());
    RefPtr<Inode> inode = TRY(tmpfs().make_inode(what));
    TRY(table_.add(name, inode, inode->number, type_of(*inode)));
    if (inode->is_directory()) link_count++;
    touch();
    return inode;
}

Result<RefPtr<Inode>> TmpfsDirectory::create_unnamed(const NewInode& what) {
    RefPtr<Inode> inode = TRY(tmpfs().make_inode(what));
    inode->link_count = 0;
    return inode;
}

Result<void> TmpfsDirectory::link(std::string_view name, Inode& target) {
    TRY(complete());
    TRY(table_.add(name, RefPtr<Inode>(&target), target.number, type_of(target)));
    target.link_count++;
    touch();
    target.change_time = change_time;
    return {};
}

Result<void> TmpfsDirectory::unlink(std::string_view name, Inode& target) {
    TRY(complete());
    DirectoryTable::Entry* entry = table_.find(name);
    if (!entry) return Error(ENOENT);
    RefPtr<Inode> keep(&target);
    table_.remove(*entry);
    target.link_count--;
    touch();
    target.change_time = change_time;
    return {};
}

Result<void> TmpfsDirectory::remove_directory(std::string_view name, Inode& target) {
    TRY(complete());
    auto& directory = static_cast<TmpfsDirectory&>(target);
    TRY(directory.complete());
    if (directory.table_.count() != 0) return Error(ENOTEMPTY);
    DirectoryTable::Entry* entry = table_.find(name);
    if (!entry) return Error(ENOENT);
    RefPtr<Inode> keep(&target);
    table_.remove(*entry);
    target.link_count = 0;
    link_count--;
    touch();
    target.change_time = change_time;
    return {};
}

Result<void> TmpfsDirectory::rename(std::string_view name, Inode& target, Inode& new_directory,
                                    std::string_view new_name, Inode* replaced, uint32_t flags) {
    auto& destination = static_cast<TmpfsDirectory&>(new_directory);
    TRY(complete());
    TRY(destination.complete());
    RefPtr<Inode> keep_target(&target), keep_replaced(replaced);
    DirectoryTable::Entry* from = table_.find(name);
    DirectoryTable::Entry* to = destination.table_.find(new_name);
    const bool exchange = flags & RENAME_EXCHANGE;
    if (!from || (replaced != nullptr) != (to != nullptr) || (exchange && !to)) {
        return Error(ENOENT);
    }

    bool target_moves_up = target.is_directory();
    if (exchange) {
        std::swap(from->inode, to->inode);
        std::swap(from->number, to->number);
        std::swap(from->type, to->type);
        if (replaced->is_directory()) {
            destination.link_count--;
            link_count++;
        }
    } else if (to) {
        if (replaced->is_directory()) {
            auto& directory = static_cast<TmpfsDirectory&>(*replaced);
            TRY(directory.complete());
            if (directory.table_.count() != 0) return Error(ENOTEMPTY);
            replaced->link_count = 0;
            destination.link_count--;
        } else {
            replaced->link_count--;
        }
        to->inode = keep_target;
        to->number = target.number;
        to->type = from->type;
        table_.remove(*from);
    } else {
        TRY(destination.table_.add(new_name, keep_target, target.number, from->type));
        table_.remove(*from);
    }
    if (target_moves_up) {
        link_count--;
        destination.link_count++;
    }
    touch();
    destination.touch();
    target.change_time = change_time;
    if (replaced) replaced->change_time = change_time;
    return {};
}

Result<void> TmpfsDirectory::list(uint64_t position, DirectoryVisitor& visitor) {
    TRY(complete());
    DirectoryTable::Entry* entry = table_.first_from(position);
    while (entry &&
           visitor.visit(entry->name(), entry->number, entry->type, entry->position + 1)) {
        entry = entry->next;
    }
    return {};
}

}  // namespace coracle
