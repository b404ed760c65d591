// System V message queues: msgget, msgsnd, msgrcv, msgctl.
#include <sys/msg.h>

#include <csignal>
#include <thread>

#include "files_support.h"
#include "thread_waits.h"

namespace {

struct Text {
    long type;
    char text[9000];
};

class MessagesTest : public testing::Test {
  protected:
    MessagesTest() : id_(msgget(IPC_PRIVATE, 0600)) { EXPECT_GE(id_, 0); }
    ~MessagesTest() override { msgctl(id_, IPC_RMID, nullptr); }
    int send(long type, const std::string& text, int flags = IPC_NOWAIT) {
        Text message;
        message.type = type;
        memcpy(message.text, text.data(), text.size());
        return msgsnd(id_, &message, text.size(), flags);
    }
    // The type and the text, or the error.
    std::string receive(long type, int flags = IPC_NOWAIT, size_t room = 100) {
        Text message;
        const ssize_t got = msgrcv(id_, &message, room, type, flags);
        if (got < 0) return strerrorname_np(errno);
        return std::to_string(message.type) + ":" +
               std::string(message.text, static_cast<size_t>(got));
    }
    msqid_ds status() {
        msqid_ds result = {};
        EXPECT_OK(msgctl(id_, IPC_STAT, &result));
        return result;
    }
    int id_;
};

TEST_F(MessagesTest, TypesChoose) {
    for (auto [type, text] : {std::pair{3L, "c"}, {1L, "a"}, {2L, "b"}, {1L, "d"}, {5L, "e"}}) {
        EXPECT_OK(send(type, text));
    }
    EXPECT_EQ(receive(2), "2:b");
    EXPECT_EQ(receive(4), "ENOMSG");
    EXPECT_EQ(receive(-4), "1:a");
    EXPECT_EQ(receive(3, IPC_NOWAIT | MSG_EXCEPT), "1:d");
    EXPECT_EQ(receive(-4), "3:c");
    EXPECT_EQ(receive(-4), "ENOMSG");
    EXPECT_EQ(receive(0), "5:e");
    EXPECT_EQ(receive(0), "ENOMSG");
}

TEST_F(MessagesTest, SizesCount) {
    EXPECT_OK(send(1, "longer"));
    EXPECT_EQ(receive(0, IPC_NOWAIT, 3), "E2BIG");
    EXPECT_EQ(receive(0, IPC_NOWAIT | MSG_NOERROR, 3), "1:lon");
    EXPECT_OK(send(1, ""));
    EXPECT_EQ(receive(0), "1:");
    EXPECT_ERRNO(send(1, std::string(8193, 'x')), EINVAL);
    EXPECT_OK(send(1, std::string(8192, 'x')));
    EXPECT_OK(send(1, std::string(8192, 'x')));
    EXPECT_ERRNO(send(1, "x"), EAGAIN);
    EXPECT_EQ(status().msg_qnum, 2u);
    EXPECT_EQ(status().__msg_cbytes, 16384u);
}

TEST_F(MessagesTest, CopiesStay) {
    EXPECT_OK(send(1, "one"));
    EXPECT_OK(send(2, "two"));
    const std::string copy = receive(1, IPC_NOWAIT | MSG_COPY);
    if (copy == "ENOSYS") GTEST_SKIP() << "this Linux has no MSG_COPY";
    EXPECT_EQ(copy, "2:two");
    EXPECT_EQ(receive(2, IPC_NOWAIT | MSG_COPY), "ENOMSG");
    EXPECT_EQ(receive(0, MSG_COPY), "EINVAL");
    EXPECT_EQ(receive(0, IPC_NOWAIT | MSG_COPY | MSG_EXCEPT), "EINVAL");
    EXPECT_EQ(status().msg_qnum, 2u);
}

TEST_F(MessagesTest, Errors) {
    EXPECT_ERRNO(send(0, "x"), EINVAL);
    EXPECT_ERRNO(send(-1, "x"), EINVAL);
    EXPECT_ERRNO(msgsnd(id_, bad_pointer(), 1, IPC_NOWAIT), EFAULT);
    EXPECT_ERRNO(msgsnd(id_, kernel_pointer(), 1, IPC_NOWAIT), EFAULT);
    Text message = {};
    EXPECT_ERRNO(msgsnd(-1, &message, 1, IPC_NOWAIT), EINVAL);
    EXPECT_ERRNO(msgrcv(-1, &message, 1, 0, IPC_NOWAIT), EINVAL);
    EXPECT_ERRNO(msgrcv(id_, &message, static_cast<size_t>(-1), 0, IPC_NOWAIT), EINVAL);
    EXPECT_ERRNO(msgctl(id_, 999, nullptr), EINVAL);
    EXPECT_ERRNO(msgctl(id_, IPC_STAT, reinterpret_cast<msqid_ds*>(bad_pointer())), EFAULT);
    EXPECT_OK(send(1, "gone"));
    EXPECT_ERRNO(msgrcv(id_, bad_pointer(), 10, 0, IPC_NOWAIT), EFAULT);
    EXPECT_EQ(receive(0), "ENOMSG");
}

TEST_F(MessagesTest, KeysFindQueues) {
    const key_t key = 0x3e550000 | (getpid() & 0xffff);
    EXPECT_ERRNO(msgget(key, 0600), ENOENT);
    const int id = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
    ASSERT_GE(id, 0);
    EXPECT_EQ(msgget(key, 0600), id);
    EXPECT_ERRNO(msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    EXPECT_OK(msgctl(id, IPC_RMID, nullptr));
    EXPECT_ERRNO(msgget(key, 0600), ENOENT);
    Text message;
    EXPECT_ERRNO(msgrcv(id, &message, 1, 0, IPC_NOWAIT), EINVAL);
}

TEST_F(MessagesTest, StatusIsKept) {
    msqid_ds now = status();
    EXPECT_EQ(now.msg_qbytes, 16384u);
    EXPECT_EQ(now.msg_stime, 0);
    EXPECT_EQ(now.msg_lspid, 0);
    EXPECT_OK(send(1, "x"));
    now = status();
    EXPECT_EQ(now.msg_lspid, getpid());
    EXPECT_NEAR(now.msg_stime, time(nullptr), 2);
    EXPECT_EQ(receive(0), "1:x");
    now = status();
    EXPECT_EQ(now.msg_lrpid, getpid());
    now.msg_qbytes = 1000;
    EXPECT_OK(msgctl(id_, IPC_SET, &now));
    EXPECT_EQ(status().msg_qbytes, 1000u);
    EXPECT_ERRNO(send(1, std::string(1001, 'x')), EAGAIN);
    msginfo info = {};
    EXPECT_GE(msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&info)), 0);
    EXPECT_EQ(info.msgmax, 8192);
    EXPECT_EQ(info.msgmnb, 16384);
}

TEST_F(MessagesTest, ReceiversWait) {
    std::thread sender([this] {
        usleep(20000);
        EXPECT_OK(send(1, "other"));
        usleep(20000);
        EXPECT_OK(send(2, "wanted"));
    });
    EXPECT_EQ(receive(2, 0), "2:wanted");
    sender.join();
}

TEST_F(MessagesTest, SendersWait) {
    EXPECT_OK(send(1, std::string(8192, 'x')));
    EXPECT_OK(send(1, std::string(8192, 'x')));
    std::thread sender([this] { EXPECT_OK(send(2, "late", 0)); });
    usleep(20000);
    EXPECT_EQ(receive(2), "ENOMSG");
    EXPECT_EQ(receive(1, IPC_NOWAIT | MSG_NOERROR, 1), "1:x");
    sender.join();
    EXPECT_EQ(receive(2), "2:late");
}

TEST_F(MessagesTest, RemovalWakes) {
    std::thread receiver([this] { EXPECT_EQ(receive(0, 0), "EIDRM"); });
    EXPECT_TRUE(others_sleep(1));
    EXPECT_OK(msgctl(id_, IPC_RMID, nullptr));
    receiver.join();
}

TEST_F(MessagesTest, SignalsInterrupt) {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    ASSERT_OK(sigaction(SIGUSR1, &action, nullptr));
    std::thread receiver([this] { EXPECT_EQ(receive(0, 0), "EINTR"); });
    EXPECT_TRUE(others_sleep(1));
    pthread_kill(receiver.native_handle(), SIGUSR1);
    receiver.join();
}

TEST_F(MessagesTest, ProcShowsThem) {
    EXPECT_OK(send(1, "hello"));
    int fd = open("/proc/sysvipc/msg", O_RDONLY);
    char buffer[8192] = {};
    EXPECT_GT(read(fd, buffer, sizeof(buffer) - 1), 0);
    close(fd);
    bool found = false;
    for (char* line = strchr(buffer, '\n'); line; line = strchr(line + 1, '\n')) {
        int key, id;
        unsigned mode, bytes, count;
        if (sscanf(line, "%d %d %o %u %u", &key, &id, &mode, &bytes, &count) != 5) continue;
        if (id != id_) continue;
        found = true;
        EXPECT_EQ(mode, 0600u);
        EXPECT_EQ(bytes, 5u);
        EXPECT_EQ(count, 1u);
    }
    EXPECT_TRUE(found);
}

}  // namespace
