// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A set of live objects of which one after the other is replaced: by size, in a small set, and all over a huge one.
#include "pattern.hpp"

#include <charconv>

namespace bench {
namespace {

struct object {
    void* at = nullptr;
    std::size_t size = 0;
};

/// Replaces objects of a set of live ones, in an order drawn beforehand; each new object is touched.
class set_worker : public worker {
public:
    std::uint64_t turn() override
    {
        constexpr std::size_t count = 1024;
        for (std::size_t i = 0; i < count; ++i) {
            object& o = set_[order_[next_]];
            next_ = next_ + 1 == order_.size() ? 0 : next_ + 1;
            resource_->deallocate(o.at, o.size);
            o.at = resource_->allocate(o.size);
            touch(o.at, o.size);
        }
        return count;
    }

    void drain() override
    {
        for (object& o : set_)
            if (o.at != nullptr)
                resource_->deallocate(o.at, o.size);
        set_.clear();
    }

protected:
    set_worker(place& memory, std::vector<std::size_t> const& sizes, std::vector<unsigned> order)
        : resource_{opaque(memory.lasting())}, order_{std::move(order)}
    {
        set_.reserve(sizes.size());
        for (std::size_t const size : sizes) {
            set_.push_back({resource_->allocate(size), size});
            touch(set_.back().at, size);
        }
    }

    static std::vector<unsigned> rotation(std::size_t count)
    {
        std::vector<unsigned> order(count);
        for (std::size_t i = 0; i < count; ++i)
            order[i] = static_cast<unsigned>(i);
        return order;
    }

    static std::vector<unsigned> random_order(random_source random, std::size_t set, std::size_t length)
    {
        std::vector<unsigned> order(length);
        for (unsigned& at : order)
            at = static_cast<unsigned>(random() % set);
        return order;
    }

private:
    std::pmr::memory_resource* resource_;
    std::vector<object> set_;
    std::vector<unsigned> order_;
    std::size_t next_ = 0;
};

/// "sizes/64", "sizes/4K": 64 objects of that size, the oldest is replaced.
class sizes_worker final : public set_worker {
public:
    sizes_worker(setting const&, std::string_view name, place& memory, unsigned)
        : set_worker{memory, std::vector<std::size_t>(held, size_of(name)), rotation(held)}
    {
    }

private:
    static constexpr std::size_t held = 64;

    static std::size_t size_of(std::string_view name)
    {
        name.remove_prefix(name.find('/') + 1);
        std::size_t size = 1;
        std::from_chars(name.data(), name.data() + name.size(), size);
        return name.ends_with('K') ? size * 1024 : size;
    }
};

class locality_worker final : public set_worker {
public:
    locality_worker(setting const& s, std::string_view, place& memory, unsigned thread)
        : set_worker{memory, std::vector<std::size_t>(held, s.size_or(128)),
                     random_order(random_for(s, thread), held, 4096)}
    {
    }

private:
    static constexpr std::size_t held = 32;
};

/// 400,000 objects over all threads, and at least 50,000 each.
class scatter_worker final : public set_worker {
public:
    scatter_worker(setting const& s, std::string_view, place& memory, unsigned thread)
        : set_worker{memory, draw_sizes(s, thread), random_order(random_for(s, thread), held(s), 1 << 16)}
    {
    }

private:
    static std::size_t held(setting const& s)
    {
        std::size_t const share = 400'000 / s.threads;
        return s.tiny ? 1000 : share < 50'000 ? 50'000 : share;
    }

    static std::vector<std::size_t> draw_sizes(setting const& s, unsigned thread)
    {
        random_source random = random_for(s, thread + 1000);
        std::vector<std::size_t> sizes(held(s));
        for (std::size_t& size : sizes)
            size = s.size_or(16 + random() % 240);
        return sizes;
    }
};

constexpr pattern of_size(std::string_view name)
{
    return {
        .name = name, .about = "64 live objects of one size, the oldest is replaced", .make = make_alike<sizes_worker>};
}

constexpr pattern patterns[] = {
    of_size("sizes/8"),
    of_size("sizes/16"),
    of_size("sizes/24"),
    of_size("sizes/32"),
    of_size("sizes/48"),
    of_size("sizes/64"),
    of_size("sizes/96"),
    of_size("sizes/128"),
    of_size("sizes/192"),
    of_size("sizes/256"),
    of_size("sizes/384"),
    of_size("sizes/512"),
    of_size("sizes/768"),
    of_size("sizes/1K"),
    of_size("sizes/2K"),
    of_size("sizes/4K"),
    of_size("sizes/8K"),
    of_size("sizes/16K"),
    of_size("sizes/32K"),
    of_size("sizes/64K"),
    {.name = "locality", .about = "32 live objects a thread, replaced at random", .make = make_alike<locality_worker>},
    {.name = "scatter", .about = "a huge set of live objects, replaced at random", .make = make_alike<scatter_worker>},
};

}

std::span<pattern const> set_patterns() { return patterns; }

}
