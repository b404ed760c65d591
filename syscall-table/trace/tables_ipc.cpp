#include <mqueue.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "syscall-table/trace/define_table.h"

namespace coracle::trace::tables {

TABLE(ipc_get_flags, "IPC_???", N(IPC_CREAT), N(IPC_EXCL));
TABLE(shm_get_flags, "SHM_???", N(IPC_CREAT), N(IPC_EXCL), N(SHM_HUGETLB), N(SHM_NORESERVE));
TABLE(shmat_flags, "SHM_???", N(SHM_RDONLY), N(SHM_RND), N(SHM_REMAP), N(SHM_EXEC));
TABLE(message_flags, "MSG_???", N(MSG_NOERROR), N(MSG_EXCEPT), N(MSG_COPY), N(IPC_NOWAIT));
TABLE(semop_flags, "SEM_???", N(SEM_UNDO), N(IPC_NOWAIT));
TABLE(semctl_commands, "SEM_???", N(IPC_RMID), N(IPC_SET), N(IPC_STAT), N(IPC_INFO), N(GETPID),
      N(GETVAL), N(GETALL), N(GETNCNT), N(GETZCNT), N(SETVAL), N(SETALL), N(SEM_STAT), N(SEM_INFO),
      {20, "SEM_STAT_ANY"});
TABLE(msgctl_commands, "MSG_???", N(IPC_RMID), N(IPC_SET), N(IPC_STAT), N(IPC_INFO), N(MSG_STAT),
      N(MSG_INFO), {13, "MSG_STAT_ANY"});
TABLE(shmctl_commands, "SHM_???", N(IPC_RMID), N(IPC_SET), N(IPC_STAT), N(IPC_INFO), N(SHM_LOCK),
      N(SHM_UNLOCK), N(SHM_STAT), N(SHM_INFO), {15, "SHM_STAT_ANY"});

}  // namespace coracle::trace::tables
