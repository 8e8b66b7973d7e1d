// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a story of one heap: allocations of every kind, frees here and on another thread, epochs, scopes, releases, and
// every misuse of a pointer or handle with a handler that returns. Beside it goes a plain list of what lives: no object may lose
// its contents, each misuse is reported once and changes nothing, and the figures are those of the list.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>
import tslab;

namespace {

std::uint64_t reports = 0;
std::uint64_t leaks = 0;
std::uint64_t leaked_objects = 0;
std::optional<tslab::misuse> last_kind;

void note(tslab::misuse_report const& r)
{
    if (r.kind == tslab::misuse::leak) {
        ++leaks;
        leaked_objects += r.objects;
        return;
    }
    ++reports;
    last_kind = r.kind;
}

[[noreturn]] void wrong(char const* what)
{
    std::fprintf(stderr, "operations: %s\n", what);
    std::abort();
}

void must(bool so, char const* what)
{
    if (!so) [[unlikely]]
        wrong(what);
}

struct object {
    std::byte* p = nullptr;
    std::size_t size = 0;
    std::size_t alignment = 16;
    std::uint64_t mark = 0;
    tslab::epoch_resource* from = nullptr;
    tslab::handle handle{};

    void fill() const
    {
        std::memset(p, static_cast<int>(mark & 0xff), std::min<std::size_t>(size, 64));
        p[size - 1] = static_cast<std::byte>(mark & 0xff);
    }
    [[nodiscard]] bool intact() const
    {
        auto const byte = static_cast<std::byte>(mark & 0xff);
        return p[size - 1] == byte &&
               std::all_of(p, p + std::min<std::size_t>(size, 64), [byte](std::byte b) { return b == byte; });
    }
};

class input {
public:
    input(std::uint8_t const* data, std::size_t size) : at_{data}, end_{data + size} {}
    [[nodiscard]] bool empty() const { return at_ == end_; }
    std::size_t byte() { return at_ != end_ ? *at_++ : 0; }
    std::size_t word()
    {
        std::size_t const low = byte();
        return low | byte() << 8;
    }
    /// 0 has no place in a size of an object that is to be filled.
    std::size_t size()
    {
        std::size_t const k = word();
        return (k & 0x8000) == 0 ? k % 1024 + 1 : (k & 0x4000) == 0 ? k % 0x4000 * 4 + 1 : (k & 0x3fff) * 16 + 1;
    }

private:
    std::uint8_t const* at_;
    std::uint8_t const* end_;
};

class story {
public:
    explicit story(input& in) : in_{in}, heap_{options_of(in)} { epochs_.fill(heap_.current_epoch()); }

    void tell()
    {
        for (int steps = 0; !in_.empty() && steps < 4000; ++steps)
            step();
        check_all();
        while (!scopes_.empty())
            leave_scope();
        while (!resources_.empty())
            end_resource(resources_.size() - 1);
        while (!live_.empty())
            free_raw(live_.size() - 1);
        compare();
        must(heap_.snapshot({.residency = false}).global.live_objects == 0, "objects live at the end");
    }

private:
    static tslab::allocator::options options_of(input& in)
    {
        std::size_t const k = in.byte();
        static constexpr std::array policies{tslab::reclaim_policy::eager, tslab::reclaim_policy::cached,
                                             tslab::reclaim_policy::never};
        return {.name = "fuzzed",
                .epoch_count = 2U << (k & 3U),
                .reclaim = policies[(k >> 2) % 3],
                .slab_cache = (k & 16U) != 0 ? 0U : 8U,
                .reserve_bytes = std::size_t{256} << 20,
                .sampling = (k & 32U) != 0,
                .publish = false,
                .checks =
                    tslab::check_mode::off};   // with objects of malloc's the sanitizer would end at the first misuse
    }

    void step()
    {
        switch (in_.byte() % 24) {
        case 0:
        case 1: allocate_raw(heap_.current_epoch()); break;
        case 2: allocate_raw(epochs_[in_.byte() % epochs_.size()]); break;
        case 3:
        case 4: allocate_from_resource(); break;
        case 5:
        case 6: deallocate(); break;
        case 7:
            if (!live_.empty())
                free_raw(in_.byte() % live_.size());
            break;
        case 8: allocate_handle(); break;
        case 9: free_handle(); break;
        case 10: epochs_[in_.byte() % epochs_.size()] = heap_.advance(); break;
        case 11: heap_.close(epochs_[in_.byte() % epochs_.size()]); break;
        case 12: enter_scope(); break;
        case 13: leave_scope(); break;
        case 14: make_resource(); break;
        case 15:
            if (!resources_.empty())
                end_resource(in_.byte() % resources_.size());
            break;
        case 16: release(); break;
        case 17:
            in_.byte() % 2 == 0 ? static_cast<void>(heap_.trim()) : static_cast<void>(heap_.trim(epochs_[0]));
            break;
        case 18: free_elsewhere(); break;
        case 19: free_twice(); break;
        case 20: free_inside(); break;
        case 21: free_as_another_size(); break;
        case 22: free_something_foreign(); break;
        default: compare(); break;
        }
    }

    void add(void* p, std::size_t size, std::size_t alignment, tslab::epoch_resource* from, tslab::handle h = {})
    {
        auto* const at = static_cast<std::byte*>(p);
        must(reinterpret_cast<std::uintptr_t>(p) % alignment == 0, "an object is not aligned");
        for (object const& o : live_)
            must(at + size <= o.p || o.p + o.size <= at, "two objects overlap");
        ++allocations_;
        live_.push_back({at, size, alignment, allocations_, from, h});
        live_.back().fill();
    }
    [[nodiscard]] bool full() const { return live_.size() >= 300; }

    void allocate_raw(tslab::epoch_id e)
    {
        std::size_t const size = in_.size();
        if (full())
            return;
        bool const active = heap_.is_active(e);
        void* const p = heap_.malloc(size, e);
        must((p != nullptr) == active, "an allocation is refused or served against the state of its epoch");
        if (p != nullptr)
            add(p, size, 16, nullptr);
    }
    tslab::epoch_resource* any_resource()
    {
        std::size_t const n = resources_.size() + scopes_.size();
        if (n == 0)
            return nullptr;
        std::size_t const k = in_.byte() % n;
        return k < resources_.size() ? resources_[k].get() : scopes_[k - resources_.size()]->resource();
    }
    void allocate_from_resource()
    {
        std::size_t const size = in_.size();
        std::size_t const alignment = std::size_t{1} << in_.byte() % 14;
        tslab::epoch_resource* const r = any_resource();
        if (r == nullptr || full())
            return;
        bool const active = heap_.is_active(r->epoch());
        void* p = nullptr;
        try {
            p = r->allocate(size, alignment);
        } catch (std::bad_alloc const&) {
        }
        must((p != nullptr) == active, "a resource refuses or serves against the state of its epoch");
        if (p != nullptr)
            add(p, size, alignment, r);
    }
    object forget(std::size_t i)
    {
        std::swap(live_[i], live_.back());
        object const o = live_.back();
        must(o.intact(), "an object has lost its contents");
        live_.pop_back();
        if (gone_.size() < 64)
            gone_.push_back(o);
        else
            gone_[allocations_ % 64] = o;
        return o;
    }
    void free_raw(std::size_t i)
    {
        object const o = forget(i);
        heap_.free(o.p);
    }
    void deallocate()
    {
        if (live_.empty())
            return;
        std::size_t const i = in_.byte() % live_.size();
        if (live_[i].from == nullptr)
            return free_raw(i);
        object const o = forget(i);
        o.from->deallocate(o.p, o.size, o.alignment);
    }
    void free_elsewhere()
    {
        if (live_.empty())
            return;
        object const o = forget(in_.byte() % live_.size());
        std::thread{[&] {
            if (o.from != nullptr)
                o.from->deallocate(o.p, o.size, o.alignment);
            else
                heap_.free(o.p);
        }}.join();
    }
    void allocate_handle()
    {
        std::size_t const size = in_.size();
        if (full())
            return;
        tslab::handle h;
        if (void* const p = heap_.allocate(size, heap_.current_epoch(), h); p != nullptr)
            add(p, size, 16, nullptr, h);
    }
    void free_handle()
    {
        std::size_t const k = in_.byte();
        std::uint64_t const flips = in_.word();
        for (std::size_t n = 0; n < live_.size(); ++n) {
            std::size_t const i = (k + n) % live_.size();
            if (!live_[i].handle)
                continue;
            if ((flips & 1U) != 0) {
                tslab::handle const off{live_[i].handle.bits() ^ (flips >> 1 | 1U) << (k % 48)};
                for (object const& o : live_)
                    if (o.handle && o.handle.bits() == off.bits())
                        return;
                must(heap_.free(off) != tslab::free_result::ok, "a handle that was never given out frees something");
                must(live_[i].intact(), "it changed something");
                return;
            }
            object const o = forget(i);
            must(heap_.free(o.handle) == tslab::free_result::ok, "a good handle is refused");
            must(heap_.free(o.handle) != tslab::free_result::ok, "a handle frees twice");
            return;
        }
    }
    void enter_scope()
    {
        if (scopes_.size() < 5)
            scopes_.push_back(std::make_unique<tslab::epoch_scope>(heap_, "scope"));
    }
    /// What its end must say, and what becomes of its objects: they are the heap's from then on.
    template <class End> void end_of(tslab::epoch_resource* r, End end)
    {
        std::uint64_t mine = 0;
        for (object& o : live_)
            if (o.from == r) {
                o.from = nullptr;
                ++mine;
            }
        for (object& o : gone_)
            if (o.from == r)
                o.from = nullptr;
        std::uint64_t const before = leaks;
        std::uint64_t const objects = leaked_objects;
        end();
        must(leaks == before + (mine != 0 ? 1 : 0),
             "the leak report of a resource's end does not match its live objects");
        must(leaked_objects == objects + mine, "a leak report has another number of objects");
    }
    void leave_scope()
    {
        if (!scopes_.empty())
            end_of(scopes_.back()->resource(), [this] { scopes_.pop_back(); });
    }
    void make_resource()
    {
        if (resources_.size() < 5)
            resources_.push_back(std::make_unique<tslab::epoch_resource>(
                heap_, tslab::resource_options{.label = "resource", .share_epoch = in_.byte() % 4 == 0}));
    }
    void end_resource(std::size_t i)
    {
        std::swap(resources_[i], resources_.back());
        end_of(resources_.back().get(), [this] { resources_.pop_back(); });
    }
    void release()
    {
        tslab::epoch_resource* const r = any_resource();
        if (r == nullptr)
            return;
        std::uint64_t mine = 0;
        for (std::size_t i = 0; i < live_.size();)
            if (live_[i].from == r) {
                forget(i);
                ++mine;
            } else {
                ++i;
            }
        must(r->release() == mine, "a release gives back another number of objects");
    }

    /// What `misuse` did: one report, and nothing else.
    template <class Misuse> void expect_report(Misuse misuse)
    {
        std::uint64_t const before = reports;
        misuse();
        must(reports == before + 1, "a misuse is not reported, or more than once");
    }
    [[nodiscard]] bool lives_at(void const* p) const
    {
        return std::any_of(live_.begin(), live_.end(), [p](object const& o) { return o.p == p; });
    }
    void free_twice()
    {
        if (gone_.empty())
            return;
        std::size_t const k = in_.byte();
        object const o = gone_[k % gone_.size()];
        if (lives_at(o.p))
            return;   // its place was handed out again
        expect_report([&] {
            if ((k & 64U) != 0)
                std::thread{[&] { heap_.free(o.p); }}.join();
            else if (tslab::epoch_resource* const r = any_resource(); r != nullptr && (k & 128U) != 0)
                r->deallocate(o.p, o.size, o.alignment);
            else
                heap_.free(o.p);
        });
    }
    void free_inside()
    {
        if (live_.empty())
            return;
        object const o = live_[in_.byte() % live_.size()];
        std::size_t const at = in_.word() % o.size;
        if (at == 0)
            return;
        expect_report(
            [&] { o.from != nullptr ? o.from->deallocate(o.p + at, o.size, o.alignment) : heap_.free(o.p + at); });
        must(last_kind == tslab::misuse::interior_pointer, "what is inside an object is reported as something else");
    }
    void free_as_another_size()
    {
        if (live_.empty())
            return;
        object const o = live_[in_.byte() % live_.size()];
        std::size_t const size = in_.size();
        if (o.from == nullptr || tslab::class_of(size, o.alignment) == tslab::class_of(o.size, o.alignment))
            return;
        expect_report([&] { o.from->deallocate(o.p, size, o.alignment); });
        must(last_kind == tslab::misuse::wrong_size, "another size is reported as something else");
    }
    void free_something_foreign()
    {
        static std::array<std::byte, 4096> own{};
        std::size_t const k = in_.word();
        expect_report([&] {
            heap_.free((k & 1U) != 0 ? static_cast<void*>(own.data() + k % own.size())
                                     : reinterpret_cast<void*>(std::uintptr_t{k + 1} << (k % 40)));
        });
        must(last_kind == tslab::misuse::foreign_pointer, "a foreign pointer is reported as something else");
    }

    void check_all() const
    {
        for (object const& o : live_)
            must(o.intact(), "an object has lost its contents");
    }
    void compare()
    {
        check_all();
        tslab::global_stats const g = heap_.snapshot({.residency = false}).global;
        must(g.live_objects == live_.size(), "live_objects is not what lives");
        must(g.allocations == allocations_, "allocations is not what was handed out");
        must(g.frees == allocations_ - live_.size(), "frees is not what came back");
        must(g.misuses == reports - reports_before_ + leaks - leaks_before_, "misuses is not what was reported");
    }

    input& in_;
    std::uint64_t reports_before_ = reports;
    std::uint64_t leaks_before_ = leaks;
    tslab::allocator heap_;
    std::array<tslab::epoch_id, 4> epochs_{};
    std::vector<std::unique_ptr<tslab::epoch_scope>> scopes_;
    std::vector<std::unique_ptr<tslab::epoch_resource>> resources_;
    std::vector<object> live_;
    std::vector<object> gone_;
    std::uint64_t allocations_ = 0;
};

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    tslab::set_error_handler(note);
    std::uint64_t const before = reports;
    std::uint64_t reported = 0;
    {
        input in{data, size};
        story one{in};
        one.tell();
        reported = reports;
    }
    must(reports == reported && reports >= before, "the end of an empty heap says something");
    return 0;
}
