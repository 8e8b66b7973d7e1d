// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading from outside. The segment is copied as a whole, then looked at: nothing that the other process does meanwhile
// changes what is checked. Pointers in it are addresses over there; each is turned into a place of the copy, if it is one, before
// anything is read there. Descriptors and lanes are in the process's own memory: they are copied from there where the kernel
// allows it, and where it does not, what is live is not known.
module;
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <initializer_list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>
module tslab.epoch;

import tslab.stats;
import tslab.slab;
import tslab.tls_cache;
import :assembly;

namespace tslab {

namespace {

using fault = observe_fault;

[[noreturn]] void fail(fault f, std::string const& text) { throw observe_error{f, text}; }

std::string reason(int error) { return std::system_category().message(error); }

/// Closes what it opened.
class descriptor {
public:
    explicit descriptor(int number) noexcept : number_{number} {}
    descriptor(descriptor&& from) noexcept : number_{std::exchange(from.number_, -1)} {}
    descriptor& operator=(descriptor&& from) noexcept
    {
        std::swap(number_, from.number_);
        return *this;
    }
    ~descriptor()
    {
        if (number_ >= 0)
            ::close(number_);
    }
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_;
};

/// Memory aligned as records are.
class bytes {
public:
    explicit bytes(std::size_t n) : lines_((n + sizeof(line) - 1) / sizeof(line)), size_{n} {}
    [[nodiscard]] std::byte* data() noexcept { return reinterpret_cast<std::byte*>(lines_.data()); }
    [[nodiscard]] std::byte const* data() const noexcept { return reinterpret_cast<std::byte const*>(lines_.data()); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct alignas(64) line {
        std::array<std::byte, 64> of;
    };
    std::vector<line> lines_;
    std::size_t size_;
};

/// Reads [at, at + to.size()) of a file; false when it has not as much.
bool read_at(int from, std::span<std::byte> to, std::uint64_t at)
{
    while (!to.empty()) {
        ssize_t const got = ::pread(from, to.data(), to.size(), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to = to.subspan(static_cast<std::size_t>(got));
        at += static_cast<std::uint64_t>(got);
    }
    return true;
}

constexpr std::uint64_t least_segment = segment::first_chunk;

/// Where a heap is found in a segment.
struct seen_root {
    std::uint64_t number;
    std::uint64_t face;     ///< address of its heap_face
    std::uint64_t offset;   ///< of the heap_root in the file
};

/// The used part of a segment, copied at one go. Figures of a busy heap are each true of some moment of the copying.
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
    /// `n` records at an address of the process; null when they are not, or not all, in the segment.
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
    [[nodiscard]] std::uint64_t bytes_used() const noexcept { return bytes_.size(); }

    /// The heaps by their numbers.
    [[nodiscard]] std::vector<seen_root> heaps() const
    {
        constexpr std::size_t most = segment::most_chunks / heap_directory::capacity;
        std::vector<seen_root> found;
        std::uint64_t address = header().root.load(std::memory_order_relaxed);
        for (std::size_t n = 0; n < most; ++n) {
            heap_directory const* const d = at<heap_directory>(address);
            if (d == nullptr)
                break;
            for (heap_root const& r : d->heaps)
                if (std::uint64_t const number = r.number.load(std::memory_order_relaxed); number != 0)
                    found.push_back(
                        {number, reinterpret_cast<std::uintptr_t>(r.face.load(std::memory_order_relaxed)),
                         static_cast<std::uint64_t>(reinterpret_cast<std::byte const*>(&r) - bytes_.data())});
            address = reinterpret_cast<std::uintptr_t>(d->next.load(std::memory_order_relaxed));
        }
        auto const number = [](seen_root const& r) { return r.number; };
        std::ranges::sort(found, {}, number);
        auto const twice = std::ranges::unique(found, {}, number);   // a directory that leads to itself
        found.erase(twice.begin(), twice.end());
        return found;
    }
    /// What a root leads to; null when that is no heap.
    [[nodiscard]] heap_face const* heap_of(seen_root const& r) const noexcept
    {
        heap_face const* const face = at<heap_face>(r.face);
        bool const is_heap = face != nullptr && face->number.load(std::memory_order_acquire) == r.number &&
                             face->epoch_count >= 2 && face->epoch_count <= 65'536;
        return is_heap ? face : nullptr;
    }
    /// Whether the same heap is found there in this copy.
    [[nodiscard]] bool has(seen_root const& r) const noexcept
    {
        if (r.offset > bytes_.size() || bytes_.size() - r.offset < sizeof(heap_root))
            return false;
        auto const& here = *reinterpret_cast<heap_root const*>(bytes_.data() + r.offset);
        return here.number.load(std::memory_order_relaxed) == r.number &&
               reinterpret_cast<std::uintptr_t>(here.face.load(std::memory_order_relaxed)) == r.face;
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

    /// Past the end of every file when the address is in none of the extents.
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t address) const noexcept
    {
        for (extent const& e : extents_)
            if (address >= e.address && address - e.address < e.bytes)
                return e.offset + (address - e.address);
        return ~std::uint64_t{0};
    }
    static bytes copy(int from, std::string const& what)
    {
        bytes head{sizeof(segment_header)};
        if (!is_segment(from))
            fail(fault::damaged, what + " is no segment of tslab's statistics");
        auto const& h = *reinterpret_cast<segment_header const*>(head.data());
        if (!read_at(from, {head.data(), head.size()}, 0))
            fail(fault::damaged, what + " is cut short");
        if (h.format != segment_header::format_number || h.header_bytes != sizeof(segment_header) ||
            h.layout != layout_number())
            fail(fault::version, what + " was written by another version of tslab (format " + std::to_string(h.format) +
                                     ", this program reads " + std::to_string(segment_header::format_number) + ")");
        std::uint64_t const used = h.used.load(std::memory_order_relaxed);
        if (used > segment::most_bytes || used < least_segment)
            fail(fault::damaged, what + " is damaged: its sizes contradict each other");
        struct stat file{};
        if (::fstat(from, &file) != 0 || static_cast<std::uint64_t>(file.st_size) < used)
            fail(fault::damaged, what + " is cut short");   // before memory is taken for what is not there
        bytes all{used};
        if (!read_at(from, {all.data(), all.size()}, 0))
            fail(fault::damaged, what + " is cut short");
        // The header that was checked, not what it may be by now.
        std::memcpy(all.data(), head.data(), head.size());
        return all;
    }

    bytes bytes_;
    std::vector<extent> extents_;
};

/// The memory of another process, where the kernel allows to read it.
class other_memory {
public:
    explicit other_memory(pid_t pid) noexcept : pid_{pid} {}

    /// False when any of it cannot be read.
    [[nodiscard]] bool read(std::uint64_t address, void* to, std::size_t n) const noexcept
    {
        auto* at = static_cast<std::byte*>(to);
        while (n != 0) {
            iovec const here{at, n};
            iovec const there{reinterpret_cast<void*>(address), n};
            ssize_t const got = ::process_vm_readv(pid_, &here, 1, &there, 1, 0);
            if (got <= 0)
                return false;
            at += got;
            address += static_cast<std::uint64_t>(got);
            n -= static_cast<std::size_t>(got);
        }
        return true;
    }
    /// `each` bytes from every one of `addresses`, one behind the other, to every one of `copies`: of each address the copies are
    /// made one right after the other. False when any cannot be read.
    [[nodiscard]] bool read_each(std::span<std::uint64_t const> addresses, std::initializer_list<std::byte*> copies,
                                 std::size_t each) const
    {
        std::size_t const batch = IOV_MAX / copies.size();
        std::vector<iovec> here;
        std::vector<iovec> there;
        for (std::size_t first = 0; first < addresses.size(); first += batch) {
            std::size_t const end = std::min(first + batch, addresses.size());
            here.clear();
            there.clear();
            for (std::size_t i = first; i < end; ++i)
                for (std::byte* const to : copies) {
                    here.push_back({to + i * each, each});
                    there.push_back({reinterpret_cast<void*>(addresses[i]), each});
                }
            if (::process_vm_readv(pid_, here.data(), here.size(), there.data(), there.size(), 0) !=
                static_cast<ssize_t>(here.size() * each))
                return false;
        }
        return true;
    }

private:
    pid_t pid_;
};

/// What of a process's descriptors two copies say, one made right after the other. A free slot's bit may be on its way from one
/// word to the other, and a single copy could look at each word when it is in the other one.
void join_words(slab& first, slab const& second, bool local_too) noexcept
{
    auto const join = [](atomic<std::uint64_t>& to, atomic<std::uint64_t> const& from) {
        to.store(to.load(std::memory_order_relaxed) | from.load(std::memory_order_relaxed), std::memory_order_relaxed);
    };
    join(first.shared, second.shared);
    if (local_too)
        join(first.local, second.local);
}

/// Which pages of another process are resident, from /proc/<pid>/pagemap: the top bit of a page's eight bytes.
class page_flags {
public:
    explicit page_flags(pid_t pid)
        : file_{pid != 0 ? ::open(("/proc/" + std::to_string(pid) + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC) : -1}
    {
    }
    [[nodiscard]] bool known() const noexcept
    {
        return file_.number() >= 0 && ::sysconf(_SC_PAGESIZE) == static_cast<long>(page_bytes);
    }
    [[nodiscard]] std::vector<unsigned char> of(std::uint64_t begin, std::uint64_t pages) const
    {
        std::vector<unsigned char> flags(pages);
        std::vector<std::uint64_t> words(std::min<std::uint64_t>(pages, 65'536));
        for (std::uint64_t first = 0; first < pages; first += words.size()) {
            std::uint64_t const n = std::min<std::uint64_t>(words.size(), pages - first);
            if (!read_at(file_.number(), std::as_writable_bytes(std::span{words}.first(n)),
                         (begin / page_bytes + first) * sizeof(std::uint64_t)))
                break;
            for (std::uint64_t i = 0; i < n; ++i)
                flags[first + i] = (words[i] >> 63U) != 0 ? 1 : 0;
        }
        return flags;
    }
    [[nodiscard]] std::uint64_t resident_bytes(std::uint64_t begin, std::uint64_t bytes_of_it) const
    {
        std::uint64_t const pages = (bytes_of_it + page_bytes - 1) / page_bytes;
        std::vector<unsigned char> const flags = of(begin, pages);
        return static_cast<std::uint64_t>(std::count(flags.begin(), flags.end(), 1)) * page_bytes;
    }

private:
    descriptor file_;
};

/// A heap of another process, as assemble asks of it.
class seen_heap {
public:
    /// `pid`: 0 for a file whose process is gone.
    /// `again`: the same segment, copied after `told`. `face` is in `told`.
    seen_heap(copy_of_segment const& told, copy_of_segment const& again, heap_face const& face, pid_t pid,
              std::uint64_t& frees_told)
        : told_{told}, again_{again}, face_{face}, memory_{pid}, flags_{pid}, pid_{pid}, frees_told_{frees_told}
    {
        prepared_ = std::min(face_.prepared_epochs.load(std::memory_order_relaxed), face_.epoch_count);
        read_epochs();
        read_lanes();
        live_known_ = pid != 0 && read_memory();
    }

    [[nodiscard]] heap_face const& face() const noexcept { return face_; }
    [[nodiscard]] std::string name() const { return std::string{text_of(face().name)}; }
    [[nodiscard]] std::int64_t pid() const noexcept { return told_.header().pid; }
    [[nodiscard]] bool live_known() const noexcept { return live_known_; }

    template <class F> void for_each_thread(F visit) const
    {
        for (thread const& t : threads_)
            visit(
                *t.face, [&](unsigned c) { return row_of(*t.face, c); },
                [&](unsigned c, std::uint32_t group) { return labels_of(row_of(*t.face, c), group); },
                times_of(*t.face),
                [&] {
                    lane_sums sums;
                    for (std::size_t i = t.first_lane; i < t.end_lane; ++i) {
                        seen_lane const& l = lanes_[i];
                        if (lane const* const now = lane_of(l))
                            sums.add([now](unsigned bin) { return now->allocations(bin).value(); },
                                     now->counted_frees.value());
                        else
                            sums.add([&l](unsigned bin) { return l.face->allocations[bin].value(); },
                                     l.face->counted_frees.value());
                    }
                    return sums;
                });
    }
    template <class F> void for_each_lane_at_work(F visit) const
    {
        for (seen_lane const& l : lanes_)
            if (lane const* const now = lane_of(l); now != nullptr && now->era() != 0)
                visit(now->slot(), now->era(), [now] { return std::pair{now->allocations_of_era(), true}; });
    }

    [[nodiscard]] std::uint32_t prepared_epochs() const noexcept { return prepared_; }
    /// Null for one that was opened anew while it was copied: its fields may be of both eras.
    [[nodiscard]] epoch_face const* epoch(std::uint32_t i) const noexcept
    {
        epoch_face const* const before = told_.at<epoch_face>(epochs_[i]);
        epoch_face const* const after = again_.at<epoch_face>(epochs_[i]);
        bool const same = before != nullptr && after != nullptr &&
                          before->era.load(std::memory_order_relaxed) == after->era.load(std::memory_order_relaxed);
        return same ? before : nullptr;
    }
    [[nodiscard]] epoch_record::oldest oldest_entry(std::uint32_t, epoch_face const& e) const
    {
        told_entry const* first = nullptr;
        for (told_entry const& entry : e.entries)
            if (std::uint64_t const order = entry.order.load(std::memory_order_relaxed);
                order != 0 && (first == nullptr || order < first->order.load(std::memory_order_relaxed)))
                first = &entry;
        if (first == nullptr)
            return {};
        epoch_record::oldest found;
        found.entered_ns = first->entered_ns.load(std::memory_order_relaxed);
        std::uint32_t const number = first->place.load(std::memory_order_relaxed);
        place_directory const* const all = told_.at(face().places.load(std::memory_order_relaxed));
        told_place const* const place = all != nullptr && number < place_directory::capacity
                                            ? told_.at(all->places[number].load(std::memory_order_relaxed))
                                            : nullptr;
        if (place != nullptr) {
            auto const text = [](auto const& of) {
                return std::string(of.begin(), std::find(of.begin(), of.end() - 1, '\0'));
            };
            found.place = {text(place->file), place->line, text(place->function)};
        }
        return found;
    }

    [[nodiscard]] std::uint32_t used_pages() const noexcept { return pages_; }
    [[nodiscard]] slab const& at(std::uint32_t i) const noexcept
    {
        return reinterpret_cast<slab const*>(descriptors_->data())[i];
    }
    [[nodiscard]] std::uint32_t live(slab const& page, unsigned bin) const noexcept
    {
        auto const of = [bin](slab const& block) {
            return static_cast<std::uint32_t>(
                std::popcount(bins[bin].full_mask & ~(block.shared.load(std::memory_order_relaxed) |
                                                      block.local.load(std::memory_order_relaxed))));
        };
        if (!has_blocks(bin))
            return of(page);
        std::uint32_t const index = index_of(page);
        auto const found = std::lower_bound(block_pages_.begin(), block_pages_.end(), index);
        if (found == block_pages_.end() || *found != index)
            return 0;
        auto const* const blocks = reinterpret_cast<slab const*>(blocks_->data()) +
                                   static_cast<std::size_t>(found - block_pages_.begin()) * max_blocks;
        std::uint32_t n = 0;
        for (unsigned k = 0; k < bins[bin].blocks; ++k)
            n += of(blocks[k * block_stride(bin)]);
        return n;
    }
    [[nodiscard]] bool is_kept(slab const& page, unsigned bin) const noexcept
    {
        seen_lane const* const l = holder_of(page);
        if (l == nullptr || live(page, bin) != 0)
            return false;
        lane const* const now = lane_of(*l);
        return l->face->era.load(std::memory_order_relaxed) == 0 || (now != nullptr && now->unused_in_era(bin));
    }
    [[nodiscard]] epoch_id home_of(slab const& page, std::uint32_t) const noexcept
    {
        if (seen_lane const* const l = holder_of(page))
            return {l->face->slot.load(std::memory_order_relaxed), l->face->era.load(std::memory_order_relaxed)};
        auto const home = reinterpret_cast<std::uintptr_t>(page.home.load(std::memory_order_relaxed));
        std::uint64_t const each = face().shelf_bytes;
        std::uint32_t slot = prepared_;
        for (unsigned row = 0; row < shelf_table::most && each != 0; ++row) {
            std::uint64_t const begin = face().shelves[row].load(std::memory_order_relaxed);
            if (begin != 0 && home >= begin && (home - begin) / each < shelf_table::size_of(row) &&
                (home - begin) % each == 0)
                slot = shelf_table::begin_of(row) + static_cast<std::uint32_t>((home - begin) / each);
        }
        if (slot >= prepared_)
            return {};
        epoch_face const* const e = epoch(slot);
        return e != nullptr ? epoch_id{slot, e->era.load(std::memory_order_relaxed)} : epoch_id{};
    }
    [[nodiscard]] unsigned free_resident_class(std::uint32_t i) const noexcept
    {
        auto const has = [i](std::vector<std::uint64_t> const& set) { return (set[i / 64] >> (i % 64) & 1U) != 0; };
        if (!has(free_resident_))
            return class_count + 1;
        std::uint8_t const was = at(i).was.load(std::memory_order_relaxed);
        bool const slab_before = was != tag_none && was != tag_large && was - 1U < bin_count;
        return has(free_large_) || !slab_before ? large_class : class_of_bin(was - 1U);
    }

    [[nodiscard]] bool residency_known() const noexcept { return flags_.known(); }
    [[nodiscard]] std::vector<unsigned char> resident_pages() const
    {
        std::vector<unsigned char> all;
        order_.for_each_run([&](unit_run r, std::uint32_t) {
            std::vector<unsigned char> const of =
                flags_.of(face().first_page + (std::uint64_t{r.first} << unit_shift), r.count * unit_pages);
            all.insert(all.end(), of.begin(), of.end());
        });
        return all;
    }
    [[nodiscard]] std::uint64_t rss_bytes() const { return pid_ != 0 ? read_rss_bytes_of(pid_) : 0; }
    [[nodiscard]] std::uint64_t metadata_bytes() const noexcept
    {
        return face().pages.metadata_bytes.load(std::memory_order_relaxed) +
               face().arena_bytes.load(std::memory_order_relaxed) +
               face().segment_bytes.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t resident_metadata_bytes() const
    {
        std::uint64_t n = resident_arena_bytes();
        std::size_t left = told_.bytes_used() / segment_chunk::bytes;
        segment_chunk const* at = face().first_chunk.load(std::memory_order_relaxed);
        for (segment_chunk const* c = told_.at(at); c != nullptr && left-- != 0; c = told_.at(at)) {
            n += flags_.resident_bytes(reinterpret_cast<std::uintptr_t>(at), segment_chunk::bytes);
            at = c->next.load(std::memory_order_relaxed);
        }
        order_.for_each_run([&](unit_run r, std::uint32_t) {
            auto const of = [&](std::uint64_t table, std::uint64_t each) {
                return flags_.resident_bytes(table + r.first * each, r.count * each);
            };
            n += of(face().descriptors, address_window::slab_bytes_of_unit) +
                 of(face().blocks, address_window::block_bytes_of_unit) +
                 of(face().generations, address_window::generation_bytes_of_unit) +
                 r.count * address_window::word_bytes_of_unit;
        });
        return n;
    }
    [[nodiscard]] std::uint64_t never_less(std::uint64_t frees) const noexcept
    {
        frees_told_ = std::max(frees_told_, frees);
        return frees_told_;
    }

    /// What epochs hold, without a look at the slabs.
    void add_held(snapshot& s, std::vector<epoch_stats*> const& of_slot) const
    {
        auto const add = [&](epoch_stats& e, unsigned bin, std::uint64_t slabs) {
            if (slabs == 0)
                return;
            std::uint64_t const pages = slabs * bins[bin].pages;
            unsigned const c = class_of_bin(bin);
            e.slabs += slabs;
            e.partial_slabs += slabs;
            e.slab_pages += pages;
            s.classes[c].partial_slabs += slabs;
            s.global.slabs_in_use += slabs;
            s.global.slab_pages += pages;
            auto share = std::find_if(e.classes.begin(), e.classes.end(),
                                      [c](class_share const& of) { return of.class_index == c; });
            if (share == e.classes.end())
                share = e.classes.insert(e.classes.end(), class_share{.class_index = c});
            share->slabs += slabs;
            share->pages += pages;
        };
        constexpr std::uint64_t most = std::uint64_t{1} << 32;   // pages a heap may have
        for (std::uint32_t i = 0; i < prepared_; ++i) {
            epoch_face const* const told = epoch(i);
            if (of_slot[i] == nullptr || told == nullptr)
                continue;
            for (unsigned bin = 0; bin < bin_count; ++bin)
                add(*of_slot[i], bin, told->listed[bin].load(std::memory_order_relaxed));
            std::uint64_t const large = std::min(told->large_pages.load(std::memory_order_relaxed), most);
            of_slot[i]->large_pages += large;
            s.classes[large_class].large_pages += large;
            s.global.large_pages += large;
        }
        for (seen_lane const& l : lanes_) {
            std::uint32_t const slot = l.face->slot.load(std::memory_order_relaxed);
            std::uint64_t const era = l.face->era.load(std::memory_order_relaxed);
            if (era == 0 || slot >= prepared_ || of_slot[slot] == nullptr || of_slot[slot]->era != era)
                continue;
            for (unsigned bin = 0; bin < bin_count; ++bin)
                add(*of_slot[slot], bin, l.face->held[bin].load(std::memory_order_relaxed));
        }
        std::uint64_t cached_pages = 0;
        for (class_stats& c : s.classes) {
            c.cached_slabs = c.class_index < class_count ? c.cache_size : 0;
            s.global.slabs_cached += c.cached_slabs;
            cached_pages += c.cached_slabs * c.pages_per_slab;
        }
        s.global.committed_bytes =
            (cached_pages + s.global.free_resident_pages + s.global.slab_pages + s.global.large_pages) * page_bytes;
    }

    /// Of the locks taken for a class or an epoch.
    void sum_locks(snapshot& s) const
    {
        lock_timing_stats times;
        for (thread const& t : threads_)
            for (unsigned c = 0; c <= no_class; ++c)
                if (class_face const* const row = row_of(*t.face, c)) {
                    for (std::uint32_t group = 0; group < label_rows::groups; ++group)
                        if (label_rows const* const labels = labels_of(row, group))
                            for (contention_counters const& of_label : labels->of) {
                                s.global.lock_fast_acquire += of_label[contention_event::lock_fast].value();
                                s.global.lock_contended += of_label[contention_event::lock_contended].value();
                            }
                    row->waits.add_to(times);
                }
        if (times.samples == 0)
            return;
        s.global.lock_timing = times;
        for (unsigned c = 0; c <= class_count; ++c) {
            auto& of_class = s.classes[c].lock_timing.emplace();
            for (thread const& t : threads_)
                if (class_face const* const row = row_of(*t.face, c))
                    row->waits.add_to(of_class);
        }
    }

private:
    struct thread {
        thread_face const* face;
        std::size_t first_lane;
        std::size_t end_lane;
    };
    struct seen_lane {
        std::uint64_t address;
        lane_face const* face;
        std::size_t place;   ///< in lane_memory_
    };

    void read_lanes()
    {
        // Lists that run in circles end where more was seen than there can be.
        std::size_t const most_threads = told_.bytes_used() / sizeof(thread_face);
        std::size_t const most_lanes = told_.bytes_used() / sizeof(lane_face);
        for (thread_face const* t = told_.at(face().threads.load(std::memory_order_relaxed));
             t != nullptr && threads_.size() < most_threads; t = told_.at(t->next.load(std::memory_order_relaxed))) {
            std::size_t const first = lanes_.size();
            for (lane_face const* l = told_.at(t->lanes.load(std::memory_order_relaxed));
                 l != nullptr && lanes_.size() < most_lanes; l = told_.at(l->next.load(std::memory_order_relaxed)))
                lanes_.push_back({l->lane.load(std::memory_order_relaxed), l, lanes_.size()});
            threads_.push_back({t, first, lanes_.size()});
        }
        for (seen_lane const& l : lanes_)
            by_address_.push_back(&l - lanes_.data());
        std::sort(by_address_.begin(), by_address_.end(),
                  [this](auto a, auto b) { return lane_at(a).address < lane_at(b).address; });
    }

    [[nodiscard]] class_face const* row_of(thread_face const& t, unsigned c) const noexcept
    {
        return told_.at(t.classes[c].load(std::memory_order_relaxed));
    }
    [[nodiscard]] label_rows const* labels_of(class_face const* row, std::uint32_t group) const noexcept
    {
        return row != nullptr ? told_.at(row->contention[group].load(std::memory_order_relaxed)) : nullptr;
    }
    [[nodiscard]] timing_face const* times_of(thread_face const& t) const noexcept
    {
        return told_.at(t.times.load(std::memory_order_relaxed));
    }

    /// Where each ring slot's is; 0 where none is told of.
    void read_epochs()
    {
        epochs_.resize(prepared_);
        std::uint64_t address = reinterpret_cast<std::uintptr_t>(face().epochs.load(std::memory_order_relaxed));
        epoch_face const* e = told_.at<epoch_face>(address);
        for (std::size_t left = told_.bytes_used() / sizeof(epoch_face); e != nullptr && left != 0; --left) {
            if (std::uint32_t const i = e->index.load(std::memory_order_relaxed); i < prepared_)
                epochs_[i] = address;
            address = reinterpret_cast<std::uintptr_t>(e->next.load(std::memory_order_relaxed));
            e = told_.at<epoch_face>(address);
        }
    }

    /// Which units the heap has; false when that cannot be read, or cannot be.
    bool read_runs()
    {
        constexpr std::uint64_t most_units = (std::uint64_t{1} << 26) / unit_pages;   // 256 GiB of pages
        std::uint64_t const known = face().max_units;
        std::uint64_t lowest = 0;
        std::uint64_t total = 0;
        for (std::uint64_t at = face().pages.first_run.load(std::memory_order_relaxed); at != 0;) {
            std::array<std::uint32_t, 2> link{};   // how many, and the next
            static_assert(sizeof(link) == sizeof(unit_link));
            std::uint64_t const first = at - 1;
            if (first < lowest || first >= known ||
                !memory_.read(face().unit_links + first * sizeof(link), link.data(), sizeof(link)) || link[0] == 0 ||
                link[0] > known - first || (total += link[0]) > most_units)
                return false;
            order_.add({static_cast<std::uint32_t>(first), link[0]});
            lowest = first + link[0];
            at = link[1];
        }
        return true;
    }

    /// Descriptors, blocks, lanes and the sets of free pages; false when any of it cannot be read.
    bool read_memory()
    {
        std::array<std::byte, sizeof(slab)> last{};   // before memory is taken for what may not be there
        if (!read_runs() ||
            (order_.size() != 0 && !memory_.read(face().descriptors + order_.page_of(order_.size() - 1) * sizeof(slab),
                                                 last.data(), last.size()))) {
            order_ = {};
            return false;
        }
        pages_ = order_.size();
        descriptors_.emplace(std::size_t{pages_} * sizeof(slab));
        std::size_t const words = pages_ / unit_pages;
        free_resident_.resize(words);
        free_large_.resize(words);
        std::vector<std::uint64_t> addresses;
        for (seen_lane const& l : lanes_)
            addresses.push_back(l.address);
        lane_memory_.emplace(lanes_.size() * sizeof(lane));
        bool read = memory_.read_each(addresses, {lane_memory_->data()}, sizeof(lane)) && read_descriptors();
        order_.for_each_run([&](unit_run r, std::uint32_t begin) {
            auto const words_of = [&](std::uint64_t table, std::vector<std::uint64_t>& to) {
                constexpr std::size_t each = sizeof(std::uint64_t);
                return memory_.read(table + r.first * each, to.data() + begin / unit_pages, r.count * each);
            };
            read = read && words_of(face().free_resident_words, free_resident_) &&
                   words_of(face().free_large_words, free_large_);
        });
        if (!read) {
            forget_memory();
            return false;
        }
        addresses.clear();
        for (std::uint32_t i = 0; i < pages_; ++i)
            if (unsigned const bin = at(i).bin(); bin < bin_count && has_blocks(bin)) {
                block_pages_.push_back(i);
                addresses.push_back(face().blocks + std::uint64_t{order_.page_of(i)} * max_blocks * sizeof(slab));
            }
        blocks_.emplace(block_pages_.size() * max_blocks * sizeof(slab));
        bytes again{blocks_->size()};
        if (memory_.read_each(addresses, {blocks_->data(), again.data()}, max_blocks * sizeof(slab))) {
            for (std::size_t i = 0; i < block_pages_.size() * max_blocks; ++i)
                join_words(slab_in(*blocks_, i), slab_in(again, i), true);
            return true;
        }
        forget_memory();
        return false;
    }

    void forget_memory()
    {
        pages_ = 0;
        order_ = {};
        lane_memory_.reset();
    }

    bool read_descriptors()
    {
        // A unit's at once: the second copy follows the first right away.
        bytes again{descriptors_->size()};
        std::vector<std::uint64_t> addresses;
        order_.for_each_run([&](unit_run r, std::uint32_t) {
            for (std::uint64_t u = r.first; u < std::uint64_t{r.first} + r.count; ++u)
                addresses.push_back(face().descriptors + u * address_window::slab_bytes_of_unit);
        });
        if (!memory_.read_each(addresses, {descriptors_->data(), again.data()}, address_window::slab_bytes_of_unit))
            return false;
        for (std::uint32_t i = 0; i < pages_; ++i) {
            slab& first = slab_in(*descriptors_, i);
            slab const& second = slab_in(again, i);
            unsigned const bin = first.bin();
            if (bin < bin_count && second.bin() == bin)
                join_words(first, second, !has_blocks(bin));   // else `local` is no set of slots
        }
        return true;
    }

    [[nodiscard]] static slab& slab_in(bytes& of, std::size_t i) noexcept
    {
        return reinterpret_cast<slab*>(of.data())[i];
    }

    [[nodiscard]] std::uint32_t index_of(slab const& page) const noexcept
    {
        return static_cast<std::uint32_t>(&page - reinterpret_cast<slab const*>(descriptors_->data()));
    }
    [[nodiscard]] seen_lane const& lane_at(std::ptrdiff_t i) const noexcept
    {
        return lanes_[static_cast<std::size_t>(i)];
    }
    [[nodiscard]] lane const* lane_of(seen_lane const& l) const noexcept
    {
        return lane_memory_ ? reinterpret_cast<lane const*>(lane_memory_->data()) + l.place : nullptr;
    }
    /// The lane whose memory `owner` points into.
    [[nodiscard]] seen_lane const* holder_of(slab const& page) const noexcept
    {
        auto const owner = reinterpret_cast<std::uintptr_t>(page.owner.load(std::memory_order_relaxed));
        if (owner == 0 || (owner & 1U) != 0 || owner == face().reclaiming_mark || owner == face().nowhere_mark)
            return nullptr;
        auto const behind = std::upper_bound(by_address_.begin(), by_address_.end(), owner,
                                             [this](std::uintptr_t a, auto i) { return a < lane_at(i).address; });
        if (behind == by_address_.begin())
            return nullptr;
        seen_lane const& l = lane_at(*(behind - 1));
        return owner - l.address < sizeof(lane) ? &l : nullptr;
    }
    [[nodiscard]] std::uint64_t resident_arena_bytes() const
    {
        constexpr unsigned most_pieces = 65'536;
        constexpr std::uint64_t most_bytes = std::uint64_t{1} << 36;
        std::uint64_t n = 0;
        std::uint64_t at = face().arena.load(std::memory_order_relaxed);
        for (unsigned i = 0; at != 0 && i < most_pieces; ++i) {
            arena_piece piece;
            if (!memory_.read(at, &piece, sizeof(piece)) || piece.bytes > most_bytes)
                break;
            n += flags_.resident_bytes(at, piece.bytes);
            at = piece.next;
        }
        return n;
    }

    copy_of_segment const& told_;
    copy_of_segment const& again_;
    heap_face const& face_;
    other_memory memory_;
    page_flags flags_;
    pid_t pid_;
    std::uint64_t& frees_told_;
    std::vector<std::uint64_t> epochs_;
    std::uint32_t prepared_ = 0;
    std::vector<thread> threads_;
    std::vector<seen_lane> lanes_;
    std::vector<std::ptrdiff_t> by_address_;
    std::optional<bytes> lane_memory_;
    bool live_known_ = false;
    std::uint32_t pages_ = 0;
    page_order order_;
    std::optional<bytes> descriptors_;         ///< in that order
    std::vector<std::uint32_t> block_pages_;   ///< pages with blocks, ascending, as blocks_ has them
    std::optional<bytes> blocks_;
    std::vector<std::uint64_t> free_resident_;
    std::vector<std::uint64_t> free_large_;
};

/// A number that is a whole name in /proc.
template <class T> std::optional<T> number_in(char const* name) noexcept
{
    T n = 0;
    char const* const end = name + std::strlen(name);
    auto const [stop, error] = std::from_chars(name, end, n);
    return error == std::errc{} && stop == end ? std::optional{n} : std::nullopt;
}

/// Calls visit(name) for every entry of a directory; false, and errno, when it cannot be read.
template <class F> bool for_each_entry(std::string const& path, F visit)
{
    std::unique_ptr<DIR, int (*)(DIR*)> const directory{::opendir(path.c_str()), ::closedir};
    if (directory == nullptr)
        return false;
    while (dirent const* const entry = ::readdir(directory.get()))
        visit(static_cast<char const*>(entry->d_name));
    return true;
}

/// Whether what a process has open may be a segment: a memfd of that name, or a file of the right shape.
bool may_be_segment(std::string const& link)
{
    std::array<char, 64> to{};
    ssize_t const n = ::readlink(link.c_str(), to.data(), to.size());
    if (n > 0 && std::string_view{to.data(), static_cast<std::size_t>(n)}.starts_with("/memfd:tslab"))
        return true;
    struct stat s{};
    return ::stat(link.c_str(), &s) == 0 && S_ISREG(s.st_mode) && s.st_size >= static_cast<off_t>(least_segment) &&
           s.st_size <= static_cast<off_t>(segment::most_bytes) && s.st_size % static_cast<off_t>(page_bytes) == 0;
}

/// Whether a process calls itself by a number: its own, or the one it has in the container it lives in.
bool calls_itself(pid_t pid, std::int64_t number)
{
    if (number == pid)
        return true;
    descriptor const file{::open(("/proc/" + std::to_string(pid) + "/status").c_str(), O_RDONLY | O_CLOEXEC)};
    std::array<char, 4096> text{};
    ssize_t const got = file.number() >= 0 ? ::read(file.number(), text.data(), text.size()) : 0;
    std::string_view const all{text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
    std::size_t const at = all.find("\nNSpid:");
    if (at == std::string_view::npos)
        return false;
    std::string_view line = all.substr(at + 7, all.find('\n', at + 1) - at - 7);
    std::string const inner = std::to_string(number);
    return line.ends_with('\t' + inner);   // the innermost comes last
}

/// Whether a heap is still where it was found: what was read of it until now was all its own.
bool is_there(int segment, seen_root const& r)
{
    std::uint64_t number = 0;
    return read_at(segment, std::as_writable_bytes(std::span{&number, 1}), r.offset) && number == r.number;
}

/// The segments of a process, in the order they were made: more than one where there are several copies of the library in it, as plugins
/// may have them. `only_one`: it is enough to know that there is one.
std::vector<descriptor> segments_of(pid_t pid, int& error, bool only_one = false)
{
    struct open_segment {
        std::uint64_t started_ns;
        dev_t device;
        ino_t inode;
        descriptor file;
    };
    std::string const open_files = "/proc/" + std::to_string(pid) + "/fd";
    std::vector<open_segment> found;
    error = 0;
    bool const read = for_each_entry(open_files, [&](char const* name) {
        std::string const link = open_files + '/' + name;
        if ((only_one && !found.empty()) || !number_in<unsigned>(name) || !may_be_segment(link))
            return;
        descriptor file{::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
        segment_header header;
        struct stat s{};
        if (file.number() < 0 || !copy_of_segment::is_segment(file.number()) || ::fstat(file.number(), &s) != 0 ||
            !read_at(file.number(), std::as_writable_bytes(std::span{&header, 1}), 0) || !calls_itself(pid, header.pid))
            return;   // a segment of another process, perhaps: a descriptor that was handed on
        bool const twice = std::ranges::any_of(
            found, [&s](open_segment const& other) { return other.device == s.st_dev && other.inode == s.st_ino; });
        if (!twice)
            found.push_back({header.started_ns, s.st_dev, s.st_ino, std::move(file)});
    });
    if (!read)
        error = errno;
    std::ranges::sort(found, {}, [](open_segment const& s) { return std::pair{s.started_ns, s.inode}; });
    std::vector<descriptor> segments;
    for (open_segment& s : found)
        segments.push_back(std::move(s.file));
    return segments;
}

bool exists(pid_t pid) { return ::access(("/proc/" + std::to_string(pid)).c_str(), F_OK) == 0; }

}

struct observer::state {
    pid_t pid = 0;
    std::string path;
    using heap_key = std::pair<std::uint64_t, std::uint64_t>;   // where its segment is, and its number
    std::map<heap_key, std::uint64_t> frees_told;

    [[nodiscard]] std::string what() const { return pid != 0 ? "process " + std::to_string(pid) : path; }

    [[nodiscard]] std::vector<descriptor> open() const { return pid != 0 ? open_process() : open_file(); }

    [[nodiscard]] std::vector<descriptor> open_process() const
    {
        int error = 0;
        std::vector<descriptor> segments = segments_of(pid, error);
        if (!segments.empty())
            return segments;
        if (!exists(pid) || error == ESRCH || error == ENOENT)
            fail(fault::no_process, "there is no process " + std::to_string(pid));
        if (error == EACCES || error == EPERM)
            fail(fault::not_permitted, what() + " may not be looked into: it belongs to another user, or is protected");
        if (error != 0)
            fail(fault::system, what() + " cannot be looked into: " + reason(error));
        fail(fault::no_heap, what() + " has no heap of tslab that it publishes");
    }

    [[nodiscard]] std::vector<descriptor> open_file() const
    {
        descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
        struct stat s{};
        if (file.number() < 0 || ::fstat(file.number(), &s) != 0)
            fail(fault::system, path + ": " + reason(errno));
        if (!S_ISREG(s.st_mode))
            fail(fault::damaged, path + " is no file");
        std::vector<descriptor> segments;
        segments.push_back(std::move(file));
        return segments;
    }

    /// Calls visit(heap) for every heap, and returns what it returned.
    template <class F> auto for_each_heap(F visit) -> std::vector<decltype(visit(std::declval<seen_heap&>()))>
    {
        std::vector<decltype(visit(std::declval<seen_heap&>()))> all;
        std::vector<descriptor> const segments = open();
        std::map<heap_key, std::uint64_t> told;
        for (descriptor const& one : segments) {
            int const from = one.number();
            copy_of_segment const copy{from, what()};
            bool const lives = pid != 0 && exists(pid);
            copy_of_segment const again{from, what()};
            for (seen_root const& root : copy.heaps()) {
                if (!again.has(root))
                    continue;   // it ended while it was copied
                heap_face const* const face = copy.heap_of(root);
                if (face == nullptr && again.heap_of(root) != nullptr)
                    continue;   // it came while the first copy was made
                if (face == nullptr)
                    fail(fault::damaged, what() + " is damaged: it does not tell of a heap");
                std::uint64_t const at = copy.header().extents[0].address.load(std::memory_order_relaxed);
                heap_key const key{at, root.number};
                std::uint64_t& frees = told[key] = frees_told[key];
                seen_heap heap{copy, again, *face, lives ? pid : 0, frees};
                auto seen = visit(heap);
                if (!lives || is_there(from, root))   // else its memory may have been another's
                    all.push_back(std::move(seen));
            }
        }
        if (pid != 0 && !exists(pid))
            fail(fault::no_process, what() + " has ended");
        if (all.empty())
            fail(fault::no_heap, what() + " has no heap of tslab that it publishes");
        frees_told = std::move(told);   // of heaps that there still are
        return all;
    }
};

observer::observer(pid_t pid) : state_{std::make_unique<state>()}
{
    state_->pid = pid;
    if (pid <= 0)
        fail(fault::no_process, "there is no process " + std::to_string(pid));
    static_cast<void>(state_->open());
}

observer::observer(std::string const& path) : state_{std::make_unique<state>()}
{
    state_->path = path;
    auto const file = state_->open();
    copy_of_segment const copy{file.front().number(), path};
    auto const heaps = copy.heaps();
    if (heaps.empty())
        fail(fault::no_heap, path + " tells of no heap");
    if (std::ranges::any_of(heaps, [&copy](seen_root const& r) { return copy.heap_of(r) == nullptr; }))
        fail(fault::damaged, path + " is damaged: it does not tell of a heap");
}

observer::~observer() = default;
observer::observer(observer&&) noexcept = default;
observer& observer::operator=(observer&&) noexcept = default;

std::vector<snapshot> observer::read(snapshot_options const& o)
{
    return state_->for_each_heap([&o](seen_heap& heap) { return assemble(heap, o); });
}

std::vector<heap_map> observer::maps()
{
    return state_->for_each_heap([](seen_heap& heap) { return assemble_map(heap); });
}

pid_t observer::pid() const noexcept { return state_->pid; }

std::vector<pid_t> processes_with_heaps()
{
    std::vector<pid_t> found;
    for_each_entry("/proc", [&found](char const* name) {
        int error = 0;
        if (auto const pid = number_in<pid_t>(name); pid && !segments_of(*pid, error, true).empty())
            found.push_back(*pid);
    });
    std::sort(found.begin(), found.end());
    return found;
}

}
