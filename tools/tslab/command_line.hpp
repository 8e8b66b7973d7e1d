// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// What a command takes, in front of CLI11. CLI11 is its headers: a file that includes them takes seconds to compile, because
// they define objects and because whatever registers an option compiles the parser. So commands use what is here.
#pragma once
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}

namespace tslab::tool {

/// An option or an argument of a command; refers to CLI11's. Each function changes that one and gives it back.
class option {
public:
    explicit option(CLI::Option& of) noexcept : of_{&of} {}

    /// What --help calls its value.
    option type_name(std::string const& text) const;
    /// What --help shows as the default; what the variable has, if not given.
    option shows_default() const;
    option shows_default(std::string const& text) const;
    option required() const;
    /// Anything else is refused with a failure that lists them.
    option takes_one_of(std::initializer_list<char const*> words) const;
    /// One value each time that it is given.
    option takes_one_at_a_time() const;
    option excludes(option other) const;

private:
    CLI::Option* of_;
};

/// A command; refers to CLI11's. The variables of its options must outlive the parsing.
class command_line {
public:
    explicit command_line(CLI::App& of) noexcept : of_{&of} {}

    // `names`: "-o,--out", or a word for an argument.
    option add_option(std::string const& names, std::string& to, std::string const& help) const;
    option add_option(std::string const& names, std::vector<std::string>& to, std::string const& help) const;
    /// Calls `take` with what was given.
    option add_option(std::string const& names, std::function<void(std::string const&)> const& take,
                      std::string const& help) const;
    option add_flag(std::string const& names, bool& to, std::string const& help) const;
    /// A flag that may have a value: `to` is "true" for the flag alone, else what follows its equals sign.
    option add_flag(std::string const& names, std::string& to, std::string const& help) const;
    /// Text of --help above the example.
    void explain(std::string const& text) const;
    /// Does nothing but what its own commands do.
    void needs_subcommand() const;
    /// What it does.
    void callback(std::function<void()> const& what) const;

    [[nodiscard]] CLI::App& app() const noexcept { return *of_; }

private:
    CLI::App* of_;
};

/// A subcommand whose --help ends in an example.
command_line add_command(CLI::App& app, char const* name, char const* description, char const* example);

/// The number in `text`; throws failure (usage), which says the range, for anything but digits of a number in it.
[[nodiscard]] std::uint64_t number_of(std::string_view option, std::string const& text, std::uint64_t least,
                                      std::uint64_t most);

/// An option that takes a whole number from `least` to `most`, by default what `to` is.
template <std::unsigned_integral T>
option add_number(command_line const& command, std::string const& names, T& to, T least, T most,
                  std::string const& help)
{
    std::string const shown = names.substr(names.find("--"));
    return command
        .add_option(
            names,
            [&to, shown, least, most](std::string const& text) {
                to = static_cast<T>(number_of(shown, text, least, most));
            },
            help)
        .type_name("N")
        .shows_default(std::to_string(to));
}
template <std::unsigned_integral T>
option add_number(command_line const& command, std::string const& names, T& to, T least, std::string const& help)
{
    return add_number(command, names, to, least, std::numeric_limits<T>::max(), help);
}

}
