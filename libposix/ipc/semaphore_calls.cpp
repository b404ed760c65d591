// semget, semop, semtimedop, semctl.
#include <algorithm>
#include <cstring>

#include "libposix/ipc/ipc.h"
#include "libposix/ipc/semaphore_set.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint32_t kRead = 4, kAlter = 2;
constexpr int kSemStatAny = 20;  // SEM_STAT_ANY

void fill(const SemaphoreSet& set, semid_ds& to) {
    memset(&to, 0, sizeof(to));
    set.fill(to.sem_perm);
    to.sem_otime = set.operate_time;
    to.sem_ctime = set.change_time;
    to.sem_nsems = set.count();
}

// IPC_INFO and SEM_INFO: the limits, and what there is.
Result<long> information(int command, uint64_t address) {
    seminfo info = {};
    info.semmni = static_cast<int>(SemaphoreSet::kMaxSets);
    info.semmns = static_cast<int>(SemaphoreSet::kMaxSets * SemaphoreSet::kMaxPerSet);
    info.semmsl = static_cast<int>(SemaphoreSet::kMaxPerSet);
    info.semopm = static_cast<int>(SemaphoreSet::kMaxOperations);
    info.semvmx = SemaphoreSet::kMaxValue;
    info.semmnu = info.semmap = info.semmns;
    info.semume = info.semopm;
    const IpcTable<SemaphoreSet>& table = semaphore_sets();
    if (command == SEM_INFO) {
        unsigned total = 0;
        for (int i = table.last_index(); i >= 0; i--) {
            if (SemaphoreSet* set = table.at_index(static_cast<unsigned>(i))) total += set->count();
        }
        info.semusz = static_cast<int>(table.count());
        info.semaem = static_cast<int>(total);
    } else {
        info.semusz = 20;
        info.semaem = SemaphoreSet::kMaxValue;
    }
    TRY(UserOut<seminfo>(address).write(info));
    return std::max(table.last_index(), 0);
}

Result<long> status(int id, int command, uint64_t address) {
    RefPtr<SemaphoreSet> set;
    if (command == IPC_STAT) {
        set = TRY(semaphore_sets().find(id));
    } else {
        set = RefPtr<SemaphoreSet>(semaphore_sets().at_index(static_cast<unsigned>(id)));
        if (!set) return Error(EINVAL);
    }
    if (command != kSemStatAny) TRY(set->check_access(kRead));
    semid_ds to;
    fill(*set, to);
    TRY(UserOut<semid_ds>(address).write(to));
    return command == IPC_STAT ? 0 : set->id;
}

Result<long> get_all(SemaphoreSet& set, uint64_t address) {
    UserOut<uint16_t> to(address);
    for (unsigned i = 0; i < set.count(); i++) TRY(to.write(set.value(i), i));
    return 0;
}

Result<long> set_all(SemaphoreSet& set, uint64_t address) {
    std::unique_ptr<uint16_t[]> values(new (std::nothrow) uint16_t[set.count()]);
    if (!values) return Error(ENOMEM);
    TRY(UserIn<uint16_t>(address).read_array(values.get(), set.count()));
    for (unsigned i = 0; i < set.count(); i++) {
        if (values[i] > SemaphoreSet::kMaxValue) return Error(ERANGE);
    }
    if (set.removed) return Error(EIDRM);
    set.set_all(values.get());
    return 0;
}

Result<long> on_one(SemaphoreSet& set, int index, int command, uint64_t argument) {
    if (command == SETVAL) {
        const int value = static_cast<int>(argument);
        if (value < 0 || value > SemaphoreSet::kMaxValue) return Error(ERANGE);
    }
    if (index < 0 || static_cast<unsigned>(index) >= set.count()) return Error(EINVAL);
    TRY(set.check_access(command == SETVAL ? kAlter : kRead));
    const auto which = static_cast<unsigned>(index);
    switch (command) {
        case GETVAL:
            return set.value(which);
        case GETPID:
            return set.last_pid(which);
        case GETNCNT:
            return set.waiters(which, false);
        case GETZCNT:
            return set.waiters(which, true);
        default:
            set.set(which, static_cast<uint16_t>(argument));
            return 0;
    }
}

Result<long> operate(int id, UserIn<sembuf> from, size_t count, Deadline deadline) {
    if (count > SemaphoreSet::kMaxOperations) return Error(E2BIG);
    sembuf few[8];
    std::unique_ptr<sembuf[]> many;
    sembuf* operations = few;
    if (count > std::size(few)) {
        many.reset(new (std::nothrow) sembuf[count]);
        if (!many) return Error(ENOMEM);
        operations = many.get();
    }
    TRY(from.read_array(operations, count));
    if (count < 1 || id < 0) return Error(EINVAL);
    RefPtr<SemaphoreSet> set = TRY(semaphore_sets().find(id));
    const std::span<const sembuf> all(operations, count);
    bool alters = false;
    for (const sembuf& each : all) {
        if (each.sem_num >= set->count()) return Error(EFBIG);
        alters |= each.sem_op != 0;
    }
    TRY(set->check_access(alters ? kAlter : kRead));
    TRY(set->operate(all, deadline));
    return 0;
}

}  // namespace

Result<long> sys_semget(int key, int count, int flags) {
    if (count < 0 || static_cast<unsigned>(count) > SemaphoreSet::kMaxPerSet) return Error(EINVAL);
    const auto wanted = static_cast<unsigned>(count);
    return TRY(semaphore_sets().get(
        key, flags,
        [&]() -> Result<RefPtr<SemaphoreSet>> {
            if (wanted == 0) return Error(EINVAL);
            return SemaphoreSet::create(wanted);
        },
        [&](SemaphoreSet& set) -> Result<void> {
            if (wanted > set.count()) return Error(EINVAL);
            return {};
        }));
}

Result<long> sys_semop(int id, UserIn<sembuf> ops, size_t count) {
    return operate(id, ops, count, Deadline::never());
}

Result<long> sys_semtimedop(int id, UserIn<sembuf> ops, size_t count, UserIn<timespec> timeout) {
    if (!timeout) return operate(id, ops, count, Deadline::never());
    timespec time = TRY(timeout.read());
    if (!is_valid(time)) return Error(EINVAL);
    return operate(id, ops, count, Deadline::after(to_ns(time)));
}

Result<long> sys_semctl(int id, int index, int command, unsigned long argument) {
    if (id < 0) return Error(EINVAL);
    switch (command) {
        case IPC_INFO:
        case SEM_INFO:
            return information(command, argument);
        case IPC_STAT:
        case SEM_STAT:
        case kSemStatAny:
            return status(id, command, argument);
        case GETALL:
        case SETALL:
        case GETVAL:
        case SETVAL:
        case GETPID:
        case GETNCNT:
        case GETZCNT:
        case IPC_SET:
        case IPC_RMID:
            break;
        default:
            return Error(EINVAL);
    }
    semid_ds given;
    if (command == IPC_SET) given = TRY(UserIn<semid_ds>(argument).read());
    RefPtr<SemaphoreSet> set = TRY(semaphore_sets().find(id));
    switch (command) {
        case GETALL:
            TRY(set->check_access(kRead));
            return get_all(*set, argument);
        case SETALL:
            TRY(set->check_access(kAlter));
            return set_all(*set, argument);
        case IPC_SET:
            TRY(set->check_owner());
            TRY(set->change(given.sem_perm));
            set->change_time = ipc_time();
            return 0;
        case IPC_RMID:
            TRY(set->check_owner());
            semaphore_sets().remove(*set);
            set->wake_for_removal();
            return 0;
        default:
            return on_one(*set, index, command, argument);
    }
}

void end_ipc_of(Process& process) {
    const IpcTable<SemaphoreSet>& table = semaphore_sets();
    for (int i = table.last_index(); i >= 0; i--) {
        SemaphoreSet* set = table.at_index(static_cast<unsigned>(i));
        if (set) set->undo(static_cast<int32_t>(process.pid));
    }
}

}  // namespace coracle
