// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/command.hpp"
#include "tslab/escape.hpp"
#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <istream>
#include <iterator>
#include <limits>
#include <optional>
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

class observed final : public source {
public:
    observed(std::string name, observer from) : name_{std::move(name)}, from_{std::move(from)} {}
    std::vector<snapshot> read(bool residency) override { return some(from_.read({.residency = residency})); }
    std::vector<heap_map> maps() override { return some(from_.maps()); }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return from_.pid() != 0; }

private:
    template <class T> std::vector<T> some(std::vector<T> all) const
    {
        if (all.empty())
            throw failure{outcome::no_target, name_ + " has no heap"};
        return all;
    }

    std::string name_;
    observer from_;
};

class one_heap final : public source {
public:
    one_heap(std::unique_ptr<source> from, std::string heap) : from_{std::move(from)}, heap_{std::move(heap)} {}
    std::vector<snapshot> read(bool residency) override { return of_that_name(from_->read(residency)); }
    std::vector<heap_map> maps() override { return of_that_name(from_->maps()); }
    std::string const& name() const noexcept override { return from_->name(); }
    bool live() const noexcept override { return from_->live(); }

private:
    template <class T> std::vector<T> of_that_name(std::vector<T> all) const
    {
        std::string names;
        for (T const& one : all)
            names += (names.empty() ? "" : ", ") + in_quotes(one.name);
        std::erase_if(all, [this](T const& one) { return one.name != heap_; });
        if (all.empty())
            throw failure{outcome::no_target, name() + " has no heap " + in_quotes(heap_) + ", but " + names};
        return all;
    }

    std::unique_ptr<source> from_;
    std::string heap_;
};

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool begins_like_json(char c) noexcept { return c == '{' || c == '[' || is_space(c); }

std::string text_of(std::string const& name, std::istream& in)
{
    std::string text(4096, '\0');
    std::size_t size = 0;
    while (in.read(text.data() + size, static_cast<std::streamsize>(text.size() - size)) || in.gcount() > 0) {
        size += static_cast<std::size_t>(in.gcount());
        if (size > most_bytes_of_a_file)
            throw failure{outcome::no_target, name + " is larger than 64 MiB"};
        if (size == text.size())
            text.resize(2 * size);
    }
    text.resize(size);
    return text;
}

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

std::unique_ptr<source> open_process(pid_t pid) { return std::make_unique<observed>(process_text(pid), observer{pid}); }

std::vector<pid_t> processes_called(std::string const& name)
{
    constexpr std::size_t kept_by_kernel = 15;
    std::vector<pid_t> all = processes_with_heaps();
    std::erase_if(all, [&](pid_t pid) { return command_of(pid) != name.substr(0, kept_by_kernel); });
    return all;
}

std::unique_ptr<source> open_file(std::string const& path)
{
    std::ifstream file{path, std::ios::binary};
    if (!file)
        throw failure{outcome::no_target, "no such process or file: " + escaped(path)};
    int const first = file.peek();
    if (first == std::char_traits<char>::eof())
        throw failure{outcome::no_target, escaped(path) + " is empty or cannot be read"};
    if (begins_like_json(static_cast<char>(first)))
        return open_saved(path, file);
    return std::make_unique<observed>(escaped(path), observer{path});
}

}

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
    try {
        return std::make_unique<saved>(name, snapshots_of(text));
    } catch (snapshot_error const& e) {
        throw failure{outcome::no_target, name + " is no snapshot: " + e.what()};
    } catch (failure const& f) {
        throw failure{f.code(), name + ": " + f.what()};
    }
}

std::unique_ptr<source> open_source(std::string const& what)
{
    if (std::optional<pid_t> const pid = as_pid(what))
        return open_process(*pid);
    if (what.find('/') != std::string::npos)
        return open_file(what);
    std::vector<pid_t> const of_that_name = processes_called(what);
    if (of_that_name.size() > 1)
        throw failure{outcome::usage, "several processes have that name, choose one: " + list_text(of_that_name)};
    return of_that_name.empty() ? open_file(what) : open_process(of_that_name.front());
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
