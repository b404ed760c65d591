#include "libposix/process/credentials.h"

#include <algorithm>
#include <new>

namespace coracle {

Result<RefPtr<GroupList>> GroupList::allocate(size_t count) {
    GroupList* list = new (std::nothrow) GroupList;
    if (!list) return Error(ENOMEM);
    RefPtr<GroupList> result = adopt_ref(list);
    list->groups_ = new (std::nothrow) uint32_t[std::max<size_t>(count, 1)];
    if (!list->groups_) return Error(ENOMEM);
    list->count_ = count;
    return result;
}

void GroupList::sort() { std::sort(groups_, groups_ + count_); }

bool GroupList::contains(uint32_t group) const {
    return std::binary_search(groups_, groups_ + count_, group);
}

Credentials Credentials::for_identity(uint32_t user, uint32_t group) {
    Credentials credentials;
    credentials.uid = credentials.euid = credentials.suid = credentials.fsuid = user;
    credentials.gid = credentials.egid = credentials.sgid = credentials.fsgid = group;
    if (user != 0) credentials.permitted = credentials.effective = 0;
    return credentials;
}

bool Credentials::in_group(uint32_t group) const {
    return group == fsgid || (supplementary && supplementary->contains(group));
}

bool Credentials::in_effective_group(uint32_t group) const {
    return group == egid || (supplementary && supplementary->contains(group));
}

}  // namespace coracle
