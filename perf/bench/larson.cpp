// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that come and go, and objects that outlive them.
#include "pattern.hpp"

#include <array>
#include <atomic>
#include <mutex>
#include <thread>

namespace bench {
namespace {

/// A thousand objects of random sizes, of which random ones are replaced. A turn is the whole life of a thread: it takes a
/// table that some other thread left behind, and leaves it to the next.
class larson final : public workload {
public:
    explicit larson(setting const& s) : setting_{s}, tables_(s.threads)
    {
        random_source random = random_for(s, 0);
        for (std::size_t& size : sizes_)
            size = s.size_or(8 + random() % 761);
        for (unsigned& at : order_)
            at = static_cast<unsigned>(random() % held);
        for (table& t : tables_)
            waiting_.push_back(&t);
    }

    std::unique_ptr<worker> join(unsigned, place&) override { return std::make_unique<generations>(*this); }

private:
    static constexpr std::size_t held = 1000;

    struct object {
        void* at = nullptr;
        std::size_t size = 0;
    };
    using table = std::array<object, held>;

    class generations final : public worker {
    public:
        explicit generations(larson& all) : all_{all} {}
        std::uint64_t turn() override
        {
            std::uint64_t const operations = all_.setting_.tiny ? 2000 : 50'000;
            std::thread{[this, operations] { all_.live(operations); }}.join();
            return operations;
        }
        void drain() override
        {
            std::thread{[this] { all_.empty_one(); }}.join();
        }

    private:
        larson& all_;
    };

    table& take()
    {
        std::scoped_lock const guard{lock_};
        table& first = *waiting_.front();
        waiting_.erase(waiting_.begin());
        return first;
    }
    void leave(table& t)
    {
        std::scoped_lock const guard{lock_};
        waiting_.push_back(&t);
    }

    void live(std::uint64_t operations)
    {
        std::unique_ptr<place> const memory = setting_.make_place();
        std::pmr::memory_resource* const resource = opaque(memory->common());
        table& mine = take();
        std::size_t draw = random_start_.fetch_add(7919, std::memory_order_relaxed);
        for (std::uint64_t i = 0; i < operations; ++i, ++draw) {
            object& o = mine[order_[draw % order_.size()]];
            if (o.at != nullptr)
                resource->deallocate(o.at, o.size);
            o.size = sizes_[draw % sizes_.size()];
            o.at = resource->allocate(o.size);
            touch(o.at, o.size);
        }
        leave(mine);
    }

    void empty_one()
    {
        std::unique_ptr<place> const memory = setting_.make_place();
        for (object& o : take())
            if (o.at != nullptr)
                memory->common()->deallocate(o.at, o.size);
    }

    setting setting_;
    std::vector<table> tables_;
    std::mutex lock_;
    std::vector<table*> waiting_;
    std::atomic<std::size_t> random_start_{0};
    std::array<std::size_t, 4093> sizes_;
    std::array<unsigned, 8191> order_;
};

std::unique_ptr<workload> make_larson(setting const& s, std::string_view) { return std::make_unique<larson>(s); }

constexpr pattern patterns[] = {
    {.name = "larson",
     .about = "threads come and go, and take over the objects of those before",
     .make = make_larson,
     .crossing = true},
};

}

std::span<pattern const> larson_patterns() { return patterns; }

}
