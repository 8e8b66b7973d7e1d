// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The table of a heap profile. Its entries are in the segment; what finds them, and what is relied on, is private: a hash
// table of buckets that are chains, read without a lock. Two stacks are one if their hashes of 64 bits agree.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <link.h>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
module tslab.tls_cache;

import tslab.stats;
import tslab.slab;

namespace tslab {

namespace {

/// The finalizer of splitmix64 (G. Steele, D. Lea, C. Flood: "Fast splittable pseudorandom number generators", 2014).
constexpr std::uint64_t mixed(std::uint64_t x) noexcept
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}
constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;

std::uint64_t hash_of(captured_stack const& stack, std::uint64_t shape) noexcept
{
    std::uint64_t h = shape;
    for (std::uint32_t i = 0; i < stack.depth; ++i)
        h = mixed(h + golden + stack.addresses[i]);
    return std::max<std::uint64_t>(mixed(h), 1);   // 0 stands for no stack
}

/// Objects that a sampled object of `bytes` stands for.
double weight_of(std::uint64_t bytes, std::uint64_t interval) noexcept
{
    return 1 / -std::expm1(-static_cast<double>(std::max<std::uint64_t>(bytes, 1)) / static_cast<double>(interval));
}
std::uint64_t rounded(double x) noexcept { return static_cast<std::uint64_t>(std::llround(x)); }

}

heap_profiler::heap_profiler(arena& meta, segment_part& in, heap_stats_page& stats, options const& o) noexcept
    : meta_{meta},
      in_{in},
      stats_{stats},
      options_{o.interval, o.walk,
               o.seed != 0 ? o.seed : mixed(now_ns() * golden ^ reinterpret_cast<std::uintptr_t>(this))}
{
    stats_.profile.interval = o.interval;
}

std::uint64_t heap_profiler::next_seed() noexcept
{
    return mixed(options_.seed + golden * seeds_.fetch_add(1, std::memory_order_relaxed));
}

double heap_profiler::draw(std::uint64_t& seed) const noexcept
{
    seed += golden;
    // Above 0 and at most 1: its logarithm is finite, and not above 0.
    double const uniform = static_cast<double>((mixed(seed) >> 11) + 1) * 0x1p-53;
    return -std::log(uniform) * static_cast<double>(options_.interval);
}

std::uint32_t heap_profiler::draw_objects(std::uint64_t& seed, std::uint64_t bytes) const noexcept
{
    if (!on())
        return no_sample;
    double const n = draw(seed) / static_cast<double>(bytes);
    return n < no_sample - 1 ? static_cast<std::uint32_t>(n) + 1 : no_sample - 1;
}

void heap_profiler::note_sample(profiled_site const& at, std::uint64_t bytes) noexcept
{
    double const n = weight_of(bytes, options_.interval);
    stats_.profile.samples.add_shared();
    at.entry[profile_page::samples].fetch_add(1, std::memory_order_relaxed);
    at.entry[profile_page::objects].fetch_add(rounded(n * profile_page::object_unit), std::memory_order_relaxed);
    at.entry[profile_page::bytes].fetch_add(rounded(n * static_cast<double>(bytes)), std::memory_order_relaxed);
}

void heap_profiler::note_free(profiled_site const& at, std::uint64_t bytes) const noexcept
{
    double const n = weight_of(bytes, options_.interval);
    at.entry[profile_page::freed].fetch_add(1, std::memory_order_relaxed);
    at.entry[profile_page::freed_objects].fetch_add(rounded(n * profile_page::object_unit), std::memory_order_relaxed);
    at.entry[profile_page::freed_bytes].fetch_add(rounded(n * static_cast<double>(bytes)), std::memory_order_relaxed);
}

[[gnu::noinline]] profiled_site* heap_profiler::find_site(thread_record& me, unsigned bin, std::uint32_t label) noexcept
{
    if (me.profile.walking) {   // the walk that is under way allocates from this heap
        stats_.profile.samples_dropped.add_shared();
        return nullptr;
    }
    captured_stack stack;
    me.profile.walking = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    walk_stack(stack, options_.walk);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    me.profile.walking = false;
    std::uint64_t const hash = hash_of(stack, profile_page::shape_of(stack.depth, bin, label));
    profiled_site* found = nullptr;
    bool is_new = false;
    {
        fork_exclusion const section{&me};
        if (tables* const in = get_tables()) {
            found = find(hash);
            if (found == nullptr) {
                found = add(*in, hash, stack, bin, label);
                is_new = found != nullptr;
            }
        }
    }
    if (stack.cut)
        stats_.profile.stacks_cut.add_shared();
    if (found == nullptr)
        stats_.profile.samples_dropped.add_shared();
    if (is_new)
        note_mappings(me, stack);
    return found;
}

profiled_site* heap_profiler::find(std::uint64_t hash) const noexcept
{
    tables const* const in = tables_.load(std::memory_order_acquire);   // pairs with get_tables
    // acquire: pairs with add, the entry is complete.
    profiled_site* s = in != nullptr ? in->buckets[hash % bucket_count].load(std::memory_order_acquire) : nullptr;
    while (s != nullptr && s->hash != hash)
        s = s->next;
    return s;
}

heap_profiler::tables* heap_profiler::get_tables() noexcept
{
    tables* made = tables_.load(std::memory_order_acquire);   // pairs with the store below
    if (made != nullptr)
        return made;
    lock_guard const guard{lock_};
    made = tables_.load(std::memory_order_relaxed);
    if (made == nullptr) {
        made = meta_.make<tables>();
        tables_.store(made, std::memory_order_release);   // a thread that sees the tables sees them empty
        stats_.publish_memory(meta_, in_);
    }
    return made;
}

/// Adds an entry. Null if there is no place.
profiled_site* heap_profiler::add(tables& in, std::uint64_t hash, captured_stack const& stack, unsigned bin,
                                  std::uint32_t label) noexcept
{
    lock_guard const guard{lock_};
    auto& bucket = in.buckets[hash % bucket_count];
    profiled_site* const first = bucket.load(std::memory_order_relaxed);
    for (profiled_site* s = first; s != nullptr; s = s->next)
        if (s->hash == hash)   // another thread has added it
            return s;
    std::uint32_t const words = profile_page::header + stack.depth;
    std::uint64_t const stacks = stats_.profile.stacks.load(std::memory_order_relaxed);
    profiled_site* const made = count_ < most_stacks && make_room(words) ? meta_.make<profiled_site>() : nullptr;
    if (made == nullptr) {
        std::uint64_t const bit = hash / bucket_count % seen_bits;
        std::uint64_t const before =
            in.dropped[bit / 64].fetch_or(std::uint64_t{1} << (bit % 64), std::memory_order_relaxed);
        if ((before >> (bit % 64) & 1U) == 0)
            stats_.profile.stacks_dropped.add_shared();
        return nullptr;
    }
    std::atomic<std::uint64_t>* const entry = page_->words.data() + page_used_;
    entry[profile_page::shape].store(profile_page::shape_of(stack.depth, bin, label), std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < stack.depth; ++i)
        entry[profile_page::header + i].store(stack.addresses[i], std::memory_order_relaxed);
    page_used_ += words;
    page_->used.store(page_used_, std::memory_order_release);   // a reader that sees them used sees the entry
    ++count_;
    stats_.profile.stacks.store(stacks + 1, std::memory_order_relaxed);
    *made = {.hash = hash, .next = first, .entry = entry};
    bucket.store(made, std::memory_order_release);   // a thread that finds the site sees its entry
    stats_.publish_memory(meta_, in_);
    return made;
}

/// Sees to it that the newest page has room for an entry.
bool heap_profiler::make_room(std::uint32_t words) noexcept
{
    if (page_ != nullptr && profile_page::capacity - page_used_ >= words)
        return true;
    if (pages_ == most_pages || full_)
        return false;
    auto* const made = in_.make<profile_page>();
    // In a heap that publishes, a page that readers do not find is of no use, and none is made again.
    full_ = made == nullptr || (in_.is_published() && !in_.is_published(made));
    if (full_)
        return false;
    made->next.store(page_, std::memory_order_relaxed);
    page_ = made;
    page_used_ = 0;
    ++pages_;
    stats_.profile.pages.store(made, std::memory_order_release);   // a reader that sees the page sees its link
    return true;
}

// ---- mappings

bool heap_profiler::is_mapped(std::uint64_t address) const noexcept
{
    return std::any_of(ranges_, ranges_ + mapping_count_,
                       [address](range const& r) { return address >= r.begin && address < r.end; });
}

namespace {

/// The build id in the notes of a loaded object; empty if there is none.
std::span<unsigned char const> build_id_of(dl_phdr_info const& object) noexcept
{
    for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
        ElfW(Phdr) const& h = object.dlpi_phdr[i];
        if (h.p_type != PT_NOTE)
            continue;
        auto const* at = reinterpret_cast<unsigned char const*>(object.dlpi_addr + h.p_vaddr);
        for (std::size_t left = h.p_memsz; left >= sizeof(ElfW(Nhdr));) {
            ElfW(Nhdr) note;
            std::memcpy(&note, at, sizeof(note));
            std::size_t const name = (std::size_t{note.n_namesz} + 3) & ~std::size_t{3};
            std::size_t const text = (std::size_t{note.n_descsz} + 3) & ~std::size_t{3};
            if (name + text > left - sizeof(note))
                break;
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(at + sizeof(note), "GNU", 4) == 0)
                return {at + sizeof(note) + name, note.n_descsz};
            at += sizeof(note) + name + text;
            left -= sizeof(note) + name + text;
        }
    }
    return {};
}

/// The path of a loaded object; the main program's name is empty there.
void name_of(dl_phdr_info const& object, published_mapping& m) noexcept
{
    std::array<char, 4096> own{};
    std::string_view path = object.dlpi_name != nullptr ? object.dlpi_name : "";
    if (path.empty()) {
        ssize_t const n = ::readlink("/proc/self/exe", own.data(), own.size());
        path = {own.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
    }
    std::ranges::copy(fitting_suffix(path, m.file.size() - 1), m.file.begin());
}

}

struct heap_profiler::mapping_visitor {
    heap_profiler& self;
    thread_record& me;
    bool first = true;

    static int visit(dl_phdr_info* object, std::size_t size, void* of) noexcept
    {
        auto& v = *static_cast<mapping_visitor*>(of);
        std::uint64_t const loads = size >= offsetof(dl_phdr_info, dlpi_subs) ? object->dlpi_adds : ~std::uint64_t{0};
        for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
            ElfW(Phdr) const& h = object->dlpi_phdr[i];
            if (h.p_type != PT_LOAD || (h.p_flags & PF_X) == 0)
                continue;
            published_mapping m;
            m.begin = object->dlpi_addr + h.p_vaddr;
            m.end = m.begin + h.p_memsz;
            m.offset = h.p_offset;
            std::span<unsigned char const> const id = build_id_of(*object);
            m.id_bytes = std::min(id.size(), m.id.size());
            std::ranges::copy(id.first(m.id_bytes), m.id.begin());
            name_of(*object, m);
            fork_exclusion const section{&v.me};
            lock_guard const guard{v.self.lock_};
            if (v.first && v.self.loads_ == loads)
                return 1;   // nothing was loaded since the last look: the address is in no file
            v.first = false;
            v.self.loads_ = loads;
            v.self.add_mapping(m);
        }
        return 0;
    }
};

/// Notes the files that the process executes, if the stack has an address in one that is not known. Holds no lock of
/// tslab's while it waits for the dynamic loader's.
void heap_profiler::note_mappings(thread_record& me, captured_stack const& stack) noexcept
{
    {
        fork_exclusion const section{&me};
        lock_guard const guard{lock_};
        bool known = true;
        for (std::uint32_t i = 0; i < stack.depth && known; ++i)
            known = is_mapped(stack.addresses[i] - 1);
        if (known)
            return;
    }
    me.profile.walking = true;
    mapping_visitor visitor{*this, me};
    ::dl_iterate_phdr(&mapping_visitor::visit, &visitor);
    me.profile.walking = false;
}

void heap_profiler::add_mapping(published_mapping const& m) noexcept
{
    for (std::uint32_t i = 0; i < mapping_count_; ++i)
        if (ranges_[i].begin == m.begin && ranges_[i].end == m.end)
            return;   // it is known; or another file is at the same addresses now, whose name readers find in /proc
    if (ranges_ == nullptr)
        ranges_ = meta_.make_array<range>(most_mappings);
    bool room = ranges_ != nullptr && mapping_count_ < most_mappings;
    if (room && (mappings_ == nullptr || mappings_used_ == profile_mapping_page::capacity)) {
        auto* const made = in_.make<profile_mapping_page>();
        room = made != nullptr && (!in_.is_published() || in_.is_published(made));
        if (room) {
            made->next.store(mappings_, std::memory_order_relaxed);
            mappings_ = made;
            mappings_used_ = 0;
            stats_.profile.mapping_pages.store(made, std::memory_order_release);   // as in make_room
        }
    }
    if (!room) {
        stats_.profile.mappings_dropped.add_shared();
        return;
    }
    mappings_->of[mappings_used_++] = m;
    mappings_->used.store(mappings_used_, std::memory_order_release);   // a reader that sees it used sees it complete
    ranges_[mapping_count_++] = {m.begin, m.end};
    stats_.publish_memory(meta_, in_);
}

// ---- records of sampled slabs

sampled_slots* heap_profiler::take_slots() noexcept
{
    lock_guard const guard{lock_};
    if (sampled_slots* const s = free_slots_) {
        free_slots_ = s->next_free;
        return s;
    }
    std::uint32_t const index = slots_made_;
    unsigned const row = ring_rows::row_of(index);
    if (row >= ring_rows::most)
        return nullptr;
    sampled_slots* first = rows_[row].load(std::memory_order_relaxed);
    if (first == nullptr) {
        first = meta_.make_array<sampled_slots>(ring_rows::size_of(row));
        if (first == nullptr)
            return nullptr;
        rows_[row].store(first, std::memory_order_release);   // a thread that sees the row sees its zeroes
        stats_.publish_memory(meta_, in_);
    }
    ++slots_made_;
    sampled_slots& s = first[index - ring_rows::begin_of(row)];
    s.index = index;
    return &s;
}

void heap_profiler::give_slots(sampled_slots& s) noexcept
{
    lock_guard const guard{lock_};
    s.next_free = free_slots_;
    free_slots_ = &s;
}

}
