// What the three kinds of System V IPC objects share (man 7 sysvipc): identifiers, keys, owners and
// permissions. There is one IPC namespace.
#pragma once

#include <sys/ipc.h>

#include <cstdint>

#include "kernel-min/lib/panic.h"
#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"

namespace coracle {

struct IpcObject {
    int id = -1;
    int32_t key = 0;
    uint32_t uid = 0, gid = 0, creator_uid = 0, creator_gid = 0;
    uint32_t mode = 0;     // the low nine bits
    bool removed = false;  // IPC_RMID: its identifier means nothing any more

    // A new object of the caller's.
    void set_creator(int32_t object_key, int flags);
    // EACCES unless the caller may do all of `wanted`: 4 to read, 2 to write (or change).
    Result<void> check_access(uint32_t wanted) const;
    // EPERM unless the caller owns or made it, or is privileged: IPC_SET and IPC_RMID.
    Result<void> check_owner() const;
    void fill(ipc_perm& to) const;
    // IPC_SET. EINVAL is Linux's for ids that cannot be.
    Result<void> change(const ipc_perm& to);
    uint32_t sequence() const { return static_cast<uint32_t>(id) / kMaxObjects; }

    static constexpr uint32_t kMaxObjects = 32768;  // IPCMNI
};

// The identifiers of one kind of objects: an index and, above it, how often it was used. T is an
// IpcObject and counted.
template <typename T>
class IpcTable {
  public:
    explicit constexpr IpcTable(unsigned limit) : limit_(limit) {}

    unsigned count() const { return count_; }
    // The highest index in use, or -1.
    int last_index() const {
        for (int i = static_cast<int>(capacity_) - 1; i >= 0; i--) {
            if (slots_[i]) return i;
        }
        return -1;
    }
    // Null if nothing has this index.
    T* at_index(unsigned index) const { return index < capacity_ ? slots_[index] : nullptr; }
    // EINVAL: nothing has this identifier; EIDRM: its index has been used again since.
    Result<RefPtr<T>> find(int id) const {
        if (id < 0) return Error(EINVAL);
        T* found = at_index(static_cast<uint32_t>(id) % IpcObject::kMaxObjects);
        if (!found) return Error(EINVAL);
        if (found->id != id) return Error(EIDRM);
        return RefPtr<T>(found);
    }
    T* find_key(int32_t key) const {
        for (unsigned i = 0; i < capacity_; i++) {
            if (slots_[i] && slots_[i]->key == key) return slots_[i];
        }
        return nullptr;
    }

    // The common part of semget(2), msgget(2) and shmget(2): `create()` -> Result<RefPtr<T>> makes
    // a new object, `check(T&)` -> Result<void> says whether one that is there will do. ENOENT,
    // EEXIST, ENOSPC, EACCES.
    template <typename Create, typename Check>
    Result<int> get(int32_t key, int flags, Create create, Check check) {
        T* found = key == IPC_PRIVATE ? nullptr : find_key(key);
        if (found) {
            if ((flags & IPC_CREAT) && (flags & IPC_EXCL)) return Error(EEXIST);
            TRY(check(*found));
            const uint32_t asked = static_cast<uint32_t>(flags >> 6 | flags >> 3 | flags) & 7;
            TRY(found->check_access(asked));
            return found->id;
        }
        if (key != IPC_PRIVATE && !(flags & IPC_CREAT)) return Error(ENOENT);
        RefPtr<T> object = TRY(create());
        object->set_creator(key, flags);
        return add(std::move(object));
    }
    void remove(T& object) {
        ASSERT(slots_);  // one of them holds the object
        T*& slot = slots_[static_cast<uint32_t>(object.id) % IpcObject::kMaxObjects];
        slot = nullptr;
        count_--;
        object.removed = true;
        object.unref();
    }

  private:
    Result<int> add(RefPtr<T> object);
    Result<void> grow();

    unsigned limit_;
    unsigned count_ = 0, capacity_ = 0;
    uint32_t sequence_ = 0;
    T** slots_ = nullptr;  // each holds a reference
};

template <typename T>
Result<void> IpcTable<T>::grow() {
    const unsigned capacity = capacity_ == 0 ? 64 : capacity_ * 2;
    T** slots = new (std::nothrow) T*[capacity]();
    if (!slots) return Error(ENOMEM);
    for (unsigned i = 0; i < capacity_; i++) slots[i] = slots_[i];
    delete[] slots_;
    slots_ = slots;
    capacity_ = capacity;
    return {};
}

template <typename T>
Result<int> IpcTable<T>::add(RefPtr<T> object) {
    if (count_ >= limit_) return Error(ENOSPC);
    unsigned index = 0;
    while (index < capacity_ && slots_[index]) index++;
    if (index == capacity_) TRY(grow());
    constexpr uint32_t kSequences = INT32_MAX / IpcObject::kMaxObjects;
    object->id = static_cast<int>(sequence_ * IpcObject::kMaxObjects + index);
    sequence_ = (sequence_ + 1) % kSequences;
    const int id = object->id;
    slots_[index] = object.leak_ref();
    count_++;
    return id;
}

// Seconds since 1970, as the *_ds structures have them.
int64_t ipc_time();
// The caller's process id.
int32_t ipc_pid();

}  // namespace coracle
