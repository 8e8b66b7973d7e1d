// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The manual page, written from the definitions of the commands themselves. The build makes tslab.1 of it.
#include "tslab/command.hpp"
#include "tslab/suggestion.hpp"
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string_view>
#include <vector>

namespace tslab::tool {

namespace {

/// For roff: a backslash and a hyphen are written out, and no line begins with a control character.
std::string roff(std::string_view text)
{
    std::string all;
    for (char const c : text) {
        if (c == '\\')
            all += "\\e";
        else if (c == '-')
            all += "\\-";
        else if ((c == '.' || c == '\'') && (all.empty() || all.back() == '\n'))
            all += std::string{"\\&"} + c;
        else
            all += c;
    }
    return all;
}

std::string names_of(CLI::Option const& o)
{
    if (!o.nonpositional())
        return "\\fI" + roff(upper(o.get_name(true))) + "\\fR";
    std::string all;
    for (std::string const& s : o.get_snames())
        all += (all.empty() ? "\\fB\\-" : ", \\fB\\-") + roff(s) + "\\fR";
    for (std::string const& l : o.get_lnames())
        all += (all.empty() ? R"(\fB\-\-)" : R"(, \fB\-\-)") + roff(l) + "\\fR";
    if (o.get_items_expected_max() > 0 && o.get_type_size() > 0)
        all += " \\fI" + roff(o.get_type_name()) + "\\fR";
    return all;
}

void print_options(CLI::App const& of, std::ostream& out)
{
    for (CLI::Option const* const o : of.get_options()) {
        out << ".TP\n" << names_of(*o) << '\n' << roff(o->get_description());
        if (!o->get_default_str().empty())
            out << " (default " << roff(o->get_default_str()) << ')';
        out << ".\n";
    }
}

/// `before`: the names of the commands that `c` is one of, each with a space behind it.
void print_command(std::string const& before, CLI::App const& c, std::ostream& out)
{
    out << ".SS " << roff(before + c.get_name()) << '\n' << roff(c.get_description()) << ".\n";
    print_options(c, out);
    out << ".PP\n" << roff(c.get_footer()) << '\n';
    for (CLI::App const* const nested : c.get_subcommands([](CLI::App const*) { return true; }))
        print_command(before + c.get_name() + ' ', *nested, out);
}

void print_head(std::string const& program, std::string const& description, std::ostream& out)
{
    out << ".TH " << upper(program) << " 1 \"\" \"tslab " TSLAB_VERSION "\" \"User Commands\"\n.SH NAME\n"
        << program << " \\- " << roff(description) << '\n';
}

void print_page(CLI::App const& app, std::vector<CLI::App const*> const& commands, std::ostream& out)
{
    print_head("tslab", app.get_description(), out);
    out << ".SH SYNOPSIS\n.B tslab\n.I command\n[\\fItarget\\fR] [\\fIoptions\\fR]\n"
           ".SH DESCRIPTION\n"
           "A target is a pid, the name of a process, a file with snapshots that\n.B tslab stats \\-\\-json\n"
           "wrote, or the file that a process keeps its statistics in. Without one, the only process that has a heap "
           "is "
           "looked at. The process is not stopped.\n"
           ".SH OPTIONS\n";
    print_options(app, out);
    out << ".SH COMMANDS\n";
    for (CLI::App const* const c : commands)
        print_command({}, *c, out);
    out << ".SH \"EXIT STATUS\"\n";
    char const* const meanings[] = {"Fine.", "The answer is bad news: leaks, findings, a regression.",
                                    "The command line was wrong, or something it names cannot be written.",
                                    "There is no such target, or it cannot be read.",
                                    "Its statistics have a version that this program does not know."};
    for (int code = 0; code < 5; ++code)
        out << ".TP\n.B " << code << '\n' << meanings[code] << '\n';
    out << ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nIf set and not empty, there are no colours unless\n.B "
           "\\-\\-color=always\n"
           "asks for them.\n";
}

}

void print_manual_page(CLI::App const& app, std::ostream& out)
{
    print_head(app.get_name(), app.get_description(), out);
    out << ".SH SYNOPSIS\n.B " << app.get_name() << "\n[\\fItarget\\fR] [\\fIoptions\\fR]\n.SH DESCRIPTION\n"
        << roff(app.get_footer()) << "\n.SH OPTIONS\n";
    print_options(app, out);
    out << ".SH \"SEE ALSO\"\n.BR tslab (1)\n";
}

void add_man(CLI::App& app, invocation& i)
{
    command_line const command = add_command(app, "man", "The manual page in roff", "tslab man stats | man -l -");
    auto const name = std::make_shared<std::string>();
    command.add_option("command", *name, "only this command");
    command.callback([name, &app, &i] {
        std::vector<CLI::App const*> some = std::as_const(app).get_subcommands(
            [&](CLI::App const* c) { return name->empty() || c->get_name() == *name; });
        if (some.empty())
            throw failure{outcome::usage, no_such_command(app, *name)};
        print_page(app, some, i.out);
    });
}

}
