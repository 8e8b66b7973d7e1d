// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command_line.hpp"
#include "tslab/command.hpp"
#include "tslab/suggestion.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>

namespace tslab::tool {

option option::type_name(std::string const& text) const { return option{*of_->type_name(text)}; }
option option::shows_default() const { return option{*of_->capture_default_str()}; }
option option::shows_default(std::string const& text) const { return option{*of_->default_str(text)}; }
option option::required() const { return option{*of_->required()}; }
option option::takes_one_at_a_time() const { return option{*of_->allow_extra_args(false)}; }
option option::excludes(option other) const { return option{*of_->excludes(other.of_)}; }
option option::takes_one_of(std::initializer_list<char const*> words) const
{
    std::vector<std::string> const known(words.begin(), words.end());
    std::string const name = of_->nonpositional() ? "--" + of_->get_lnames().at(0) : of_->get_name();
    std::string shown;
    for (std::string const& word : known)
        shown += (shown.empty() ? "" : ",") + word;
    auto const refuse_others = [known, name](std::string const& given) {
        if (std::ranges::find(known, given) == known.end())
            throw failure{outcome::usage, none_of(name, given, {known.begin(), known.end()})};
        return std::string{};
    };
    return option{*of_->check(CLI::Validator{refuse_others, "{" + shown + "}"})};
}

option command_line::add_option(std::string const& names, std::string& to, std::string const& help) const
{
    return option{*of_->add_option(names, to, help)};
}

option command_line::add_option(std::string const& names, std::vector<std::string>& to, std::string const& help) const
{
    return option{*of_->add_option(names, to, help)};
}

option command_line::add_option(std::string const& names, std::function<void(std::string const&)> const& take,
                                std::string const& help) const
{
    return option{*of_->add_option_function<std::string>(names, take, help)};
}

option command_line::add_flag(std::string const& names, bool& to, std::string const& help) const
{
    return option{*of_->add_flag(names, to, help)};
}

option command_line::add_flag(std::string const& names, std::string& to, std::string const& help) const
{
    return option{*of_->add_flag(names, to, help)};
}

void command_line::explain(std::string const& text) const { of_->footer(text + '\n' + of_->get_footer()); }
void command_line::needs_subcommand() const { of_->require_subcommand(1); }
void command_line::callback(std::function<void()> const& what) const { of_->callback(what); }

command_line add_command(CLI::App& app, char const* name, char const* description, char const* example)
{
    CLI::App* const command = app.add_subcommand(name, description);
    command->footer(std::string{"Example: "} + example);
    return command_line{*command};
}

}
