// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/symbolizer.hpp"
#include "tslab/escape.hpp"
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <sys/stat.h>
#include <system_error>
#include <tuple>
#include <unistd.h>

namespace tslab::tool {

namespace {

constexpr std::string_view deleted = " (deleted)";

class opened_file {
public:
    explicit opened_file(std::string const& path) noexcept
        : fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}
    {
        struct stat s{};
        if (fd_ < 0 || ::fstat(fd_, &s) != 0)
            error_ = errno;
        else if (!S_ISREG(s.st_mode))
            error_ = S_ISDIR(s.st_mode) ? EISDIR : EINVAL;
    }
    ~opened_file()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }
    opened_file(opened_file const&) = delete;
    opened_file& operator=(opened_file const&) = delete;
    [[nodiscard]] int number() const noexcept { return fd_; }
    [[nodiscard]] int error() const noexcept { return error_; }
    [[nodiscard]] bool is_regular() const noexcept { return error_ == 0; }

private:
    int fd_;
    int error_ = 0;   // why it is no regular file
};

std::string hexadecimal(std::uint64_t n)
{
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%llx", static_cast<unsigned long long>(n));
    return text.data();
}

std::string without_deleted(std::string const& path)
{
    return path.ends_with(deleted) ? path.substr(0, path.size() - deleted.size()) : path;
}

std::string last_part(std::string const& path) { return path.substr(path.rfind('/') + 1); }

std::string counted_addresses(std::uint64_t n) { return std::to_string(n) + (n == 1 ? " address" : " addresses"); }

code_frame named(source_frame&& from)
{
    code_frame f{.function = without_signature(demangled(from.linkage)),
                 .linkage = std::move(from.linkage),
                 .file = std::move(from.file),
                 .line = from.line,
                 .inlined = from.inlined};
    f.owner = owner_of(f.function);
    if (f.owner == code_owner::program && (f.inlined || !f.linkage.starts_with("_Z")))
        f.owner = owner_of_plain(f.function, f.file);
    return f;
}

}

struct symbolizer::binary {
    std::string file{};
    std::string build_id{};   // of what was executed; else of the file, once it is open
    std::unique_ptr<debug_file> debug{};
    std::string why_not{};   // it cannot be used
    std::uint64_t asked = 0;
    std::uint64_t unnamed = 0;
    bool unchecked = false;   // whether it is what was executed cannot be told
    bool lines = false;
    bool symbols = false;

    [[nodiscard]] std::string shown() const
    {
        return escaped(file) + (build_id.empty() ? " (without a build id)" : " (build id " + escaped(build_id) + ")");
    }
};

symbolizer::symbolizer(std::vector<profiled_mapping> recorded, pid_t pid)
    : pid_{pid}, recorded_{std::move(recorded)}, mappings_{recorded_}
{
    std::erase_if(mappings_, [](profiled_mapping const& m) { return m.end <= m.begin; });
    if (pid_ != 0)
        add_live_mappings();
    std::ranges::sort(mappings_, {}, &profiled_mapping::begin);
}

symbolizer::~symbolizer() = default;

bool symbolizer::is_of(std::vector<profiled_mapping> const& recorded, pid_t pid) const noexcept
{
    auto const identity = [](profiled_mapping const& m) {
        return std::tie(m.begin, m.end, m.offset, m.file, m.build_id);
    };
    return pid == pid_ && std::ranges::equal(recorded, recorded_, {}, identity, identity);
}

/// Libraries may have been loaded since the process recorded what it executes.
void symbolizer::add_live_mappings()
{
    std::ifstream maps{"/proc/" + std::to_string(pid_) + "/maps"};
    for (std::string line; std::getline(maps, line);) {
        unsigned long long begin = 0;
        unsigned long long end = 0;
        unsigned long long offset = 0;
        std::array<char, 8> rights{};
        int path = 0;
        if (std::sscanf(line.c_str(), "%llx-%llx %7s %llx %*s %*s %n", &begin, &end, rights.data(), &offset, &path) <
                4 ||
            rights[2] != 'x')
            continue;
        std::string const file =
            path > 0 && static_cast<std::size_t>(path) < line.size() ? line.substr(static_cast<std::size_t>(path)) : "";
        live_.push_back({begin, end, file});
        auto const overlaps = [&](profiled_mapping const& m) { return m.begin < end && begin < m.end; };
        if (!file.empty() && std::ranges::none_of(mappings_, overlaps))
            mappings_.push_back({.begin = begin, .end = end, .offset = offset, .file = file});
    }
}

std::size_t symbolizer::mapping_of(std::uint64_t address) const noexcept
{
    auto const after = std::ranges::upper_bound(mappings_, address, {}, &profiled_mapping::begin);
    if (after == mappings_.begin() || address >= std::prev(after)->end)
        return code_place::nowhere;
    return static_cast<std::size_t>(std::prev(after) - mappings_.begin());
}

symbolizer::binary& symbolizer::binary_of(std::size_t mapping)
{
    profiled_mapping const& m = mappings_[mapping];
    auto const [place, fresh] = binaries_.try_emplace(std::pair{m.file, m.build_id});
    if (fresh) {
        place->second = std::make_unique<binary>();
        open(*place->second, m);
    }
    return *place->second;
}

void symbolizer::open(binary& b, profiled_mapping const& m) const
{
    b.file = without_deleted(m.file);
    b.build_id = m.build_id;
    if (!b.file.starts_with('/') || b.file.starts_with("//")) {
        b.why_not = "is no file";   // [vdso], memory that a program was written into
        return;
    }
    if (!debug_file::available()) {
        b.why_not = "cannot be read: this program was built without libdw (package libdw-dev)";
        return;
    }
    auto const live = std::ranges::find_if(live_, [&](live_mapping const& l) {
        return l.begin <= m.begin && m.begin < l.end && without_deleted(l.file) == b.file;
    });
    bool const mapped = live != live_.end();
    bool const gone = m.file.ends_with(deleted) || (mapped && live->file.ends_with(deleted));
    std::string const folder = "/proc/" + std::to_string(pid_);
    std::string const root = pid_ != 0 ? folder + "/root" : "";
    if (mapped) {   // what is mapped itself, whatever its path names now; the kernel lets root open it
        std::string const path = folder + "/map_files/" + hexadecimal(live->begin) + "-" + hexadecimal(live->end);
        if (opened_file const file{path}; file.is_regular() && use(b, file.number(), path, root))
            return;
    }
    std::string const path = root + b.file;
    opened_file const file{path};
    if (!file.is_regular())
        b.why_not = gone ? "was deleted" : "cannot be read: " + std::generic_category().message(file.error());
    else if (gone && b.build_id.empty())
        b.why_not = "was replaced";
    else if (use(b, file.number(), path, root))
        b.unchecked = m.build_id.empty() && !mapped;
}

bool symbolizer::use(binary& b, int fd, std::string const& path, std::string const& root)
{
    try {
        auto read = std::make_unique<debug_file>(fd, path, root);
        if (!b.build_id.empty() && read->build_id() != b.build_id) {
            b.why_not = "was replaced: the file that is there now has " +
                        (read->build_id().empty() ? "no build id" : "the build id " + read->build_id());
            return false;
        }
        b.build_id = read->build_id();
        b.lines = read->has_debug_information();
        b.symbols = read->has_symbol_table();
        b.debug = std::move(read);
        b.why_not.clear();
        return true;
    } catch (std::runtime_error const& e) {
        b.why_not = std::string{"cannot be read: "} + e.what();
        return false;
    }
}

code_place symbolizer::find(std::uint64_t return_address)
{
    std::uint64_t const address = return_address - 1;   // in the call: what follows it may be another line or function
    code_place p{.mapping = return_address != 0 ? mapping_of(address) : code_place::nowhere};
    if (p.mapping == code_place::nowhere) {
        ++unmapped_;
        p.frames.push_back({.function = "0x" + hexadecimal(return_address)});
        return p;
    }
    profiled_mapping const& m = mappings_[p.mapping];
    binary& b = binary_of(p.mapping);
    ++b.asked;
    if (b.debug)
        for (source_frame& f : b.debug->frames_at(address - m.begin + m.offset))
            p.frames.push_back(named(std::move(f)));
    if (p.frames.empty()) {
        ++b.unnamed;
        p.frames.push_back({.function = last_part(b.file) + "+0x" + hexadecimal(address + 1 - m.begin + m.offset)});
        p.frames.back().owner = owner_of(p.frames.back().function);
    }
    return p;
}

code_place const& symbolizer::place_of(std::uint64_t return_address)
{
    auto place = places_.find(return_address);
    if (place == places_.end())
        place = places_.emplace(return_address, find(return_address)).first;
    return place->second;
}

symbolizer::sources symbolizer::sources_of(std::size_t mapping) const
{
    profiled_mapping const& m = mappings_[mapping];
    auto const place = binaries_.find({m.file, m.build_id});
    if (place == binaries_.end() || !place->second->debug)
        return {};
    return {.functions = true, .lines = place->second->lines};
}

std::vector<std::string> symbolizer::notes() const
{
    std::vector<std::string> all;
    for (auto const& [key, b] : binaries_) {
        std::string const unnamed = b->unnamed == 0 ? "" : "; " + counted_addresses(b->unnamed) + " without a name";
        if (!b->debug)
            all.push_back(b->shown() + " " + escaped(b->why_not) + unnamed);
        else if (!b->symbols && !b->lines)
            all.push_back(b->shown() + " is stripped, and its debug information is not here: only functions that it " +
                          "exports have names" + unnamed);
        else if (!b->lines)
            all.push_back(b->shown() +
                          " has no debug information here: its functions have no lines, and none are inlined" +
                          unnamed);
        else if (b->unnamed != 0)
            all.push_back(b->shown() + " does not know " + counted_addresses(b->unnamed));
        if (b->debug && b->unchecked)
            all.push_back(escaped(b->file) + " has no build id: names are those of the file that is there now");
    }
    if (unmapped_ != 0)
        all.push_back(counted_addresses(unmapped_) + (unmapped_ == 1 ? " is" : " are") + " where no file is mapped");
    return all;
}

}
