// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The C implementation's program by its flags and its streams: JSON on standard output, text on standard error. It reads
// what tslab reads.
#include "tslab/main_streams.hpp"
#include "tslab/suggestion.hpp"
#include "tslab/summary.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
import tslab;

namespace {

using namespace tslab::tool;

struct options {
    target from{};
    bool json = true;
    bool text = true;
    bool doctor = false;
    bool manual = false;
};

void dump(options const& o, invocation& i)
{
    auto const from = o.from.open(i);
    for (tslab::snapshot const& s : from->read(true)) {
        if (o.json)
            i.out << tslab::to_json(s) << '\n';
        if (o.text)
            print_summary(i.err, i.color, from->name(), s);
        if (o.doctor)
            i.err << tslab::to_text(tslab::diagnose(s));
    }
}

void add_options(CLI::App& app, options& o)
{
    o.from.add_to(command_line{app});
    app.add_flag_callback("--json,--no-text", [&o] { o.text = false; }, "only JSON, on standard output");
    app.add_flag_callback("--text,--no-json", [&o] { o.json = false; }, "only text, on standard error");
    app.add_flag("--doctor", o.doctor, "what is wrong and what to do, on standard error");
    app.add_flag("--man", o.manual, "the manual page in roff")->group("");   // not listed
    app.set_version_flag("--version", "stats_dump " TSLAB_VERSION);
    app.footer("Without flags: JSON on standard output and text on standard error.\n"
               "Example: stats_dump 1234 --no-text > before.json");
}

}

int main(int argc, char** argv)
{
    main_streams streams;
    invocation i{streams.out, std::cerr, std::cin, streams.terminal()};
    options o;
    CLI::App app{"The statistics of every heap of a process, as JSON and as text", "stats_dump"};
    add_options(app, o);
    try {
        app.parse(argc, argv);
        if (o.manual)
            print_manual_page(app, i.out);
        else
            dump(o, i);
    } catch (CLI::CallForHelp const&) {
        i.out << app.help();
    } catch (CLI::CallForVersion const& e) {
        i.out << e.what() << '\n';
    } catch (CLI::ParseError const& e) {
        i.err << "stats_dump: " << explain_refusal(app, {argv + std::min(argc, 1), argv + argc}, e) << '\n';
        i.result = outcome::usage;
    } catch (...) {
        i.result = report_exception(i, "stats_dump");
    }
    return streams.finish(i, "stats_dump", static_cast<int>(i.result));
}
