// Frames, QEMU's command line, options, and the choice of the accelerator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "tools/cli/run_options.h"
#include "tools/support/error.h"
#include "tools/tests/temporary_folder.h"
#include "tools/vm/accelerator.h"
#include "tools/vm/frame.h"
#include "tools/vm/relay.h"

namespace coracle {
namespace {

using channel::FrameType;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(Frames, ComeOutAsTheyWentIn) {
    std::string bytes;
    append_frame(bytes, FrameType::kStdoutData, "hello");
    append_frame(bytes, FrameType::kStdinEnd, "");
    append_frame_u32(bytes, FrameType::kExit, 0x8b);
    append_frame(bytes, FrameType::kStderrData, std::string(channel::kMaxPayload, '\0'));
    for (size_t step : {size_t{1}, size_t{7}, bytes.size()}) {
        FrameReader reader;
        std::vector<Frame> frames;
        for (size_t at = 0; at < bytes.size(); at += step) {
            reader.feed(std::string_view(bytes).substr(at, step));
            while (auto frame = reader.next()) frames.push_back(std::move(*frame));
        }
        ASSERT_EQ(frames.size(), 4u);
        EXPECT_EQ(frames[0].payload, "hello");
        EXPECT_EQ(frames[1].type, FrameType::kStdinEnd);
        EXPECT_EQ(frame_u32(frames[2]), 0x8bu);
        EXPECT_EQ(frames[3].payload.size(), channel::kMaxPayload);
        EXPECT_EQ(reader.buffered(), 0u);
    }
}

TEST(Frames, RefuseWhatCannotBe) {
    FrameReader reader;
    reader.feed(std::string(16, '\xff'));
    EXPECT_THROW(reader.next(), ProtocolError);
    EXPECT_THROW(frame_u32({FrameType::kExit, "abc"}), ProtocolError);
}

TEST(ExitStatus, AsAShellSaysIt) {
    EXPECT_EQ(exit_status_of(0), 0);
    EXPECT_EQ(exit_status_of(0xff00), 255);
    EXPECT_EQ(exit_status_of(9), 137);
    EXPECT_EQ(exit_status_of(11 | 0x80), 139);
}

TEST(StartLimit, CountsRunningAndIdlingButNotWaitingForACpu) {
    using std::chrono::seconds;
    const auto spent = [](int elapsed, int ran, int waited) {
        return StartLimit::spent(seconds(elapsed), {seconds(ran), seconds(waited)});
    };
    EXPECT_EQ(spent(20, 0, 0), seconds(20));     // halted, or the host does not tell
    EXPECT_EQ(spent(20, 19, 1), seconds(19));    // runs in circles
    EXPECT_EQ(spent(20, 40, 1), seconds(40));    // on several CPUs
    EXPECT_EQ(spent(100, 2, 97), seconds(2));    // the host is busy
    EXPECT_EQ(spent(100, 3, 250), seconds(3));   // for all its threads
    EXPECT_EQ(spent(100, 30, 250), seconds(30));
}

TEST(StartLimit, EndsAMachineThatIdlesAndOneThatRuns) {
    for (const char* fault : {"silent", "busy"}) {
        setenv("FAKE_GUEST_FAULT", fault, 1);
        VirtualMachine vm({FAKE_GUEST});
        RelaySettings settings;
        settings.boot_limit = std::chrono::seconds(1);
        EXPECT_EQ(Relay(vm, std::move(settings)).run(), kExitOwnFailure) << fault;
    }
    unsetenv("FAKE_GUEST_FAULT");
}

TEST(VirtualMachine, TellsWhatItsThreadsHaveDone) {
    VirtualMachine idle({"sleep", "600"}), busy({"sh", "-c", "while :; do :; done"});
    if (access("/proc/self/schedstat", R_OK) != 0) GTEST_SKIP() << "the host does not tell";
    while (busy.activity().ran < std::chrono::milliseconds(100)) usleep(10'000);
    EXPECT_LT(idle.activity().ran, std::chrono::milliseconds(100));
}

TEST(ShellQuote, QuotesOnlyWhatNeedsIt) {
    EXPECT_EQ(shell_quote({"a-b=c", "d e", "it's", ""}), "a-b=c 'd e' 'it'\\''s' ''");
}

TEST(QemuCommand, DiffersByMachine) {
    VmSettings settings;
    settings.kernel = "/k";
    settings.root_image = "/r";
    std::string microvm = shell_quote(qemu_command(settings));
    EXPECT_THAT(microvm, HasSubstr("virtio-serial-device,max_ports=2"));
    EXPECT_THAT(microvm, HasSubstr("-m 262144k"));
    EXPECT_THAT(microvm, HasSubstr("-initrd /r"));
    EXPECT_THAT(microvm, testing::Not(HasSubstr("-gdb")));
    settings.machine = Machine::kQ35;
    settings.gdb_port = 4321;
    std::string q35 = shell_quote(qemu_command(settings));
    EXPECT_THAT(q35, HasSubstr("virtio-serial-pci,disable-legacy=on"));
    EXPECT_THAT(q35, HasSubstr("-gdb tcp:127.0.0.1:4321 -S"));
}

TEST(PublishedPorts, AreReadAsDockerReadsThem) {
    PublishedPort port = PublishedPort::parse("8080:80");
    EXPECT_EQ(port.address, "127.0.0.1") << "nothing is open to others unless asked";
    EXPECT_EQ(port.host, 8080);
    EXPECT_EQ(port.guest, 80);
    EXPECT_FALSE(port.udp);
    port = PublishedPort::parse("0.0.0.0:53:5353/udp");
    EXPECT_EQ(port.address, "0.0.0.0");
    EXPECT_EQ(port.host, 53);
    EXPECT_EQ(port.guest, 5353);
    EXPECT_TRUE(port.udp);
    port = PublishedPort::parse("6379");
    EXPECT_EQ(port.host, 6379);
    EXPECT_EQ(port.guest, 6379);
    for (const char* bad : {"", "80:", ":80", "0:80", "80:65536", "80:x", "80/sctp", "here:80:80",
                            "::1:80:80", "80 :80", "-1:80"}) {
        EXPECT_THROW(PublishedPort::parse(bad), CommandError) << bad;
    }
}

NetworkSettings user_network() {
    NetworkSettings network;
    network.parse_kind("user");
    return network;
}

TEST(Network, UserNetworkIsKnownBeforehand) {
    NetworkSettings network = user_network();
    network.ports = {PublishedPort::parse("8080:80"), PublishedPort::parse("9/udp")};
    network.mac = "52:54:00:01:02:03";
    EXPECT_THAT(network.qemu_arguments(true),
                ElementsAre("-netdev",
                            "user,id=n0,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:9-:9",
                            "-device", "virtio-net-device,netdev=n0,mac=52:54:00:01:02:03"));
    EXPECT_THAT(network.boot_configuration(),
                ElementsAre(Pair("ip", "10.0.2.15/24"), Pair("gateway", "10.0.2.2")));
}

TEST(Network, TapAsksForAnAddressUnlessGivenOne) {
    NetworkSettings network;
    network.parse_kind("tap=tap7");
    EXPECT_THAT(network.qemu_arguments(false),
                Contains("tap,id=n0,ifname=tap7,script=no,downscript=no"));
    EXPECT_THAT(network.boot_configuration(), ElementsAre(Pair("dhcp", "1")));
    network.addresses = {"192.168.9.2/24", "fd00::2/64"};
    network.gateway = "192.168.9.1";
    EXPECT_THAT(network.boot_configuration(),
                ElementsAre(Pair("ip", "192.168.9.2/24"), Pair("ip", "fd00::2/64"),
                            Pair("gateway", "192.168.9.1")));
    for (const char* bad : {"", "tap", "tap=", "tap=a,b", "bridge", "tap=averyverylongname"}) {
        EXPECT_THROW(network.parse_kind(bad), CommandError) << bad;
    }
}

TEST(Network, TapWithSeveralQueues) {
    NetworkSettings network;
    network.parse_kind("tap=tap7");
    network.queues = 4;
    EXPECT_THAT(network.qemu_arguments(false),
                ElementsAre("-netdev",
                            "tap,id=n0,ifname=tap7,script=no,downscript=no,queues=4,vhost=off",
                            "-device",
                            "virtio-net-pci,netdev=n0,disable-legacy=on,romfile=,mq=on"));
    EXPECT_THAT(network.qemu_arguments(true), Contains("virtio-net-device,netdev=n0,mq=on"));
}

TEST(Network, NoneHasNoCard) {
    NetworkSettings network;
    network.parse_kind("none");
    EXPECT_THAT(network.qemu_arguments(true), testing::IsEmpty());
    EXPECT_THAT(network.boot_configuration(), testing::IsEmpty());
}

TEST(Network, CaptureFileMayHaveAComma) {
    NetworkSettings network = user_network();
    network.capture_file = "/tmp/a,b";
    EXPECT_THAT(network.qemu_arguments(true),
                Contains("filter-dump,id=d0,netdev=n0,file=/tmp/a,,b"));
}

TEST(Network, AddressesAreChecked) {
    EXPECT_NO_THROW(check_mac(random_mac()));
    EXPECT_NO_THROW(check_interface_address("fd00::1/128"));
    for (const char* bad : {"", "01:00:5e:00:00:01", "52:54:00:12:34", "52:54:00:12:34:5g",
                            "52-54-00-12-34-56", "52:54:00:12:34:566"}) {
        EXPECT_THROW(check_mac(bad), CommandError) << bad;
    }
    for (const char* bad :
         {"", "1.2.3.4", "1.2.3.4/33", "1.2.3/8", "::/129", "::/", "1.2.3.4/8x"}) {
        EXPECT_THROW(check_interface_address(bad), CommandError) << bad;
    }
}

TEST(Accelerator, KvmNeedsTheDeviceAndTheCpu) {
    TemporaryFolder made;
    AcceleratorFacts facts;
    facts.kvm_device = made.file("/kvm", "");
    facts.cpu_info = made.file("/vmx", "processor: 0\nflags\t\t: fpu vmx sse\n");
    EXPECT_TRUE(kvm_may_work(facts));
    facts.cpu_info = made.file("/none", "processor: 0\nflags\t\t: fpu vmxish sse\n");
    EXPECT_FALSE(kvm_may_work(facts));
    facts.cpu_info = made.path() + "/vmx";
    facts.kvm_device = made.path() + "/absent";
    EXPECT_FALSE(kvm_may_work(facts));
}

// The fake guest in QEMU's place, with a fault of its.
bool probe_fake_guest(const char* fault, Machine machine, const std::string& cache) {
    setenv("CORACLE_QEMU", FAKE_GUEST, 1);
    setenv("FAKE_GUEST_FAULT", fault, 1);
    VmSettings settings;
    settings.kernel = FAKE_GUEST;
    settings.machine = machine;
    bool boots = kvm_boots(settings, cache);
    unsetenv("CORACLE_QEMU");
    unsetenv("FAKE_GUEST_FAULT");
    return boots;
}

TEST(KvmProbe, KeepsItsAnswerForTheSameCircumstances) {
    TemporaryFolder made;
    EXPECT_TRUE(probe_fake_guest("", Machine::kMicrovm, made.path()));
    EXPECT_TRUE(probe_fake_guest("exit-early", Machine::kMicrovm, made.path()));
    EXPECT_FALSE(probe_fake_guest("exit-early", Machine::kQ35, made.path()));
    EXPECT_FALSE(probe_fake_guest("", Machine::kQ35, made.path()));
}

TEST(KvmProbe, GivesUpOnAMachineThatHangs) {
    TemporaryFolder made;
    EXPECT_FALSE(probe_fake_guest("silent", Machine::kMicrovm, made.path()));
}

RunOptions parse(std::vector<std::string> words) {
    CLI::App app;
    RunArguments arguments;
    add_run_options(app, arguments);
    std::reverse(words.begin(), words.end());
    app.parse(words);
    return understand(arguments, app.remaining());
}

TEST(RunOptionsTest, EndAtTheProgram) {
    RunOptions options = parse({"-m", "512m", "ls", "-l", "-m", "x", "--", "--trace"});
    EXPECT_EQ(options.memory_bytes, 512u << 20);
    EXPECT_EQ(options.program, "ls");
    EXPECT_THAT(options.arguments, ElementsAre("-l", "-m", "x", "--", "--trace"));
    EXPECT_FALSE(options.trace);
}

TEST(RunOptionsTest, DockersSpellings) {
    setenv("CORACLE_TEST_HOST", "host value", 1);
    unsetenv("CORACLE_TEST_NONE");
    RunOptions options = parse({"-it", "--rm", "-e", "A=1", "--env=B=x=y", "-e",
                                "CORACLE_TEST_HOST", "-e", "CORACLE_TEST_NONE", "-eA=2", "-w",
                                "/tmp", "--hostname=box", "-u", "1000:100", "sh", "-c", "true"});
    EXPECT_TRUE(options.terminal);
    EXPECT_THAT(options.environment,
                ElementsAre(Pair("A", "1"), Pair("B", "x=y"),
                            Pair("CORACLE_TEST_HOST", "host value"), Pair("A", "2")));
    EXPECT_EQ(options.folder, "/tmp");
    EXPECT_EQ(options.identity.uid, 1000u);
    EXPECT_EQ(options.identity.gid, 100u);
    auto environment = guest_environment(options);
    EXPECT_THAT(environment, Contains(Pair("A", "2")));
    EXPECT_THAT(environment, Contains(Pair("HOSTNAME", "box")));
    EXPECT_THAT(environment, Contains(Pair("HOME", "/home/user")));
    EXPECT_EQ(environment.front().first, "PATH");
}

TEST(RunOptionsTest, ValuesThatMayBeLeftOut) {
    EXPECT_EQ(parse({"--trace", "ls"}).trace_file, "");
    EXPECT_TRUE(parse({"--trace", "ls"}).trace);
    EXPECT_EQ(parse({"--trace=out", "ls"}).trace_file, "out");
    EXPECT_EQ(parse({"--gdb", "ls"}).gdb_port, 1234);
    EXPECT_EQ(parse({"--gdb=99", "ls"}).gdb_port, 99);
    EXPECT_EQ(parse({"ls"}).gdb_port, 0);
    EXPECT_TRUE(parse({"--libc=own", "ls"}).own_libc);
    EXPECT_EQ(parse({"--accel=kvm", "ls"}).accelerator, AcceleratorChoice::kKvm);
    EXPECT_EQ(parse({"--machine=q35", "ls"}).machine, Machine::kQ35);
}

TEST(RunOptionsTest, EnvironmentFile) {
    TemporaryFolder made;
    std::string path = made.file("/env", "# comment\n\nA=from file\n  B=2\n");
    RunOptions options = parse({"--env-file", path, "-e", "A=given", "ls"});
    EXPECT_THAT(guest_environment(options), Contains(Pair("A", "given")));
    EXPECT_THAT(guest_environment(options), Contains(Pair("B", "2")));
}

TEST(RunOptionsTest, Nonsense) {
    for (std::vector<std::string> words :
         std::vector<std::vector<std::string>>{{},
                                               {"--frobnicate", "ls"},
                                               {"-m", "much", "ls"},
                                               {"-m", "1k", "ls"},
                                               {"-m", "99999999999999999999g", "ls"},
                                               {"-w", "relative", "ls"},
                                               {"-u", "me", "ls"},
                                               {"-v", "/does/not/exist", "ls"},
                                               {"-v", "/etc:relative", "ls"},
                                               {"-v", "/etc:/", "ls"},
                                               {"-v", "/a:/b:/c:/d", "ls"},
                                               {"--rootfs", "/etc/passwd", "ls"},
                                               {"--accel=vmware", "ls"},
                                               {"--libc=some", "ls"},
                                               {"--gdb=0", "ls"},
                                               {"-e", "=x", "ls"}}) {
        EXPECT_THROW(parse(words), CommandError) << testing::PrintToString(words);
    }
}

TEST(RunOptionsTest, Volumes) {
    TemporaryFolder made;
    made.file("/d/f", "");
    Volume volume = parse_volume("d:/data:ro", made.path());
    EXPECT_EQ(volume.host, std::filesystem::canonical(made.path()).string() + "/d");
    EXPECT_EQ(volume.guest, "/data");
    EXPECT_TRUE(volume.read_only);
    EXPECT_EQ(parse_volume(made.path() + "/d", "/").guest, made.path() + "/d");
}

}  // namespace
}  // namespace coracle
