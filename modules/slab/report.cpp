// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <array>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <unistd.h>
module tslab.slab;

import tslab.stats;

namespace tslab {

std::string_view name_of(misuse kind) noexcept
{
    constexpr std::array<std::string_view, misuse_count> names{
        "double_free",     "foreign_pointer",   "interior_pointer", "wrong_size",
        "wrong_heap",      "wrong_resource",    "scope_order",      "wrong_thread",
        "not_entered",     "destroyed_entered", "reentry",          "leak",
        "heap_live",       "heap_open",         "overflow",         "write_after_free",
        "wrong_alignment", "bad_argument",      "overlapping_use"};
    auto const k = static_cast<std::size_t>(kind);
    return k < names.size() ? names[k] : "unknown";
}

namespace {

/// Appends to a fixed buffer and drops what does not fit.
class line_writer {
public:
    line_writer(char* out, std::size_t size) noexcept : out_{out}, left_{size} {}

    line_writer& text(std::string_view s) noexcept
    {
        for (char c : s)
            put(c);
        return *this;
    }
    // Names are data: control characters must not reach a terminal.
    line_writer& name(std::string_view s) noexcept
    {
        put('"');
        for (char c : s)
            put(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
        put('"');
        return *this;
    }
    line_writer& number(std::uint64_t n, int base = 10) noexcept
    {
        std::array<char, 20> digits;
        auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), n, base).ptr;
        return text({digits.data(), static_cast<std::size_t>(end - digits.data())});
    }
    line_writer& address(void const* p) noexcept { return text("0x").number(reinterpret_cast<std::uintptr_t>(p), 16); }
    /// Ends the line that begins at `begin`, and returns its length.
    [[nodiscard]] std::size_t finish(char* begin) noexcept
    {
        cut_behind_character(begin);   // a truncated line still ends with a newline
        put('\n');
        return static_cast<std::size_t>(out_ - begin);
    }
    /// If the line was truncated, makes room for one byte behind its last whole character.
    void cut_behind_character(char* begin) noexcept
    {
        if (left_ != 0)
            return;
        auto const length = static_cast<std::size_t>(out_ - begin);
        out_ = begin + fitting_prefix({begin, length}, length - 1).size();
        ++left_;
    }

    /// Lets a line go on behind where it was truncated.
    void add_room(std::size_t bytes) noexcept { left_ += bytes; }

private:
    void put(char c) noexcept
    {
        if (left_ == 0)
            return;
        *out_++ = c;
        --left_;
    }

    char* out_;
    std::size_t left_;
};

void place(line_writer& w, std::string_view before, misuse_report const& r) noexcept
{
    if (r.file != nullptr)
        w.text(before).text(r.file).text(":").number(r.line);
}

void describe(line_writer& w, misuse_report const& r) noexcept
{
    switch (r.kind) {
    case misuse::double_free: w.text("double free of ").address(r.address); break;
    case misuse::foreign_pointer: w.text("free of foreign pointer ").address(r.address); break;
    case misuse::interior_pointer: w.text("free of interior pointer ").address(r.address); break;
    case misuse::wrong_size:
        w.text("free of ").address(r.address).text(" with the wrong size ").number(r.given);
        if (r.fitting_alignment != 0)
            w.text(", or without its alignment ").number(r.fitting_alignment);
        break;
    case misuse::wrong_heap:
        w.text("free of ").address(r.address).text(" in the wrong heap: it belongs to heap ").name(r.other);
        break;
    case misuse::wrong_resource:
        w.text("free of ").address(r.address).text(" through the wrong resource ").name(r.other);
        break;
    case misuse::scope_order:
        w.text("scope left out of order: ").name(r.other).text(" was entered later and is open");
        place(w, ", entered at ", r);
        break;
    case misuse::wrong_thread: w.text("domain used on a thread that did not create it"); break;
    case misuse::not_entered: w.text("domain left that was not entered"); break;
    case misuse::destroyed_entered: w.text("domain destroyed while entered"); break;
    case misuse::reentry: w.text("call from inside a tslab operation (a signal handler?)"); break;
    case misuse::leak:
        w.text("leak: resource ended with ").number(r.objects).text(" live objects, ").number(r.bytes).text(" bytes");
        place(w, ", made at ", r);
        break;
    case misuse::heap_live:
        w.text("heap destroyed with ").number(r.objects).text(" live objects, ").number(r.bytes).text(" bytes");
        break;
    case misuse::heap_open:
        w.text("heap destroyed with ").number(r.objects).text(" open scopes or resources");
        place(w, r.objects == 1 ? ", made at " : ", the oldest made at ", r);
        break;
    case misuse::overflow: w.text("write past the end of ").address(r.address); break;
    case misuse::write_after_free: w.text("write to ").address(r.address).text(" after it was freed"); break;
    case misuse::wrong_alignment:
        w.text("free of ").address(r.address).text(" with the wrong alignment ").number(r.given);
        break;
    case misuse::bad_argument: w.text("bad argument: ").text(r.other); break;
    case misuse::overlapping_use:
        w.text("serial resource used while thread ").number(r.other_thread).text(" is using it: the uses overlap");
        break;
    case misuse::count_: break;
    }
}

/// How many reports of a kind and place the default handler got. Entries are never freed. All of it is lock-free words:
/// a signal handler may report, and a forked child goes on with its parent's numbers.
struct report_count {
    std::atomic<std::uint64_t> key{0};   // 0: no entry
    std::atomic<std::uint64_t> reports{0};
};
constinit std::array<report_count, most_report_places> place_counts{};
constinit std::array<std::atomic<std::uint64_t>, misuse_count> other_counts{};   // by kind: places without an entry

/// FNV-1a, G. Fowler, L. C. Noll, K.-P. Vo.
constexpr std::uint64_t hash(std::uint64_t h, std::string_view text) noexcept
{
    for (char c : text)
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return (h ^ 0xffU) * 0x100000001b3U;   // a byte that ends a text: "ab", "c" is not "a", "bc"
}

/// A number for a report's kind and place; not 0.
std::uint64_t key_of(misuse_report const& r) noexcept
{
    std::uint64_t h = hash(0xcbf29ce484222325U, name_of(r.kind));
    h = hash(h, r.heap);
    h = r.file != nullptr ? (hash(h, r.file) ^ r.line) * 0x100000001b3U : hash(h, r.epoch_label);
    return h | 1U;
}

/// The counter of a report's kind and place; `shared` is set if that one has no entry.
std::atomic<std::uint64_t>& count_of(misuse_report const& r, bool& shared) noexcept
{
    std::uint64_t const key = key_of(r);
    for (std::size_t n = 0; n < place_counts.size(); ++n) {
        report_count& entry = place_counts[(key / 2 + n) % place_counts.size()];
        std::uint64_t there = 0;
        if (entry.key.compare_exchange_strong(there, key, std::memory_order_relaxed) || there == key)
            return entry.reports;
    }
    shared = true;
    return other_counts[static_cast<std::size_t>(r.kind) % misuse_count];
}

constexpr bool is_power_of_ten(std::uint64_t n) noexcept
{
    while (n % 10 == 0 && n != 0)
        n /= 10;
    return n == 1;
}

void describe_all(line_writer& w, misuse_report const& r) noexcept
{
    w.text("tslab: ");
    describe(w, r);
    if (r.kind == misuse::bad_argument && r.heap.empty())   // null was passed for it
        return;
    w.text(" (heap ").name(r.heap);
    if (!r.epoch_label.empty())
        w.text(", epoch ").name(r.epoch_label);
    if (r.size_class != 0)
        w.text(", class ").number(r.size_class);
    w.text(")");
}

void print_and_abort(misuse_report const& r)
{
    bool shared = false;
    std::uint64_t const n = r.fatal ? 1 : count_of(r, shared).fetch_add(1, std::memory_order_relaxed) + 1;
    if (!is_power_of_ten(n))
        return;
    std::array<char, 512> line;
    constexpr std::size_t room_for_number = 96;
    line_writer w{line.data(), line.size() - room_for_number};
    describe_all(w, r);
    w.cut_behind_character(line.data());
    w.add_room(room_for_number);
    if (shared)
        w.text("; number ").number(n).text(" of this kind at places beyond the first ").number(place_counts.size());
    else if (n != 1)
        w.text("; number ").number(n).text(" of this kind and place");
    std::size_t const length = w.finish(line.data());
    [[maybe_unused]] auto const written = ::write(STDERR_FILENO, line.data(), length);
    if (r.fatal)
        std::abort();
}

constinit atomic<error_handler> handler_in_use{print_and_abort};

}

std::size_t format(misuse_report const& r, char* out, std::size_t size) noexcept
{
    if (size == 0)
        return 0;
    line_writer w{out, size};
    describe_all(w, r);
    return w.finish(out);
}

error_handler set_error_handler(error_handler handler) noexcept
{
    // acq_rel: the data of a handler is visible to the thread that calls it, and that of the returned handler to the
    // caller.
    return handler_in_use.exchange(handler != nullptr ? handler : print_and_abort, std::memory_order_acq_rel);
}

error_handler default_error_handler() noexcept { return print_and_abort; }

void report(misuse_report const& r) { handler_in_use.load(std::memory_order_acquire)(r); }

}
