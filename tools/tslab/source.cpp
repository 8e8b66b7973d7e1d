// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include "tslab/heaps.hpp"
#include "tslab/profile_file.hpp"
#include "tslab/suggestion.hpp"
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <iterator>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>
import tslab;

namespace tslab::tool {

namespace {

class saved final : public source {
public:
    saved(std::string name, std::vector<snapshot> all) : name_{std::move(name)}, all_{std::move(all)} {}
    std::vector<snapshot> read(bool) override { return all_; }
    std::vector<heap_map> maps() override
    {
        throw failure{outcome::no_target, name_ + " is a saved snapshot and has no map of pages"};
    }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return false; }

private:
    std::string name_;
    std::vector<snapshot> all_;
};

class saved_profile final : public source {
public:
    saved_profile(std::string name, std::vector<heap_profile> all) : name_{std::move(name)}, all_{std::move(all)} {}
    std::vector<snapshot> read(bool) override { fail(); }
    std::vector<heap_map> maps() override { fail(); }
    std::vector<heap_profile> profiles() override { return all_; }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return false; }

private:
    [[noreturn]] void fail() const
    {
        throw failure{outcome::no_target, name_ + " is a saved heap profile and no snapshot; tslab profile shows it"};
    }

    std::string name_;
    std::vector<heap_profile> all_;
};

class observed final : public source {
public:
    observed(std::string name, std::string command, observer from)
        : name_{std::move(name)}, command_{std::move(command)}, from_{std::move(from)}
    {
    }
    std::vector<snapshot> read(bool residency) override { return some(from_.read({.residency = residency})); }
    std::vector<heap_map> maps() override { return some(from_.maps()); }
    std::vector<heap_profile> profiles() override { return some(from_.profiles()); }
    pid_t pid() const noexcept override { return from_.pid(); }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return from_.pid() != 0; }
    std::string command() const override { return command_; }

private:
    template <class T> std::vector<T> some(std::vector<T> all) const
    {
        if (all.empty())
            throw failure{outcome::no_target, name_ + " has no heap"};
        return all;
    }

    std::string name_;
    std::string command_;
    observer from_;
};

class one_heap final : public source {
public:
    one_heap(std::unique_ptr<source> from, std::string heap) : from_{std::move(from)}, heap_{std::move(heap)} {}
    std::vector<snapshot> read(bool residency) override { return of_that_name(from_->read(residency)); }
    std::vector<heap_map> maps() override { return of_that_name(from_->maps()); }
    std::vector<heap_profile> profiles() override;
    pid_t pid() const noexcept override { return from_->pid(); }
    std::string const& name() const noexcept override { return from_->name(); }
    bool live() const noexcept override { return from_->live(); }
    std::string command() const override { return from_->command(); }

private:
    /// Those whose name it is; if there are none, the one whose unique name it is, as `stats` shows it.
    template <class T> std::vector<T> of_that_name(std::vector<T> all) const
    {
        std::string names;
        for (T const& one : all)
            names += (names.empty() ? "" : ", ") + in_quotes(unique_name(one.name, one.instance));
        auto const named = [this](T const& one) { return one.name == heap_ || escaped(one.name) == heap_; };
        auto const shown = [this](T const& one) {
            std::string const unique = unique_name(one.name, one.instance);
            return unique == heap_ || escaped(unique) == heap_;
        };
        bool const by_name = std::ranges::any_of(all, named);
        std::erase_if(all, [&](T const& one) { return by_name ? !named(one) : !shown(one); });
        if (all.empty())
            throw failure{outcome::no_target, name() + " has no heap " + in_quotes(heap_) + ", but " + names};
        return all;
    }

    std::unique_ptr<source> from_;
    std::string heap_;
};

/// A profile knows its heap by the name that tells it apart, as `stats` shows it.
std::vector<heap_profile> one_heap::profiles()
{
    std::vector<heap_profile> all = from_->profiles();
    std::string names;
    for (heap_profile const& p : all)
        names += (names.empty() ? "" : ", ") + in_quotes(p.heap);
    std::erase_if(all, [this](heap_profile const& p) { return p.heap != heap_ && escaped(p.heap) != heap_; });
    if (all.empty())
        throw failure{outcome::no_target, name() + " has no heap " + in_quotes(heap_) + ", but " + names};
    return all;
}

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool begins_like_json(char c) noexcept { return c == '{' || c == '[' || is_space(c); }

/// Throws failure if a file that begins with `text` is a recording.
void demand_no_recording(std::string const& name, std::string_view text)
{
    if (text.substr(0, 64).find(R"("format":"tslab-recording")") != std::string_view::npos)
        throw failure{outcome::no_target, name + " is a recording and no snapshot; tslab report shows it"};
}

std::string text_of(std::string const& name, std::istream& in)
{
    std::string text(4096, '\0');
    std::size_t size = 0;
    while (in.read(text.data() + size, static_cast<std::streamsize>(text.size() - size)) || in.gcount() > 0) {
        size += static_cast<std::size_t>(in.gcount());
        if (size > most_bytes_of_a_file) {
            demand_no_recording(name, text);
            throw failure{outcome::no_target, name + " is larger than 64 MiB"};
        }
        if (size == text.size())
            text.resize(2 * size);
    }
    text.resize(size);
    return text;
}

bool is_number(std::string_view text) noexcept
{
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// Nothing for what is no number from 1 to the largest pid.
std::optional<pid_t> as_pid(std::string const& what) noexcept
{
    pid_t pid = 0;
    auto const [end, error] = std::from_chars(what.data(), what.data() + what.size(), pid);
    if (error != std::errc{} || end != what.data() + what.size() || pid <= 0)
        return std::nullopt;
    return pid;
}

std::string process_text(pid_t pid)
{
    std::string const command = command_of(pid);
    return std::to_string(pid) + (command.empty() ? "" : " (" + escaped(command) + ")");
}

std::string list_text(std::vector<pid_t> const& pids)
{
    constexpr std::size_t shown = 20;
    std::string text;
    for (std::size_t i = 0; i < std::min(pids.size(), shown); ++i)
        text += (i == 0 ? "" : ", ") + process_text(pids[i]);
    return pids.size() > shown ? text + ", ..." : text;
}

std::unique_ptr<source> open_process(pid_t pid)
{
    return std::make_unique<observed>(process_text(pid), command_of(pid), observer{pid});
}

std::unique_ptr<source> open_file(std::string const& path);

bool is_file(std::string const& path)
{
    std::error_code ignored;
    auto const type = std::filesystem::status(path, ignored).type();
    return type != std::filesystem::file_type::not_found && type != std::filesystem::file_type::directory &&
           type != std::filesystem::file_type::none;
}

/// Where processes cannot be looked for, a file can still be read: then none, if `name` may be one.
std::vector<pid_t> processes_or_file(std::string const& name)
{
    try {
        return processes_with_heaps();
    } catch (observe_error const&) {
        if (!is_file(name))
            throw;
        return {};
    }
}

/// The processes that `ps` lists under a name; a longer one is cut as the kernel cuts it.
std::vector<pid_t> processes_called(std::string const& name)
{
    constexpr std::size_t kept_by_kernel = 15;
    std::vector<pid_t> all = processes_or_file(name);
    std::erase_if(all, [&](pid_t pid) {
        std::string const command = command_of(pid);
        return command != name.substr(0, kept_by_kernel) && shown_command(command) != name;
    });
    return all;
}

/// "; did you mean request_server?", of the processes with a heap.
std::string nearest_process(std::string const& name)
{
    std::vector<std::string> names;
    for (pid_t const pid : processes_with_heaps())
        names.push_back(shown_command(command_of(pid)));
    return did_you_mean(name, {names.begin(), names.end()});
}

std::unique_ptr<source> open_one_of(std::vector<pid_t> const& of_that_name)
{
    if (of_that_name.size() > 1)
        throw failure{outcome::usage, "several processes have that name, choose one: " + list_text(of_that_name)};
    return open_process(of_that_name.front());
}

/// A number is a pid, and the name of a process if there is no process with that number.
std::unique_ptr<source> open_number(std::string const& what)
{
    std::optional<pid_t> const pid = as_pid(what);
    try {
        if (pid)
            return open_process(*pid);
    } catch (observe_error const& e) {
        if (e.fault() != observe_fault::no_process)
            throw;
        if (auto const of_that_name = processes_called(what); !of_that_name.empty())
            return open_one_of(of_that_name);
        throw;
    }
    if (auto const of_that_name = processes_called(what); !of_that_name.empty())
        return open_one_of(of_that_name);
    if (is_file(what))
        return open_file(what);
    throw failure{outcome::no_target, "there is no process " + what + ": pids are numbers from 1 to " +
                                          std::to_string(std::numeric_limits<pid_t>::max())};
}

std::unique_ptr<source> open_file(std::string const& path)
{
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        throw failure{outcome::no_target, escaped(path) + " is a directory"};
    std::ifstream file{path, std::ios::binary};
    if (!file && errno != ENOENT)
        throw failure{outcome::no_target, escaped(path) + ": " + std::generic_category().message(errno)};
    if (!file)
        throw failure{outcome::no_target, "no such process or file: " + escaped(path)};
    int const first = file.peek();
    if (first == std::char_traits<char>::eof())
        throw failure{outcome::no_target, escaped(path) + " is empty or cannot be read"};
    if (begins_like_json(static_cast<char>(first)))
        return open_saved(path, file);
    return std::make_unique<observed>(escaped(path), "", observer{path});
}

}

std::vector<heap_profile> source::profiles() { throw failure{outcome::no_target, name() + " has no heap profile"}; }

std::string command_of(pid_t pid)
{
    std::ifstream file{"/proc/" + std::to_string(pid) + "/comm"};
    std::string name{std::istreambuf_iterator<char>{file}, {}};
    if (name.ends_with('\n'))
        name.pop_back();
    return name;
}

std::unique_ptr<source> open_saved(std::string name, std::istream& in)
{
    name = escaped(name);
    std::string const text = text_of(name, in);
    demand_no_recording(name, text);
    if (is_saved_profile(text))
        return std::make_unique<saved_profile>(name, saved_profiles(name, text));
    try {
        return std::make_unique<saved>(name, snapshots_of(text));
    } catch (snapshot_error const& e) {
        throw failure{outcome::no_target, name + " is no snapshot: " + e.what()};
    } catch (failure const& f) {
        throw failure{f.code(), name + ": " + f.what()};
    }
}

std::string shown_command(std::string_view command) { return command.empty() ? "?" : escaped(command); }

std::unique_ptr<source> open_source(std::string const& what)
{
    if (is_number(what))
        return open_number(what);
    if (what.find('/') != std::string::npos && is_file(what))
        return open_file(what);
    std::vector<pid_t> const of_that_name = processes_called(what);
    if (!of_that_name.empty())
        return open_one_of(of_that_name);
    std::error_code ignored;
    if (what.find('/') == std::string::npos && !std::filesystem::exists(what, ignored))
        throw failure{outcome::no_target, "no such process or file: " + escaped(what) + nearest_process(what)};
    return open_file(what);
}

std::unique_ptr<source> open_only_process()
{
    std::vector<pid_t> const all = processes_with_heaps();
    if (all.empty())
        throw failure{outcome::usage, "no target was given, and no process of yours has a heap"};
    if (all.size() > 1)
        throw failure{outcome::usage, "no target was given, choose one: " + list_text(all)};
    return open_process(all.front());
}

std::unique_ptr<source> only_heap(std::unique_ptr<source> from, std::string heap)
{
    return std::make_unique<one_heap>(std::move(from), std::move(heap));
}

}
