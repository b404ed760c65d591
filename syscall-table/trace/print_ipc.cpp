// System V IPC and POSIX message queues.
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include <algorithm>

#include "syscall-table/trace/printers.h"

namespace coracle::trace {
namespace {

template <typename T>
void put_field(Line& line, const char* name, T value) {
    line.put(name);
    line.put_decimal(static_cast<int64_t>(value));
}

void put_get_flags(Call& call, int64_t value, const ConstantTable& table) {
    constexpr int64_t kModeMask = 0777;
    if ((value & ~kModeMask) != 0) {
        put_flags(call.line, static_cast<uint32_t>(value & ~kModeMask), table);
        call.line.put('|');
    }
    call.line.put_octal3(static_cast<uint64_t>(value & kModeMask));
}

void put_permissions(Line& line, const char* name, const ipc_perm& perm) {
    line.put(name);
    put_field(line, "{uid=", perm.uid);
    put_field(line, ", gid=", perm.gid);
    line.put(", mode=");
    line.put_octal3(perm.mode);
    put_field(line, ", key=", perm.__key);
    put_field(line, ", cuid=", perm.cuid);
    put_field(line, ", cgid=", perm.cgid);
    line.put('}');
}

void put_status(Line& line, const semid_ds& status) {
    put_permissions(line, "{sem_perm=", status.sem_perm);
    put_field(line, ", sem_otime=", status.sem_otime);
    put_field(line, ", sem_ctime=", status.sem_ctime);
    put_field(line, ", sem_nsems=", status.sem_nsems);
    line.put('}');
}

void put_status(Line& line, const msqid_ds& status) {
    put_permissions(line, "{msg_perm=", status.msg_perm);
    put_field(line, ", msg_stime=", status.msg_stime);
    put_field(line, ", msg_rtime=", status.msg_rtime);
    put_field(line, ", msg_ctime=", status.msg_ctime);
    put_field(line, ", msg_qnum=", status.msg_qnum);
    put_field(line, ", msg_qbytes=", status.msg_qbytes);
    put_field(line, ", msg_lspid=", status.msg_lspid);
    put_field(line, ", msg_lrpid=", status.msg_lrpid);
    line.put('}');
}

void put_status(Line& line, const shmid_ds& status) {
    put_permissions(line, "{shm_perm=", status.shm_perm);
    put_field(line, ", shm_segsz=", status.shm_segsz);
    put_field(line, ", shm_cpid=", status.shm_cpid);
    put_field(line, ", shm_lpid=", status.shm_lpid);
    put_field(line, ", shm_nattch=", status.shm_nattch);
    put_field(line, ", shm_atime=", status.shm_atime);
    put_field(line, ", shm_dtime=", status.shm_dtime);
    put_field(line, ", shm_ctime=", status.shm_ctime);
    line.put('}');
}

// The last argument of the *ctl calls, whose command is argument `command_index`.
template <typename Status>
void put_control_argument(Call& call, int64_t value, int command, int stat, int stat_any) {
    Status status;
    const bool has_status = command == IPC_STAT || command == stat || command == stat_any;
    if (has_status && !call.failed() && call.read(status, static_cast<uint64_t>(value))) {
        put_status(call.line, status);
    } else {
        call.line.put_pointer(static_cast<uint64_t>(value));
    }
}

}  // namespace

void print_ipc_key(Call& call, int64_t value) {
    if (value == IPC_PRIVATE) {
        call.line.put("IPC_PRIVATE");
    } else {
        call.line.put_hex(static_cast<uint32_t>(value));
    }
}

void print_ipc_get_flags(Call& call, int64_t value) {
    put_get_flags(call, value, tables::ipc_get_flags);
}
void print_shm_get_flags(Call& call, int64_t value) {
    put_get_flags(call, value, tables::shm_get_flags);
}

void print_semctl_arg(Call& call, int64_t value) {
    constexpr int kSemStatAny = 20;
    put_control_argument<semid_ds>(call, value, static_cast<int>(call.arguments[2]), SEM_STAT,
                                   kSemStatAny);
}
void print_msgctl_arg(Call& call, int64_t value) {
    constexpr int kMsgStatAny = 13;
    put_control_argument<msqid_ds>(call, value, static_cast<int>(call.arguments[1]), MSG_STAT,
                                   kMsgStatAny);
}
void print_shmctl_arg(Call& call, int64_t value) {
    constexpr int kShmStatAny = 15;
    put_control_argument<shmid_ds>(call, value, static_cast<int>(call.arguments[1]), SHM_STAT,
                                   kShmStatAny);
}

// struct msgbuf of msgsnd(2) and msgrcv(2), whose third argument is the size of its text.
void print_message(Call& call, int64_t value) {
    const auto address = static_cast<uint64_t>(value);
    long type;
    if (call.failed() || !call.read(type, address)) {
        call.line.put_pointer(address);
        return;
    }
    put_field(call.line, "{mtype=", type);
    call.line.put(", mtext=");
    print_bytes(call, address + sizeof(type), call.arguments[2]);
    call.line.put('}');
}

void print_sembuf(Call& call, const struct sembuf& operation) {
    put_field(call.line, "{sem_num=", operation.sem_num);
    put_field(call.line, ", sem_op=", operation.sem_op);
    call.line.put(", sem_flg=");
    put_flags(call.line, static_cast<uint16_t>(operation.sem_flg), tables::semop_flags);
    call.line.put('}');
}

void print_mq_attr(Call& call, const struct mq_attr& attributes) {
    call.line.put("{mq_flags=");
    if (attributes.mq_flags == 0) {
        call.line.put('0');
    } else {
        put_flags(call.line, static_cast<uint64_t>(attributes.mq_flags), tables::open_flags);
    }
    put_field(call.line, ", mq_maxmsg=", attributes.mq_maxmsg);
    put_field(call.line, ", mq_msgsize=", attributes.mq_msgsize);
    put_field(call.line, ", mq_curmsgs=", attributes.mq_curmsgs);
    call.line.put('}');
}

}  // namespace coracle::trace
