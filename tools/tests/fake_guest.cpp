// Stands in for QEMU and the kernel in the host program's tests: speaks the channel's protocol and
// runs the configured program as a child of its own. What the program is named selects faults.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tools/vm/frame.h"
#include "tools/vm/qemu_command.h"

using namespace coracle;
using channel::FrameType;

namespace {

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t size = write(fd, bytes.data(), bytes.size());
        if (size < 0) return;
        bytes.remove_prefix(static_cast<size_t>(size));
    }
}

void send(FrameType type, std::string_view payload) {
    std::string bytes;
    append_frame(bytes, type, payload);
    write_all(kChannelFd, bytes);
}

void send_u32(FrameType type, uint32_t value) {
    send(type, {reinterpret_cast<const char*>(&value), sizeof(value)});
}

struct Config {
    std::string program;
    std::vector<std::string> arguments, environment;
    bool tty = false;
    winsize size{24, 80, 0, 0};
};

Config parse_config(const std::string& text) {
    Config config;
    for (size_t at = 0; at < text.size();) {
        std::string line = text.c_str() + at;
        at += line.size() + 1;
        size_t equals = line.find('=');
        std::string key = line.substr(0, equals), value = line.substr(equals + 1);
        if (key == "program") config.program = value;
        if (key == "arg") config.arguments.push_back(value);
        if (key == "env") config.environment.push_back(value);
        if (key == "tty" && value == "0") config.tty = true;
        if (key == "rows") config.size.ws_row = static_cast<uint16_t>(std::stoi(value));
        if (key == "columns") config.size.ws_col = static_cast<uint16_t>(std::stoi(value));
    }
    return config;
}

class Guest {
  public:
    void run() {
        send_u32(FrameType::kHello, channel::kVersion);
        while (!started_) read_channel();
        while (child_ > 0 || outputs_[0] >= 0 || outputs_[1] >= 0) wait_for_events();
        send_u32(FrameType::kExit, static_cast<uint32_t>(status_));
    }

  private:
    static constexpr uint32_t kInputWindow = 16384;

    void start(const Config& config) {
        started_ = true;
        size_ = config.size;
        int ends[3][2];
        if (config.tty) {
            int terminal = -1;
            child_ = forkpty(&terminal, nullptr, nullptr, &size_);
            input_ = outputs_[0] = terminal;
        } else {
            for (auto& pair : ends) {
                if (pipe2(pair, O_CLOEXEC) != 0) abort();
            }
            child_ = fork();
        }
        if (child_ == 0) {
            if (!config.tty) {
                dup2(ends[0][0], 0);
                dup2(ends[1][1], 1);
                dup2(ends[2][1], 2);
            }
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            signal(SIGPIPE, SIG_DFL);
            execute(config);
        }
        if (!config.tty) {
            for (int i = 0; i < 3; ++i) close(ends[i][i == 0 ? 0 : 1]);
            input_ = ends[0][1];
            outputs_[0] = ends[1][0];
            outputs_[1] = ends[2][0];
        }
        send_u32(FrameType::kStdinCredit, kInputWindow);
    }

    [[noreturn]] static void execute(const Config& config) {
        auto pointers = [](const std::vector<std::string>& words) {
            std::vector<char*> list;
            for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
            list.push_back(nullptr);
            return list;
        };
        execve(config.program.c_str(), pointers(config.arguments).data(),
               pointers(config.environment).data());
        _exit(127);
    }

    void wait_for_events() {
        pollfd events[4] = {{kChannelFd, POLLIN, 0},
                            {-1, POLLIN, 0},
                            {-1, POLLIN, 0},
                            {to_child_.empty() ? -1 : input_, POLLOUT, 0}};
        for (int i = 0; i < 2; ++i) events[1 + i].fd = credit_[i] > 0 ? outputs_[i] : -1;
        poll(events, 4, 20);
        if (events[0].revents) read_channel();
        for (int i = 0; i < 2; ++i) {
            if (events[1 + i].revents) read_output(i);
        }
        if (events[3].revents) write_input();
        if (child_ > 0 && waitpid(child_, &status_, WNOHANG) == child_) child_ = -1;
    }

    void read_channel() {
        char buffer[4096];
        ssize_t size = read(kChannelFd, buffer, sizeof(buffer));
        if (size <= 0) exit(1);
        frames_.feed({buffer, static_cast<size_t>(size)});
        while (auto frame = frames_.next()) handle(*frame);
    }

    void handle(const Frame& frame) {
        switch (frame.type) {
            case FrameType::kConfig:
                start(parse_config(frame.payload));
                break;
            case FrameType::kStdinData:
                to_child_ += frame.payload;
                break;
            case FrameType::kStdinEnd:
                input_ended_ = true;
                if (to_child_.empty()) end_input();
                break;
            case FrameType::kSignal:
                kill(child_, static_cast<int>(frame_u32(frame)));
                break;
            case FrameType::kStreamClosed: {
                int& output = outputs_[frame_u32(frame) - 1];
                close(output);
                output = -1;
                break;
            }
            case FrameType::kOutputCredit: {
                channel::OutputCredit credit;
                memcpy(&credit, frame.payload.data(), sizeof(credit));
                credit_[credit.descriptor - 1] += credit.bytes;
                break;
            }
            case FrameType::kWindowSize: {
                channel::WindowSize size;
                memcpy(&size, frame.payload.data(), sizeof(size));
                size_ = {size.rows, size.columns, size.x_pixels, size.y_pixels};
                if (started_) ioctl(input_, TIOCSWINSZ, &size_);
                break;
            }
            default:
                abort();
        }
    }

    void write_input() {
        ssize_t size = write(input_, to_child_.data(), std::min<size_t>(to_child_.size(), 4096));
        size_t done = size > 0 ? static_cast<size_t>(size) : to_child_.size();
        to_child_.erase(0, done);
        send_u32(FrameType::kStdinCredit, static_cast<uint32_t>(done));
        if (to_child_.empty() && input_ended_) end_input();
    }

    void end_input() {
        if (input_ >= 0 && input_ != outputs_[0]) close(input_);
        input_ = -1;
    }

    void read_output(int i) {
        char buffer[channel::kMaxPayload];
        ssize_t size = read(outputs_[i], buffer, std::min<uint64_t>(sizeof(buffer), credit_[i]));
        if (size <= 0) {
            close(outputs_[i]);
            outputs_[i] = -1;
            return;
        }
        credit_[i] -= static_cast<uint64_t>(size);
        send(i == 0 ? FrameType::kStdoutData : FrameType::kStderrData,
             {buffer, static_cast<size_t>(size)});
    }

    FrameReader frames_;
    bool started_ = false, input_ended_ = false;
    pid_t child_ = -1;
    int status_ = 0, input_ = -1;
    int outputs_[2] = {-1, -1};
    uint64_t credit_[2] = {channel::kInitialOutputCredit, channel::kInitialOutputCredit};
    std::string to_child_;
    winsize size_{24, 80, 0, 0};
};

}  // namespace

int main() {
    signal(SIGPIPE, SIG_IGN);
    std::string fault = getenv("FAKE_GUEST_FAULT") ? getenv("FAKE_GUEST_FAULT") : "";
    write_all(kSerialFd, fault == "serial" ? "panic: first\r\nsecond" : "");
    if (fault == "silent") pause();
    while (fault == "busy") (void)getppid();
    if (fault == "exit-early") return (42 << 1) | 1;
    if (fault == "garbage") write_all(kChannelFd, std::string(64, '\xff'));
    if (fault == "version") send_u32(FrameType::kHello, channel::kVersion + 1);
    if (fault == "wedged") {
        send_u32(FrameType::kHello, channel::kVersion);
        send_u32(FrameType::kStdinCredit, 4096);
        send(FrameType::kStdoutData, "ready\n");
    }
    if (fault == "vanish") {
        send_u32(FrameType::kHello, channel::kVersion);
        return 1;
    }
    if (!fault.empty() && fault != "serial") pause();
    Guest().run();
}
