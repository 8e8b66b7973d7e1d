// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The frame around the commands: their list, the options all of them take, and how errors become exit codes.
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/suggestion.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <new>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>
import tslab;

namespace tslab::tool {

namespace {

void add_commands(CLI::App& app, invocation& i)
{
    add_ps(app, i);
    add_stats(app, i);
    add_watch(app, i);
    add_top(app, i);
    add_epochs(app, i);
    add_leaks(app, i);
    add_pins(app, i);
    add_labels(app, i);
    add_waterfall(app, i);
    add_doctor(app, i);
    add_map(app, i);
    add_profile(app, i);
    add_diff(app, i);
    add_export(app, i);
    add_serve(app, i);
    add_record(app, i);
    add_report(app, i);
    add_completion(app, i);
    add_man(app, i);
}

void add_color(CLI::App& app, invocation& i)
{
    char const* const no_color = ::secure_getenv("NO_COLOR");
    i.color = i.terminal && (no_color == nullptr || *no_color == '\0');
    command_line{app}
        .add_option(
            "--color",
            [&i](std::string const& when) {
                if (when != "auto")
                    i.color = when == "always";
            },
            "colours: auto (on a terminal, unless NO_COLOR is set), always, never")
        .takes_one_of({"auto", "always", "never"})
        .type_name("WHEN");
}

outcome outcome_of(observe_fault f) noexcept
{
    return f == observe_fault::version ? outcome::other_version : outcome::no_target;
}

}

outcome report_exception(invocation& i, char const* program)
{
    auto const say = [&](std::string_view text) { i.err << program << ": " << escaped(text) << '\n'; };
    try {
        throw;
    } catch (failure const& f) {
        say(f.what());
        i.err << f.list();
        return f.code();
    } catch (observe_error const& e) {
        say(e.what());
        return outcome_of(e.fault());
    } catch (std::bad_alloc const&) {
        say("out of memory");
    } catch (std::exception const& e) {
        say(e.what());
    }
    return outcome::no_target;
}

int run(int count, char const* const* arguments, invocation& i)
{
    CLI::App app{"Looks into the heaps of a live process, of a dead one, or of a saved snapshot", "tslab"};
    app.footer("Exit codes: 0 fine, 1 findings, 2 usage, 3 no such target, 4 another version of the format.\n"
               "Example: tslab stats 1234");
    app.set_version_flag("--version", "tslab " TSLAB_VERSION);
    app.fallthrough();
    app.require_subcommand(1);
    add_color(app, i);
    add_commands(app, i);
    try {
        app.parse(count, arguments);
    } catch (CLI::CallForHelp const&) {
        i.out << app.help();
    } catch (CLI::CallForVersion const& e) {
        i.out << e.what() << '\n';
    } catch (CLI::ParseError const& e) {
        std::vector<std::string> const words(arguments + std::min(count, 1), arguments + count);
        i.err << "tslab: " << explain_refusal(app, words, e) << '\n';
        i.result = outcome::usage;
    } catch (...) {
        i.result = report_exception(i, "tslab");
    }
    return static_cast<int>(i.result);
}

}
