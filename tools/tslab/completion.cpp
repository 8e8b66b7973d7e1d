// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Completion for shells, written from the definitions of the commands themselves.
#include "tslab/command.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string_view>
#include <vector>

namespace tslab::tool {

namespace {

std::vector<CLI::App const*> commands_of(CLI::App const& app)
{
    return app.get_subcommands([](CLI::App const* c) { return !c->get_name().empty() && !c->get_group().empty(); });
}

/// The long options of a command and of the commands in it, as those of `export prometheus`; each name once.
std::vector<CLI::Option const*> options_of(CLI::App const& app)
{
    std::vector<CLI::Option const*> all =
        app.get_options([](CLI::Option const* o) { return o->nonpositional() && !o->get_lnames().empty(); });
    if (app.get_parent() == nullptr)
        return all;
    for (CLI::App const* const c : commands_of(app))
        for (CLI::Option const* const o : options_of(*c))
            if (std::ranges::none_of(all, [o](CLI::Option const* known) { return known->get_name() == o->get_name(); }))
                all.push_back(o);
    return all;
}

std::string words_of_commands(CLI::App const& app)
{
    std::string names;
    for (CLI::App const* const c : commands_of(app))
        names += (names.empty() ? "" : " ") + c->get_name();
    return names;
}

std::string words_of(CLI::App const& app)
{
    std::string words;
    for (CLI::Option const* const o : options_of(app))
        for (std::string const& name : o->get_lnames())
            words += (words.empty() ? "--" : " --") + name;
    return words;
}

/// Options that take a value, as patterns of `case`: their value is a file or unknown, never another option.
std::string with_value(CLI::App const& app)
{
    std::string all;
    for (CLI::Option const* const o : options_of(app))
        if (o->get_items_expected_max() > 0 && o->get_type_size() > 0)
            for (std::string const& name : o->get_lnames())
                all += (all.empty() ? "--" : "|--") + name;
    return all;
}

/// `text` in single quotes for a shell; fish knows a backslash in them, the others do not.
std::string shell_quoted(std::string_view text, bool fish)
{
    std::string all = "'";
    for (char const c : text)
        if (c == '\'')
            all += fish ? "\\'" : "'\\''";
        else if (c == '\\' && fish)
            all += "\\\\";
        else
            all += c;
    return all + "'";
}

void print_bash(CLI::App const& app, std::ostream& out)
{
    out << "# bash completion for tslab\n"
           "_tslab()\n{\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command='' options='' "
           "nested='' word\n"
           "    COMPREPLY=()\n"
           "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "        case $word in\n"
           "            -*) ;;\n"
           "            *) command=$word; break ;;\n"
           "        esac\n"
           "    done\n"
           "    case $command in\n";
    for (CLI::App const* const c : commands_of(app)) {
        out << "        " << c->get_name() << ")\n            options=" << shell_quoted(words_of(*c), false) << '\n';
        if (std::string const nested = words_of_commands(*c); !nested.empty())
            out << "            nested=" << shell_quoted(nested, false) << '\n';
        if (std::string const values = with_value(*c); !values.empty())
            out << "            case $previous in\n                " << values
                << ") mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return ;;\n            esac\n";
        out << "            ;;\n";
    }
    out << "        *) mapfile -t COMPREPLY < <(compgen -W "
        << shell_quoted(words_of_commands(app) + " " + words_of(app), false)
        << " -- \"$current\"); return ;;\n"
           "    esac\n"
           "    if [[ $current == -* ]]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"$options "
        << words_of(app)
        << "\" -- \"$current\")\n"
           "    elif [[ $command == completion ]]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- \"$current\")\n"
           "    elif [[ -n $nested && $previous == \"$command\" ]]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"$nested\" -- \"$current\")\n"
           "    else\n"
           "        word=$(tslab ps --json 2>/dev/null | sed -n 's/^{\"pid\":\\([0-9]*\\).*/\\1/p')\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\"; compgen -W \"$word\" -- \"$current\")\n"
           "    fi\n}\n"
           "complete -o filenames -F _tslab tslab\n";
}

void print_fish(CLI::App const& app, std::ostream& out)
{
    out << "# fish completion for tslab\n";
    auto const print_options = [&](CLI::App const& of, std::string const& condition) {
        for (CLI::Option const* const o : options_of(of))
            for (std::string const& name : o->get_lnames())
                out << "complete -c tslab" << condition << " -l " << name
                    << (o->get_items_expected_max() > 0 && o->get_type_size() > 0 ? " -r" : "") << " -d "
                    << shell_quoted(o->get_description(), true) << '\n';
    };
    print_options(app, "");
    for (CLI::App const* const c : commands_of(app)) {
        out << "complete -c tslab -n __fish_use_subcommand -f -a " << c->get_name() << " -d "
            << shell_quoted(c->get_description(), true) << '\n';
        print_options(*c, " -n '__fish_seen_subcommand_from " + c->get_name() + "'");
        if (std::string const nested = words_of_commands(*c); !nested.empty())
            out << "complete -c tslab -n '__fish_seen_subcommand_from " << c->get_name() << "' -f -a '" << nested
                << "'\n";
    }
    out << "complete -c tslab -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
}

/// For _describe: a colon ends the name.
std::string described(std::string const& name, std::string const& text)
{
    std::string all;
    for (char const c : name)
        all += c == ':' ? std::string{"\\:"} : std::string{c};
    return shell_quoted(all + ":" + text, false);
}

void print_zsh(CLI::App const& app, std::ostream& out)
{
    out << "#compdef tslab\n"
           "_tslab() {\n"
           "    local -a commands options nested\n"
           "    commands=(\n";
    for (CLI::App const* const c : commands_of(app))
        out << "        " << described(c->get_name(), c->get_description()) << '\n';
    out << "    )\n"
           "    if (( CURRENT == 2 )); then\n"
           "        _describe command commands\n"
           "        return\n"
           "    fi\n"
           "    case $words[2] in\n";
    for (CLI::App const* const c : commands_of(app)) {
        out << "        " << c->get_name() << ")\n            options=(\n";
        for (CLI::App const* const of : {c, &app})
            for (CLI::Option const* const o : options_of(*of))
                for (std::string const& name : o->get_lnames())
                    out << "                " << described("--" + name, o->get_description()) << '\n';
        out << "            )\n";
        if (std::string const nested = words_of_commands(*c); !nested.empty())
            out << "            nested=(" << nested << ")\n";
        out << "            ;;\n";
    }
    out << "    esac\n"
           "    if [[ $PREFIX == -* ]]; then\n"
           "        _describe option options\n"
           "    elif [[ $words[2] == completion ]]; then\n"
           "        compadd bash zsh fish\n"
           "    elif (( CURRENT == 3 && $#nested )); then\n"
           "        compadd $nested\n"
           "    else\n"
           "        _files\n"
           "    fi\n"
           "}\n"
           "if [[ $funcstack[1] == _tslab ]]; then\n"
           "    _tslab \"$@\"\n"
           "else\n"
           "    compdef _tslab tslab\n"
           "fi\n";
}

}

void add_completion(CLI::App& app, invocation& i)
{
    command_line const command =
        add_command(app, "completion", "Completion for a shell, to be sourced or installed",
                    "tslab completion bash > ~/.local/share/bash-completion/completions/tslab");
    auto const shell = std::make_shared<std::string>();
    command.add_option("shell", *shell, "bash, zsh or fish").required().takes_one_of({"bash", "zsh", "fish"});
    command.callback([shell, &app, &i] {
        *shell == "bash" ? print_bash(app, i.out) : *shell == "zsh" ? print_zsh(app, i.out) : print_fish(app, i.out);
    });
}

}
