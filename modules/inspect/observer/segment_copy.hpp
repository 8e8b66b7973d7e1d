// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A copy of a segment. Pointers in it are addresses in the other process; each is converted to a place of the copy, or
// rejected. Included by observer.cpp alone.
#pragma once
#include "other_memory.hpp"

namespace tslab {

namespace {

constexpr std::uint64_t least_segment = segment::first_chunk;

/// The place of a heap in a segment.
struct seen_root {
    std::uint64_t number;
    std::uint64_t stats;    ///< address of its heap_stats_page
    std::uint64_t offset;   ///< of the heap_root in the file
};

/// The used part of a segment, copied at once. Each figure of a busy heap is true of some moment of the copying.
class copy_of_segment {
public:
    /// Throws observe_error.
    copy_of_segment(int from, std::string const& what) : bytes_{copy(from, what)}
    {
        std::uint64_t offset = 0;
        for (segment_extent const& e : header().extents) {
            std::uint64_t const n = e.bytes.load(std::memory_order_relaxed);
            std::uint64_t const address = e.address.load(std::memory_order_relaxed);
            if (n == 0)
                break;
            if (n > segment::most_bytes || address % page_bytes != 0 || n % page_bytes != 0)
                fail(fault::damaged, what + " is damaged: its parts have no place");
            extents_.push_back({address, offset, n});
            offset += n;
        }
        if (offset < bytes_.size())
            fail(fault::damaged, what + " is damaged: its sizes contradict each other");
    }

    [[nodiscard]] segment_header const& header() const noexcept
    {
        return *reinterpret_cast<segment_header const*>(bytes_.data());
    }
    /// `n` records at an address of the process; null if they are not completely in the segment.
    template <class T> [[nodiscard]] T const* at(std::uint64_t address, std::size_t n = 1) const noexcept
    {
        std::uint64_t const offset = offset_of(address);
        if (offset % alignof(T) != 0 || offset < least_segment || offset > bytes_.size() ||
            n > (bytes_.size() - offset) / sizeof(T))
            return nullptr;
        return reinterpret_cast<T const*>(bytes_.data() + offset);
    }
    template <class T> [[nodiscard]] T const* at(T const* pointer) const noexcept
    {
        return at<T>(reinterpret_cast<std::uintptr_t>(pointer));
    }
    /// Whether an address is of a record that was made since the segment was copied: in the segment, behind what was used of it.
    [[nodiscard]] bool is_newer(void const* pointer) const noexcept
    {
        std::uint64_t const offset = offset_of(reinterpret_cast<std::uintptr_t>(pointer));
        return offset != nowhere && offset >= bytes_.size();
    }
    [[nodiscard]] std::uint64_t bytes_used() const noexcept { return bytes_.size(); }
    /// The record at the place that `record` has in another copy of the same file; null if this copy ends before it.
    template <class T>
    [[nodiscard]] T const* counterpart(copy_of_segment const& other, T const& record) const noexcept
    {
        auto const offset = static_cast<std::size_t>(reinterpret_cast<std::byte const*>(&record) - other.bytes_.data());
        return offset <= bytes_.size() && bytes_.size() - offset >= sizeof(T)
                   ? reinterpret_cast<T const*>(bytes_.data() + offset)
                   : nullptr;
    }

    /// The heaps by their numbers.
    [[nodiscard]] std::vector<seen_root> heaps() const
    {
        constexpr std::size_t most = segment::most_chunks / heap_directory::capacity;
        std::vector<seen_root> found;
        std::uint64_t address = header().root.load(std::memory_order_relaxed);
        for (std::size_t n = 0; n < most; ++n) {
            auto const* const d = at<heap_directory>(address);
            if (d == nullptr)
                break;
            for (heap_root const& r : d->heaps)
                if (std::uint64_t const number = r.number.load(std::memory_order_relaxed); number != 0)
                    found.push_back(
                        {number, reinterpret_cast<std::uintptr_t>(r.stats.load(std::memory_order_relaxed)),
                         static_cast<std::uint64_t>(reinterpret_cast<std::byte const*>(&r) - bytes_.data())});
            address = reinterpret_cast<std::uintptr_t>(d->next.load(std::memory_order_relaxed));
        }
        auto const number = [](seen_root const& r) { return r.number; };
        std::ranges::sort(found, {}, number);
        auto const twice = std::ranges::unique(found, {}, number);   // a cyclic directory
        found.erase(twice.begin(), twice.end());
        return found;
    }
    /// The stats page of a root; null if that is no heap.
    [[nodiscard]] heap_stats_page const* heap_of(seen_root const& r) const noexcept
    {
        auto const* const stats = at<heap_stats_page>(r.stats);
        bool const is_heap = stats != nullptr && stats->number.load(std::memory_order_acquire) == r.number &&
                             stats->epoch_count >= 2 && stats->epoch_count <= 65'536;
        return is_heap ? stats : nullptr;
    }
    /// Whether this copy has the same heap at the same place.
    [[nodiscard]] bool has(seen_root const& r) const noexcept
    {
        if (r.offset > bytes_.size() || bytes_.size() - r.offset < sizeof(heap_root))
            return false;
        auto const& here = *reinterpret_cast<heap_root const*>(bytes_.data() + r.offset);
        return here.number.load(std::memory_order_relaxed) == r.number &&
               reinterpret_cast<std::uintptr_t>(here.stats.load(std::memory_order_relaxed)) == r.stats;
    }

    /// Whether the file begins as a segment does.
    static bool is_segment(int from) noexcept
    {
        std::uint64_t magic = 0;
        return ::pread(from, &magic, sizeof(magic), 0) == sizeof(magic) && magic == segment_header::magic_number;
    }

private:
    struct extent {
        std::uint64_t address;
        std::uint64_t offset;
        std::uint64_t bytes;
    };

    static constexpr std::uint64_t nowhere = ~std::uint64_t{0};

    /// The offset in the file; nowhere, which is beyond the end of every file, if the address is in none of the extents.
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t address) const noexcept
    {
        for (extent const& e : extents_)
            if (address >= e.address && address - e.address < e.bytes)
                return e.offset + (address - e.address);
        return nowhere;
    }
    static bytes copy(int from, std::string const& what)
    {
        bytes head{sizeof(segment_header)};
        if (!is_segment(from))
            fail(fault::damaged, what + " is no statistics file of tslab");
        auto const& h = *reinterpret_cast<segment_header const*>(head.data());
        if (!read_at(from, {head.data(), head.size()}, 0))
            fail(fault::damaged, what + " is cut short");
        if (h.format != segment_header::format_number)
            fail(fault::version, what + " was written by another version of tslab (format " + std::to_string(h.format) +
                                     ", this program reads " + std::to_string(segment_header::format_number) + ")");
        if (h.header_bytes != sizeof(segment_header) || h.layout != layout_number())
            fail(fault::version,
                 what + " was written by another build of tslab, which lays its statistics out otherwise");
        std::uint64_t const used = h.used.load(std::memory_order_relaxed);
        if (used > segment::most_bytes || used < least_segment)
            fail(fault::damaged, what + " is damaged: its sizes contradict each other");
        struct stat file{};
        if (::fstat(from, &file) != 0 || static_cast<std::uint64_t>(file.st_size) < used)
            fail(fault::damaged, what + " is cut short");   // checked before memory is allocated
        bytes all{used};
        if (!read_at(from, {all.data(), all.size()}, 0))
            fail(fault::damaged, what + " is cut short");
        // The header that was checked, not its present contents.
        std::memcpy(all.data(), head.data(), head.size());
        return all;
    }

    bytes bytes_;
    std::vector<extent> extents_;
};

}

}
