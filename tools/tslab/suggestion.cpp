// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/suggestion.hpp"
#include "tslab/escape.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

namespace tslab::tool {

namespace {

char lower(char c) noexcept { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

CLI::App const* command_in(CLI::App const& app, std::string_view name)
{
    for (CLI::App const* const c : app.get_subcommands([](CLI::App const*) { return true; }))
        if (c->get_name() == name)
            return c;
    return nullptr;
}

std::vector<std::string_view> names_of_commands(CLI::App const& app)
{
    std::vector<std::string_view> names;
    for (CLI::App const* const c : app.get_subcommands([](CLI::App const*) { return true; }))
        if (!c->get_group().empty())
            names.push_back(c->get_name());
    return names;
}

CLI::Option const* option_in(CLI::App const& app, std::string_view word)
{
    std::string_view const name = word.substr(0, word.find('='));
    for (CLI::Option const* const o : app.get_options())
        if (o->nonpositional() && o->check_name(std::string{name}))
            return o;
    return nullptr;
}

/// The next word belongs to the option.
bool takes_next(CLI::Option const& o, std::string_view word)
{
    return o.get_items_expected_max() > 0 && o.get_type_size() > 0 && word.find('=') == std::string_view::npos;
}

std::string unknown_option(std::string_view word, std::vector<CLI::App const*> const& where)
{
    std::vector<std::string> names;
    for (CLI::App const* const app : where)
        for (CLI::Option const* const o : app->get_options())
            for (std::string const& name : o->get_lnames())
                names.push_back("--" + name);
    std::vector<std::string_view> const known{names.begin(), names.end()};
    std::string const of = where.size() > 1 ? where[1]->get_name() + " has" : "there is";
    return of + " no option " + in_quotes(word.substr(0, word.find('='))) +
           did_you_mean(word.substr(0, word.find('=')), known);
}

std::string unknown_command(std::string_view word, CLI::App const& in)
{
    std::vector<std::string_view> known = names_of_commands(in);
    std::string const said = "there is no command " + in_quotes(word);
    if (word == "help")
        return said + "; did you mean --help?";
    return said + did_you_mean(word, known);
}

}

std::size_t edit_distance(std::string_view a, std::string_view b)
{
    // Three rows of the matrix: optimal string alignment.
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            bool const same = lower(a[i - 1]) == lower(b[j - 1]);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(now);
    }
    return last[b.size()];
}

std::string_view nearest(std::string_view word, std::vector<std::string_view> const& known)
{
    constexpr std::size_t longest = 64;
    if (word.empty() || word.size() > longest)
        return {};
    std::string_view best;
    std::size_t fewest = std::numeric_limits<std::size_t>::max();
    for (std::string_view const k : known) {
        bool const begun = word.size() >= 3 && k.starts_with(word);
        std::size_t const edits = begun ? 1 : edit_distance(word, k);
        if (edits < fewest && edits <= std::max<std::size_t>(2, std::max(word.size(), k.size()) / 3) &&
            edits < k.size()) {
            fewest = edits;
            best = k;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::vector<std::string_view> const& known)
{
    std::string_view const near = nearest(word, known);
    return near.empty() ? "" : "; did you mean " + std::string{near} + "?";
}

std::string wrapped(std::vector<std::string_view> const& words, std::size_t width)
{
    std::string text;
    std::size_t column = 0;
    for (std::string_view const word : words) {
        if (column != 0 && column + 1 + word.size() > width) {
            text += '\n';
            column = 0;
        }
        text.append(column == 0 ? "  " : " ").append(word);
        column += (column == 0 ? 2 : 1) + word.size();
    }
    return text.empty() ? text : text + '\n';
}

std::string explain_refusal(CLI::App const& app, std::vector<std::string> const& words, std::string reason)
{
    std::vector<CLI::App const*> inside{&app};
    std::size_t positionals = 0;
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::string const& word = words[i];
        if (word == "--")
            break;
        if (word.size() > 1 && word.front() == '-' && std::isdigit(static_cast<unsigned char>(word[1])) == 0) {
            CLI::Option const* option = nullptr;
            for (CLI::App const* const a : inside)
                option = option != nullptr ? option : option_in(*a, word);
            if (option == nullptr)
                return unknown_option(word, inside);
            i += takes_next(*option, word) ? 1 : 0;
            continue;
        }
        CLI::App const& in = *inside.back();
        bool const takes_command = !in.get_subcommands([](CLI::App const*) { return true; }).empty();
        if (takes_command) {
            CLI::App const* const next = command_in(in, word);
            if (next == nullptr)
                return unknown_command(word, in);
            inside.push_back(next);
            continue;
        }
        std::size_t most = 0;
        for (CLI::Option const* const o : in.get_options())
            most += o->get_positional() ? 1 : 0;
        if (++positionals > most)
            return in.get_name() + " takes no further word, and " + in_quotes(word) + " is one too many";
    }
    CLI::App const& in = *inside.back();
    if (auto const names = names_of_commands(in); !names.empty()) {
        std::string list;
        for (std::string_view const name : names)
            list.append(list.empty() ? "" : ", ").append(name);
        return (inside.size() > 1 ? in.get_name() + " needs" : std::string{"it needs"}) + " a command: " + list;
    }
    return reason;
}

std::string out_of_range(std::string_view option, std::string_view text, std::uint64_t least, std::uint64_t most)
{
    std::string said{option};
    said.append(" is ").append(in_quotes(text)).append(", but takes a number ");
    if (most == std::numeric_limits<std::uint64_t>::max())
        return said + "of " + std::to_string(least) + " or more";
    return said + "from " + std::to_string(least) + " to " + std::to_string(most);
}

}
