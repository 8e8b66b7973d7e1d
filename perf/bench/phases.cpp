// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Synthetic programs with phases: they burst, forget, contend, or lean on the kernel.
#include "pattern.hpp"

#include <cstring>

namespace bench {
namespace {

constexpr std::size_t usual_size = 128;

/// Numbers of objects, drawn beforehand.
std::vector<std::size_t> draw_counts(random_source random, std::size_t least, std::size_t most)
{
    std::vector<std::size_t> counts(64);
    for (std::size_t& count : counts)
        count = least + random() % (most - least + 1);
    return counts;
}

/// A scope, filled and emptied: 8,000 to 20,000 objects, written from end to end. "kernel" takes 3,000 of 256 bytes.
class burst_worker final : public worker {
public:
    burst_worker(setting const& s, std::string_view name, place& memory, unsigned thread)
        : memory_{memory}, size_{s.size_or(name == "kernel" ? 256 : usual_size)}
    {
        std::size_t const scale = s.tiny ? 1 : 10;
        counts_ = name == "kernel" ? draw_counts(random_for(s, thread), 300 * scale, 300 * scale)
                                   : draw_counts(random_for(s, thread), 800 * scale, 2000 * scale);
        objects_.resize(2000 * scale);
    }

    std::uint64_t turn() override
    {
        std::size_t const count = counts_[next_++ % counts_.size()];
        std::pmr::memory_resource* const resource = opaque(memory_.enter(false));
        for (std::size_t i = 0; i < count; ++i) {
            objects_[i] = resource->allocate(size_);
            std::memset(objects_[i], 0x42, size_);
        }
        for (std::size_t i = 0; i < count; ++i)
            resource->deallocate(objects_[i], size_);
        memory_.leave();
        return count;
    }

private:
    place& memory_;
    std::size_t size_;
    std::vector<std::size_t> counts_;
    std::vector<void*> objects_;
    std::size_t next_ = 0;
};

/// 80 to 200 objects a phase; one in a hundred is forgotten, and found only seven phases later.
class leak_worker final : public worker {
public:
    leak_worker(setting const& s, std::string_view, place& memory, unsigned thread)
        : memory_{memory}, size_{s.size_or(usual_size)}, counts_{draw_counts(random_for(s, thread), 80, 200)}
    {
    }

    std::uint64_t turn() override
    {
        phase& mine = phases_[next_ % place::most_phases];
        std::size_t const count = counts_[next_ % counts_.size()];
        find_again(mine);
        mine.resource = opaque(memory_.open(next_ % place::most_phases));
        ++next_;
        for (std::size_t i = 0; i < count; ++i) {
            objects_[i] = mine.resource->allocate(size_);
            touch(objects_[i], size_);
        }
        for (std::size_t i = 0; i < count; ++i) {
            if (++counted_ % 100 == 0)
                mine.forgotten[mine.count++] = objects_[i];
            else
                mine.resource->deallocate(objects_[i], size_);
        }
        return count;
    }

    void drain() override
    {
        for (phase& p : phases_)
            find_again(p);
    }

private:
    struct phase {
        std::pmr::memory_resource* resource = nullptr;
        void* forgotten[4] = {};
        unsigned count = 0;
    };

    void find_again(phase& p)
    {
        if (p.resource == nullptr)
            return;
        for (; p.count > 0; --p.count)
            p.resource->deallocate(p.forgotten[p.count - 1], size_);
        memory_.close(static_cast<unsigned>(&p - phases_));
        p.resource = nullptr;
    }

    place& memory_;
    std::size_t size_;
    std::vector<std::size_t> counts_;
    phase phases_[place::most_phases];
    void* objects_[200];
    unsigned next_ = 0;
    std::uint64_t counted_ = 0;
};

/// All threads in one epoch, with objects of one size: 120 at a time.
class hotspot_worker final : public worker {
public:
    hotspot_worker(setting const& s, std::string_view, place& memory, unsigned)
        : resource_{opaque(memory.shared())}, size_{s.size_or(usual_size)}
    {
    }

    std::uint64_t turn() override
    {
        for (unsigned round = 0; round < 8; ++round) {
            for (void*& p : objects_) {
                p = resource_->allocate(size_);
                touch(p, size_);
            }
            for (void* const p : objects_)
                resource_->deallocate(p, size_);
        }
        return 8 * std::size(objects_);
    }

private:
    std::pmr::memory_resource* resource_;
    std::size_t size_;
    void* objects_[120];
};

constexpr pattern patterns[] = {
    {.name = "burst",
     .about = "a scope filled with 8,000 to 20,000 objects of 128 bytes, and emptied",
     .make = make_alike<burst_worker>,
     .phases = true,
     .memory = true},
    {.name = "leak",
     .about = "80 to 200 objects a phase, one in a hundred forgotten for seven phases",
     .make = make_alike<leak_worker>,
     .phases = true,
     .memory = true},
    {.name = "hotspot",
     .about = "all threads in one epoch, 120 objects of 128 bytes at a time",
     .make = make_alike<hotspot_worker>},
    {.name = "kernel",
     .about = "a scope filled with 3,000 objects of 256 bytes, and emptied",
     .make = make_alike<burst_worker>,
     .phases = true,
     .memory = true},
};

}

std::span<pattern const> phase_patterns() { return patterns; }

}
