// The host program: parses the command line and hands over to the commands in cli/.
#include <CLI/CLI.hpp>

#include "tools/cli/commands.h"
#include "tools/support/error.h"
#include "tools/support/say.h"

namespace coracle {
namespace {

int main_command(int argc, char** argv) {
    CLI::App app("Runs an unmodified Linux program as a virtual machine.", "coracle");
    app.require_subcommand(1);
    RunArguments arguments;
    CLI::App* run = app.add_subcommand(
        "run", "Run PROGRAM [ARGS...] of this machine in a virtual machine of its own");
    run->footer("Options end at PROGRAM: coracle run [OPTIONS] PROGRAM [ARGS...]");
    add_run_options(*run, arguments);

    CheckOptions check_options;
    CLI::App* check = app.add_subcommand(
        "check", "Tell, without running it, whether all that PROGRAM needs is there");
    check->add_option("PROGRAM", check_options.program, "Path, or a name found in PATH")
        ->required();
    check->add_flag("--json", check_options.json, "Print a JSON object");
    check->add_option("--rootfs", check_options.rootfs, "Look for it in this folder");

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& error) {
        std::string text = error.what();
        throw CommandError(kExitOwnFailure, text + "; see coracle --help");
    }
    if (check->parsed()) return check_command(check_options);
    return run_command(understand(arguments, run->remaining()));
}

}  // namespace
}  // namespace coracle

int main(int argc, char** argv) {
    try {
        return coracle::main_command(argc, argv);
    } catch (const coracle::CommandError& error) {
        coracle::say_text(error.what());
        return error.exit_status();
    } catch (const std::exception& error) {
        coracle::say("internal error: {}", error.what());
        return coracle::kExitOwnFailure;
    }
}
