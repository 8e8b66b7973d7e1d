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

std::string listed(std::vector<std::string_view> const& words, std::string_view before_last = ", ")
{
    std::string text;
    for (std::size_t n = 0; n < words.size(); ++n)
        text.append(n == 0 ? "" : n + 1 == words.size() ? before_last : ", ").append(words[n]);
    return text;
}

/// What may stand behind an option: its choices, or its type as --help has it.
std::string values_of(CLI::Option const& o)
{
    std::string const type = o.get_type_name();   // "WHAT:{label,fill}"
    if (std::size_t const begin = type.find(":{"); begin != std::string::npos) {
        std::string choices = type.substr(begin + 2, type.rfind('}') - begin - 2);
        for (std::size_t at = 0; (at = choices.find(',', at)) != std::string::npos; at += 2)
            choices.replace(at, 1, ", ");
        return "one of " + choices;
    }
    return type == "DURATION"        ? "a duration such as 500ms, 1s, 2m, 3h or 1d"
           : type == "DURATION|FILE" ? "a duration such as 500ms, 1s, 2m, 3h or 1d, or a file"
           : type == "N"             ? "a number"
                                     : "a value, " + type;
}

/// "diff needs B, the later target"; nothing if nothing is missing.
std::string missing_argument(CLI::App const& in)
{
    for (CLI::Option const* const o : in.get_options())
        if (o->get_required() && o->count() == 0) {
            std::string const name = o->nonpositional() ? "--" + o->get_lnames().at(0) : upper(o->get_name());
            return in.get_name() + " needs " + name + ", " + o->get_description();
        }
    return {};
}

/// The commands that a command line names, from the program on; and what is wrong with the first word that has no meaning.
struct meaning {
    std::vector<CLI::App const*> inside;
    std::string wrong{};
    CLI::Option const* last = nullptr;   ///< the option that the last word is, or belongs to
};

meaning meaning_of(CLI::App const& app, std::vector<std::string> const& words)
{
    meaning m{.inside = {&app}};
    std::size_t positionals = 0;
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::string const& word = words[i];
        m.last = nullptr;
        if (word == "--")
            break;
        if (word.size() > 1 && word.front() == '-' && std::isdigit(static_cast<unsigned char>(word[1])) == 0) {
            for (CLI::App const* const a : m.inside)
                m.last = m.last != nullptr ? m.last : option_in(*a, word);
            if (m.last == nullptr) {
                m.wrong = unknown_option(word, m.inside);
                break;
            }
            i += takes_next(*m.last, word) ? 1 : 0;
            continue;
        }
        CLI::App const& in = *m.inside.back();
        bool const takes_command = !in.get_subcommands([](CLI::App const*) { return true; }).empty();
        if (takes_command) {
            CLI::App const* const next = command_in(in, word);
            if (next == nullptr) {
                m.wrong = no_such_command(in, word);
                break;
            }
            m.inside.push_back(next);
            continue;
        }
        std::size_t most = 0;
        for (CLI::Option const* const o : in.get_options())
            most += o->get_positional() ? 1 : 0;
        if (++positionals > most) {
            m.wrong = (m.inside.size() > 1 ? in.get_name() : "it") + " takes no further word, and " + in_quotes(word) +
                      " is one too many";
            break;
        }
    }
    return m;
}

std::string reason_of(CLI::App const& app, std::vector<std::string> const& words, CLI::ParseError const& error)
{
    auto const code = static_cast<CLI::ExitCodes>(error.get_exit_code());
    bool const unknown = code == CLI::ExitCodes::RequiredError || code == CLI::ExitCodes::ExtrasError;
    meaning const m = meaning_of(app, words);
    CLI::App const& in = *m.inside.back();
    if (unknown && !m.wrong.empty())
        return m.wrong;
    if (auto const names = names_of_commands(in); unknown && !names.empty())
        return (m.inside.size() > 1 ? in.get_name() + " needs" : std::string{"it needs"}) +
               " a command: " + listed(names);
    if (std::string const missing = missing_argument(in); unknown && !missing.empty())
        return missing;
    if (code == CLI::ExitCodes::ArgumentMismatch && m.last != nullptr && takes_next(*m.last, words.back()))
        return words.back() + " needs " + values_of(*m.last);
    return error.what();
}

}

std::string upper(std::string text)
{
    for (char& c : text)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

std::string no_such_command(CLI::App const& in, std::string_view word)
{
    std::vector<std::string_view> const known = names_of_commands(in);
    std::string const said = "there is no command " + in_quotes(word);
    if (word == "help")
        return said + "; did you mean --help?";
    return said + did_you_mean(word, known);
}

std::string none_of(std::string_view option, std::string_view text, std::vector<std::string_view> const& known)
{
    return std::string{option} + " is " + in_quotes(text) + ", but takes " + listed(known, " or ") +
           did_you_mean(text, known);
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

std::string explain_refusal(CLI::App const& app, std::vector<std::string> const& words, CLI::ParseError const& error)
{
    std::string const text = escaped(reason_of(app, words, error));
    return text + (text.ends_with('?') ? " See " : "; see ") + app.get_name() + " --help";
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
